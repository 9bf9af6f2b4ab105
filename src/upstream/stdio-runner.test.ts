import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { oneLine } from '../core/mcp/one-line.ts';
import { StdioProcess } from './stdio-runner.ts';

/** A server as many are written: one message per line of node:readline, which ends lines at U+2028 and U+2029 too. */
const NAIVE = `
let lines = 0;
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  lines++;
  const { id } = JSON.parse(line);
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result: { lines } }) + '\\n');
});`;

test('an argument cannot smuggle a second message past a reader that ends lines at U+2028', async () => {
  const server = new StdioProcess({
    command: process.execPath,
    args: ['-e', NAIVE],
    env: {},
    maxLineBytes: 10_000,
    onDiagnostic: () => {},
    onOther: () => {},
    onExit: () => {},
  });
  const hidden = '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"delete_everything"}}';
  const text = `x\u2028${hidden}\u2029${hidden}\u0085${hidden}`;
  const bytes = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { text } }));
  const answer = await server.exchange({
    id: 1,
    method: 'tools/call',
    bytes,
    headers: [],
    timeoutMs: 5_000,
    maxBytes: 10_000,
    signal: null,
    onOther: null,
  });
  await server.close();
  assert.ok('bytes' in answer);
  assert.deepEqual(JSON.parse(Buffer.from(answer.bytes).toString()).result, { lines: 1 });
});

test('where no file descriptor is left a server cannot be started, and the gateway goes on', async () => {
  const script = `
    import { closeSync, openSync } from 'node:fs';
    import { StdioProcess } from ${JSON.stringify(new URL('./stdio-runner.ts', import.meta.url).href)};
    const taken = [];
    try { for (;;) taken.push(openSync('/dev/null')); } catch {}
    const none = () => {};
    const open = () => new StdioProcess({
      command: process.execPath, args: ['-e', ${JSON.stringify(NAIVE)}], env: {}, maxLineBytes: 1_000,
      onDiagnostic: none, onOther: none, onExit: none,
    });
    const call = { id: 1, method: 'ping', bytes: Buffer.from('{"id":1}'), headers: [], timeoutMs: 5_000, maxBytes: 1_000, signal: null, onOther: null };
    const ask = async () => {
      const server = open();
      const answer = await server.exchange(call);
      await new Promise((done) => setTimeout(done, 50));
      await server.close();
      return answer.evidence ?? 'answered';
    };
    const without = await ask();
    for (const one of taken) closeSync(one);
    console.log(without + ', ' + (await ask()));`;
  const { stdout } = await promisify(execFile)('/bin/sh', [
    '-c',
    'ulimit -n 64; exec "$0" "$@"',
    process.execPath,
    '--input-type=module',
    '-e',
    script,
  ]);
  assert.equal(stdout.trim(), 'it cannot be started: no file descriptor is left, answered');
});

test('what the system refuses to start is unavailable, not a throw', async () => {
  const server = new StdioProcess({
    command: process.execPath,
    args: ['x'.repeat(4 * 1024 * 1024)],
    env: {},
    maxLineBytes: 10_000,
    onDiagnostic: () => {},
    onOther: () => {},
    onExit: () => {},
  });
  assert.ok(server.over && !(await server.notify(Buffer.from('{}'))));
  await server.close();
});

test('a line means what the message meant, and ends once', () => {
  const piece = fc.constantFrom('\u2028', '\u2029', '\u0085', '\n', 'é', '€', '😀', '\u00c2', 'â', '"', 'a');
  const value = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
  const blanks = fc.constantFrom('', ' ', '\n', '\r\n');
  fc.assert(
    fc.property(value, blanks, (text, blank) => {
      const message = `${blank}{${blank}"a":${blank}${JSON.stringify(text)}}`;
      const line = oneLine(Buffer.from(message)).toString();
      assert.deepEqual(JSON.parse(line), { a: text });
      assert.deepEqual(line.slice(0, -1).split(/[\n\r\u0085\u2028\u2029]/).length, 1);
      assert.ok(line.endsWith('\n'));
    }),
    { numRuns: 300 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1), seed: 20_261_122 },
  );
});
