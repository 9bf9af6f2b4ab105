import 'reflect-metadata';
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { X509CertificateGenerator } from '@peculiar/x509';
import type { BodyFault, CallWith } from '../../core/call.ts';
import { REFUSALS } from '../../core/mcp/refusals.ts';
import { readSection } from '../../core/settings.ts';
import { Refusal } from '../../core/stage.ts';
import { nodeBody, openTransport } from './index.ts';
import { transportSettings } from './settings.ts';

/** A real TLS server with short times: the head stage, then the body, then an answer of the asked-for size. */
const SHORT = {
  maxBodyBytes: 65_536,
  bodyTimeoutMs: 400,
  headersTimeoutMs: 300,
  requestTimeoutMs: 2_000,
  handshakeTimeoutMs: 300,
  keepAliveTimeoutMs: 2_000,
  writeTimeoutMs: 400,
  lingerMs: 300,
};
const pair = await selfSigned();
const hosts: string[] = [];
const reads: string[] = [];
let answerBytes = 2;
/** Answers wait for this. */
let hold: Promise<void> = Promise.resolve();
const transport = openTransport({
  settings: readSection('transport', transportSettings, SHORT),
  home: '/nowhere',
  resources: {
    resource: (_listener, server) => (server === null ? 'https://localhost/mcp' : null),
    hosts: () => hosts,
  },
});
const server = await listen();
const port = (server.address() as AddressInfo).port;
hosts.push(`localhost:${port}`);
after(() => {
  server.closeAllConnections();
  server.close();
});

async function selfSigned() {
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    notBefore: new Date('2020-01-01'),
    notAfter: new Date('2090-01-01'),
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    certificate: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
  };
}

async function listen(): Promise<Server> {
  const made = createServer(transport.serverOptions(pair), (req, res) => {
    const head = {
      version: req.httpVersion,
      method: req.method,
      path: req.url,
      query: '',
      headers: req.headers,
      rawHeaders: req.rawHeaders,
    };
    const call = { way: 'http', head, source: nodeBody(req) } as unknown as CallWith<'endpoint' | 'principal'>;
    const answer = (status: number, body: Buffer | string) => {
      if (res.destroyed) return;
      const close = req.complete ? [] : ['Connection', 'close'];
      res.writeHead(status, [...transport.headers.common, 'Content-Length', String(Buffer.byteLength(body)), ...close]);
      res.end(body);
    };
    const judged = transport.stages.head.run(call, { utc: 0, mono: 0 });
    if (judged instanceof Refusal) return answer(REFUSALS[judged.code].status, judged.code);
    void Promise.resolve(transport.stages.body.run(call, { utc: 0, mono: 0 })).then(async (body) => {
      reads.push(
        body instanceof Refusal
          ? body.code
          : Buffer.from(body as Uint8Array)
              .toString('latin1')
              .slice(0, 80),
      );
      if (body instanceof Refusal) return answer(REFUSALS[body.code].status, body.code);
      await hold;
      answer(200, answerBytes === 2 ? 'ok' : Buffer.alloc(answerBytes));
    });
  });
  transport.harden(made);
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  return made;
}

interface Connection {
  readonly socket: TLSSocket;
  readonly text: () => string;
  /** Resolves with ms since the connection was made. */
  readonly closed: Promise<number>;
}

async function dial(): Promise<Connection> {
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false });
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  socket.on('error', () => undefined); // a reset is one of the ways in which a peer may be cut
  const started = performance.now();
  const closed = new Promise<number>((resolve) => socket.once('close', () => resolve(performance.now() - started)));
  const early = closed.then(() => Promise.reject(new Error('cut during the handshake')));
  await Promise.race([new Promise((resolve) => socket.once('secureConnect', resolve)), early]);
  early.catch(() => undefined); // later it is what the test waits for
  return { socket, text: () => text, closed };
}

const FIXED = 'Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n';
const headOf = (more: string, target = '/mcp') =>
  `POST ${target} HTTP/1.1\r\nHost: localhost:${port}\r\n${FIXED}${more}\r\n`;

/** Sends raw bytes, waits for the end of the connection or for `ms`. */
async function exchange(bytes: string | Buffer, ms = 1_500): Promise<string> {
  const { socket, text, closed } = await dial();
  socket.write(bytes);
  await Promise.race([closed, wait(ms)]);
  socket.destroy();
  return text();
}

const statusOf = (answer: string) => answer.slice(9, 12);

test('a good request is served, with every common header and no banner', async () => {
  const answer = await exchange(`${headOf('Content-Length: 2\r\n')}{}`, 200);
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.match(answer, /Strict-Transport-Security: max-age=31536000/);
  assert.match(answer, /X-Content-Type-Options: nosniff/);
  assert.match(answer, /Cache-Control: no-store/);
  assert.match(answer, /Content-Security-Policy: default-src 'none'/);
  assert.doesNotMatch(answer, /^(server|x-powered-by):/im);
  assert.equal(reads.at(-1), '{}');
});

test('TLS 1.2 and older are refused', async () => {
  for (const version of ['TLSv1.2', 'TLSv1.1'] as const) {
    const socket = connect({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    const refused = await new Promise<boolean>((resolve) => {
      socket.once('secureConnect', () => resolve(false));
      socket.once('error', () => resolve(true));
    });
    socket.destroy();
    assert.ok(refused, version);
  }
  const { socket } = await dial();
  assert.equal(socket.getProtocol(), 'TLSv1.3');
  socket.destroy();
});

test('smuggling shapes end as 4xx and the connection closes before anything behind them can run', async () => {
  const smuggled = `GET /smuggled HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`;
  const shapes: Record<string, string> = {
    'two Host headers': `${headOf('Host: evil.example\r\nContent-Length: 2\r\n')}{}`,
    'no Host header': `POST /mcp HTTP/1.1\r\n${FIXED}Content-Length: 2\r\n\r\n{}`,
    'length and chunked': `${headOf('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n')}0\r\n\r\n`,
    'two lengths': `${headOf('Content-Length: 2\r\nContent-Length: 60\r\n')}{}`,
    'chunked behind another coding': `${headOf('Transfer-Encoding: chunked, identity\r\n')}0\r\n\r\n`,
    'space before the colon': `${headOf('Transfer-Encoding : chunked\r\n')}0\r\n\r\n`,
    'folded header': `${headOf('X: a\r\n b\r\nTransfer-Encoding:\r\n chunked\r\n')}0\r\n\r\n`,
    'bare line feed': `${headOf('Content-Length: 2\r\n').replaceAll('\r\n', '\n')}{}`,
    'signed length': `${headOf('Content-Length: +2\r\n')}{}`,
    'bad chunk size': `${headOf('Transfer-Encoding: chunked\r\n')}2 x\r\n{}\r\n0\r\n\r\n`,
    'no HTTP at all': '\u0016\u0003\u0001\r\n\r\n',
    'HTTP/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'two Authorization headers': `${headOf('Authorization: Bearer a\r\nauthorization: Bearer b\r\nContent-Length: 2\r\n')}{}`,
    'absolute form with another host': `${headOf('Content-Length: 2\r\n', 'https://evil.example/mcp')}{}`,
    Expect: `${headOf('Expect: 100-continue\r\nContent-Length: 2\r\n')}{}`,
    'unknown Expect': `${headOf('Expect: nothing\r\nContent-Length: 2\r\n')}{}`,
  };
  await Promise.all(
    Object.entries(shapes).map(async ([name, shape]) => {
      const answer = await exchange(shape + smuggled, 900);
      assert.match(statusOf(answer), /^4/, `${name}: ${answer.slice(0, 80)}`);
      assert.doesNotMatch(answer, /100 Continue/, name);
      assert.match(answer, /Strict-Transport-Security/, name);
      assert.doesNotMatch(answer, /\r\nHTTP\/1\.1 200 /, name);
      assert.doesNotMatch(answer, /node|llhttp|HPE_|Error|\/work|stack/i, `${name} tells about us`);
    }),
  );
});

test('a head that is too large is 431, one with too many lines 400', async () => {
  assert.equal(statusOf(await exchange(headOf(`X: ${'a'.repeat(20_000)}\r\n`))), '431');
  const lines = (n: number) => Array.from({ length: n }, (_, i) => `X-${i}: a\r\n`).join('');
  assert.equal(statusOf(await exchange(`${headOf(`${lines(61)}Content-Length: 2\r\n`)}{}`, 900)), '400');
  assert.equal(statusOf(await exchange(`${headOf(`${lines(80)}Content-Length: 2\r\n`)}{}`, 900)), '431');
});

test('a head that trickles is cut at its deadline', async () => {
  const { socket, text, closed } = await dial();
  socket.write('POST /mcp HTTP/1.1\r\n');
  const drip = setInterval(() => socket.writable && socket.write('X: a\r\n'), 40);
  const ms = await closed;
  clearInterval(drip);
  assert.ok(ms < 1_500, `${ms} ms`);
  assert.equal(statusOf(text()), '408');
});

test('a body that trickles is 408 at its deadline, and the connection is closed', async () => {
  const { socket, text, closed } = await dial();
  socket.write(headOf('Content-Length: 5000\r\n'));
  const drip = setInterval(() => socket.writable && socket.write(' '), 40);
  const ms = await closed;
  clearInterval(drip);
  assert.ok(ms >= 390 && ms < 1_800, `${ms} ms`);
  assert.match(text(), /^HTTP\/1\.1 408 .*transport\.timeout$/s);
});

test('a client that goes away in the middle of its body is seen at once', async () => {
  const { socket } = await dial();
  socket.write(`${headOf('Content-Length: 5000\r\n')}{`);
  await wait(50);
  socket.destroy();
  await wait(100);
  assert.equal(reads.at(-1), 'transport.aborted');
});

test('a declared length above the bound is 413 unread, and the answer survives a client that sends everything first', async () => {
  const body = Buffer.alloc(200_000, 0x20);
  const { socket, text, closed } = await dial();
  const before = reads.length;
  socket.write(headOf(`Content-Length: ${body.length}\r\n`));
  socket.write(body);
  const ms = await closed;
  assert.match(text(), /^HTTP\/1\.1 413 .*connection: close.*transport\.too_large$/is);
  assert.equal(reads.length, before, 'no body byte was asked for');
  assert.ok(ms < 1_500);
});

test('a client that reads only after it has sent its pieces still finds the early answer', async () => {
  const { socket, text, closed } = await dial();
  socket.pause();
  socket.write(headOf('Content-Length: 150000\r\n'));
  for (let i = 0; i < 3; i++) {
    socket.write(Buffer.alloc(40_000, 0x20));
    await wait(60);
  }
  socket.resume();
  await closed;
  assert.equal(statusOf(text()), '413');
});

test('a chunked body without end is 413 with bounded memory, and the connection is cut', async () => {
  const { socket, text, closed } = await dial();
  socket.write(headOf('Transfer-Encoding: chunked\r\n'));
  const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, 0x20), Buffer.from('\r\n')]);
  globalThis.gc?.();
  const heldBefore = process.memoryUsage().arrayBuffers;
  let sent = 0;
  let most = 0;
  const pump = () => {
    while (socket.writable && sent < 64 * 1_048_576) {
      sent += chunk.length;
      most = Math.max(most, process.memoryUsage().arrayBuffers - heldBefore);
      if (!socket.write(chunk)) return void socket.once('drain', pump);
    }
  };
  pump();
  const ms = await closed;
  assert.match(text(), /^HTTP\/1\.1 413 .*transport\.too_large$/s);
  assert.ok(ms < 1_500, `${ms} ms`);
  assert.ok(sent < 8 * 1_048_576, `${sent} bytes were taken`);
  assert.ok(most < 16 * 1_048_576, `${most} bytes were held`);
});

test('nothing that follows an early answer on the same connection is run', async () => {
  const body = ' '.repeat(70_000);
  const before = reads.length;
  const answer = await exchange(
    `${headOf(`Content-Length: ${body.length}\r\n`)}${body}${headOf('Content-Length: 7\r\n')}"second"`,
    900,
  );
  assert.equal(statusOf(answer), '413');
  assert.equal(answer.split('HTTP/1.1 ').length, 2, 'one answer');
  assert.equal(reads.length, before);
});

test('requests one after the other and in one piece share a connection', async () => {
  const one = `${headOf('Content-Length: 2\r\n')}{}`;
  const answer = await exchange(one + one + one, 300);
  assert.equal(answer.split('HTTP/1.1 200').length, 4);
});

test('a request behind another one runs when that is answered, and a connection has only so many that wait', async () => {
  const { promise, resolve: release } = Promise.withResolvers<void>();
  hold = promise;
  try {
    const one = (word: string) => `${headOf(`Content-Length: ${word.length}\r\n`)}${word}`;
    const before = reads.length;
    const [patient, greedy] = [await dial(), await dial()];
    patient.socket.write(one('first') + one('second') + one('third'));
    await wait(100);
    assert.deepEqual(reads.slice(before), ['first']);
    greedy.socket.write(one('other').repeat(30));
    await greedy.closed;
    assert.deepEqual(reads.slice(before), ['first', 'other'], 'nobody learns what became of the others');
    release();
    await wait(100);
    assert.deepEqual(reads.slice(before), ['first', 'other', 'second', 'third']);
    assert.equal(patient.text().split('HTTP/1.1 200').length, 4);
    patient.socket.destroy();
  } finally {
    release();
    hold = Promise.resolve();
  }
});

test('a body in many pieces, chunked or not, is put together', async () => {
  const { socket, text } = await dial();
  socket.write(headOf('Transfer-Encoding: chunked\r\n'));
  for (const piece of ['3\r\n{"a\r\n', '2\r\n":\r\n', '2\r\n1}\r\n', '0\r\nX-Trailer: y\r\n\r\n']) {
    socket.write(piece);
    await wait(10);
  }
  socket.write(headOf('Content-Length: 6\r\n'));
  for (const piece of ['{"b', '":', '2']) {
    socket.write(piece);
    await wait(10);
  }
  await wait(50);
  assert.equal(text().split('HTTP/1.1 200').length, 3);
  assert.deepEqual(reads.slice(-2), ['{"a":1}', '{"b":2']);
  socket.destroy();
});

test('a client that does not read its answer is cut, while another is served', async () => {
  answerBytes = 32 * 1_048_576;
  const { socket, closed } = await dial();
  socket.pause();
  socket.removeAllListeners('data');
  socket.write(`${headOf('Content-Length: 2\r\n')}{}`);
  await wait(100);
  answerBytes = 2;
  const cut = new Promise((resolve) => server.once('connection', () => resolve(null)));
  const started = performance.now();
  assert.equal(statusOf(await exchange(`${headOf('Content-Length: 2\r\n')}{}`, 200)), '200');
  assert.ok(performance.now() - started < 1_000);
  await cut;
  let open = 2;
  for (let i = 0; i < 40 && open > 0; i++) {
    await wait(50);
    open = await new Promise<number>((resolve) => server.getConnections((_e, n) => resolve(n)));
  }
  assert.equal(open, 0, 'the unread connection is gone');
  socket.destroy();
  await closed;
});

test('200 slow heads and 50 slow bodies do not keep a healthy client waiting a second', async () => {
  const slow: Connection[] = [];
  // A few at a time: on a busy machine 250 handshakes at once would not end within the handshake's own time-out.
  while (slow.length < 250) slow.push(...(await Promise.all(Array.from({ length: 10 }, () => dial()))));
  for (const [i, { socket }] of slow.entries())
    if (!socket.destroyed) socket.write(i < 200 ? 'POST /mcp HT' : `${headOf('Content-Length: 50\r\n')}{`);
  for (let i = 0; i < 3; i++) {
    const started = performance.now();
    const { socket, text } = await dial();
    socket.write(`${headOf('Content-Length: 2\r\n')}{}`);
    while (!text().includes('\r\n\r\nok') && performance.now() - started < 2_000) await wait(5);
    assert.ok(performance.now() - started < 1_000, `${performance.now() - started} ms`);
    socket.destroy();
  }
  await Promise.all(slow.map(({ closed }) => closed));
});

test('a body can be asked for only once', () => {
  const source = nodeBody({ headers: {} } as never);
  assert.deepEqual(source.read({ maxBytes: 1, timeoutMs: 1 }), new Uint8Array(0));
  assert.throws(() => source.read({ maxBytes: 1, timeoutMs: 1 }) as BodyFault, /second time/);
});
