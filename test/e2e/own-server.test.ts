import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { guided, Newcomer } from './own-server.ts';

const root = join(import.meta.dirname, '../..');
const everything = join(root, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');
const FIVE_MINUTES = 300_000;

/** The same server over Streamable HTTP, as somebody else runs it. */
async function remoteServer(): Promise<{ url: string; child: ChildProcess }> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  const env = { ...process.env, PORT: String(port) };
  const child = spawn(process.execPath, [everything, 'streamableHttp'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  await once(child.stderr!, 'data');
  return { url: `http://127.0.0.1:${port}/mcp`, child };
}

describe('a server of somebody else, by the commands of the guide', () => {
  const newcomer = new Newcomer();
  const started = performance.now();
  let remote: { url: string; child: ChildProcess };
  let local = '';
  let far = '';

  before(async () => {
    remote = await remoteServer();
    const [install, look, accept, start, ...more] = guided('A server that speaks stdio');
    assert.deepEqual([install?.[0], start, more], ['npm', ['gatewrit', 'start'], []], 'four commands, and no more');
    // What npm would fetch is here already; test:services has npm do it.
    symlinkSync(join(root, 'node_modules'), join(newcomer.folder, 'node_modules'));

    await assert.rejects(newcomer.types(look!), /nothing was changed/, 'without a person nothing is accepted');
    local = await newcomer.types(accept!);
    const config = join(newcomer.folder, 'gatewrit.yaml');
    writeFileSync(config, `${readFileSync(config, 'utf8')}# kept\n`);
    const [add] = guided('A server that speaks Streamable HTTP');
    const credential = add!.indexOf('--authorization');
    const words = add!.toSpliced(credential, 2).map((word) => (word.startsWith('https:') ? remote.url : word));
    far = await newcomer.types(words);
    await newcomer.starts();
  });
  after(async () => {
    await newcomer.leaves();
    remote.child.kill();
  });

  test('its tools are called under their own names, within five minutes', async () => {
    const client = await newcomer.connects(local, 'everything');
    const { tools } = await client.listTools();
    assert.equal(tools.length, 12);
    const echoed = await client.callTool({ name: 'echo', arguments: { message: 'own server' } });
    assert.deepEqual(echoed.content, [{ type: 'text', text: 'Echo: own server' }]);
    const wrong = await client.callTool({ name: 'get-sum', arguments: { a: 'one', b: 2 } });
    assert.equal(wrong.isError, true, 'its schema is enforced');
    await client.close();
    assert.ok(performance.now() - started < FIVE_MINUTES);
  });

  test('so are those of one that is reached over Streamable HTTP', async () => {
    const client = await newcomer.connects(far, 'example');
    const sum = await client.callTool({ name: 'get-sum', arguments: { a: 20, b: 22 } });
    assert.match(JSON.stringify(sum.content), /42/);
    await client.close();
  });

  test('what was printed says what is offered, why it was proposed, and where the entry belongs', () => {
    assert.match(local, /echo +read +everything:read\n +“Echoes back the input string”\n +takes message string/);
    assert.match(local, /toggle-simulated-logging +write[\s\S]*why write: its name says "toggle"/);
    assert.match(local, /Left out:[\s\S]*simulate-research-query: it cannot be served/);
    for (const client of ['Claude Desktop', 'Claude Code', 'VS Code', 'Cursor', 'mcp.json'])
      assert.ok(local.includes(client), client);
    assert.match(local, /Next: gatewrit start\n$/);
  });

  test('the first start speaks of no server that is not there, and comments of the settings stay', () => {
    assert.ok(!/internal-|scopes\.yaml/.test(newcomer.said), newcomer.said);
    const config = readFileSync(join(newcomer.folder, 'gatewrit.yaml'), 'utf8');
    assert.match(config, /^# kept$/m);
    assert.match(config, /^# Settings of this gateway/);
  });
});
