import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import type { BodyFault } from '../../core/call.ts';
import { nodeBody } from './body-source.ts';

type Read = Uint8Array | BodyFault | Promise<Uint8Array | BodyFault>;
const LIMIT = { maxBytes: 1_000, timeoutMs: 200 };

let onRequest: (req: IncomingMessage) => void = () => {};
const server = createServer((req) => onRequest(req));
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
after(() => {
  server.closeAllConnections();
  server.close();
});

/** What the body of a request is read as, asked for behind the parser's turn; `pieces` are written one after the other. */
async function readOf(
  head: string,
  pieces: readonly string[],
  cut = false,
): Promise<{ read: Read; req: IncomingMessage }> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
  const asked = new Promise<{ read: Read; req: IncomingMessage }>((resolve) => {
    onRequest = (req) => process.nextTick(() => resolve({ read: nodeBody(req).read(LIMIT), req }));
  });
  const [first = '', ...rest] = pieces;
  socket.write(`POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n${first}`);
  const { read, req } = await asked;
  for (const piece of rest) socket.write(piece);
  if (cut) socket.destroy();
  return { read, req };
}

test('a body that came with its head is there without waiting, whole', async () => {
  const { read } = await readOf('Content-Length: 5', ['hello']);
  assert.ok(!(read instanceof Promise));
  assert.equal(String(read), 'hello');
});

test('a body that comes later is waited for and put together', async () => {
  for (const pieces of [
    ['', 'hello'],
    ['hel', 'lo'],
    ['h', 'ell', 'o'],
  ]) {
    const { read } = await readOf('Content-Length: 5', pieces);
    assert.ok(read instanceof Promise);
    assert.equal(String(await read), 'hello');
  }
  const { read } = await readOf('Transfer-Encoding: chunked', ['5\r\nhello\r\n0\r\n\r\n']);
  assert.equal(String(await read), 'hello');
});

test('a body that had time to come in several pieces is there whole', async () => {
  const body = randomBytes(25_000).toString('hex');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
  const { promise: asked, resolve } = Promise.withResolvers<IncomingMessage>();
  onRequest = resolve;
  socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
  const req = await asked;
  for (let at = 0; at < body.length; at += 10_000) {
    socket.write(body.slice(at, at + 10_000));
    await new Promise((later) => setTimeout(later, 2));
  }
  const read = await nodeBody(req).read({ maxBytes: body.length, timeoutMs: 1_000 });
  assert.ok(String(read) === body);
});

test('a body is no longer than its limit, whether it is there already or not', async () => {
  const long = 'x'.repeat(LIMIT.maxBytes + 1);
  assert.equal(await (await readOf(`Content-Length: ${long.length}`, [long])).read, 'too_large');
  const chunk = `${long.length.toString(16)}\r\n${long}\r\n0\r\n\r\n`;
  assert.equal(await (await readOf('Transfer-Encoding: chunked', [chunk])).read, 'too_large');
});

test('a body that stands still or breaks off is none, and is not read as far as it came', async () => {
  assert.equal(await (await readOf('Content-Length: 5', ['hell'])).read, 'timeout');
  assert.equal(await (await readOf('Content-Length: 5', ['hell'], true)).read, 'aborted');
});

test('what is pipelined behind a body does not become part of it', async () => {
  const { read } = await readOf('Content-Length: 5', ['helloGET / HTTP/1.1\r\nHost: a\r\n\r\n']);
  assert.equal(String(await read), 'hello');
});

test('another request may follow when nothing of this body is left on the connection, read or not', async () => {
  const dones: boolean[] = [];
  for (const [pieces, reads] of [
    [['hello'], true],
    [['hello'], false],
    [['hell'], false],
  ] as const) {
    const { promise: arrived, resolve } = Promise.withResolvers<IncomingMessage>();
    onRequest = resolve;
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n${pieces[0]}`);
    const req = await arrived;
    const body = nodeBody(req);
    await new Promise((later) => setTimeout(later, 20));
    if (reads) await body.read(LIMIT);
    dones.push(body.done);
  }
  assert.deepEqual(dones, [true, true, false]);
});

test('a request that was read at once comes to its end: an idle connection does not hold on to its head and token', async () => {
  for (const pieces of [['hello'], ['', 'hello']]) {
    const { read, req } = await readOf('Content-Length: 5', pieces);
    const ended = once(req, 'close', { signal: AbortSignal.timeout(1_000) });
    assert.equal(String(await read), 'hello');
    await ended;
    assert.ok(!req.aborted && !req.socket.destroyed);
  }
});

test('a body in a million pieces weighs what it is', async () => {
  const script = `
    import { createServer } from 'node:http';
    import { connect } from 'node:net';
    import { Readable, pipeline } from 'node:stream';
    import { nodeBody } from ${JSON.stringify(new URL('./body-source.ts', import.meta.url).href)};
    const server = createServer(async (req) => {
      const read = await nodeBody(req).read({ maxBytes: 1_000_000, timeoutMs: 60_000 });
      console.log(typeof read === 'string' ? read : read.length);
      process.exit();
    }).listen(0, '127.0.0.1', () => {
      const head = 'POST / HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n';
      const thousand = Buffer.from('1\\r\\nx\\r\\n'.repeat(1_000));
      function* pieces() { yield Buffer.from(head); for (let i = 0; i < 1_000; i++) yield thousand; yield Buffer.from('0\\r\\n\\r\\n'); }
      pipeline(Readable.from(pieces()), connect(server.address().port, '127.0.0.1'), () => {});
    });`;
  // Kept piece by piece it would not fit.
  const args = ['--max-old-space-size=64', '--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  assert.equal(stdout.trim(), '1000000');
});
