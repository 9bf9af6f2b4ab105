import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, test } from 'node:test';
import { type Dispatcher, request } from 'undici';
import type { Call, Client, Message, Principal, Revision } from '../../core/call.ts';
import type { WireAnswer } from '../../core/mcp/wire.ts';
import { mcpFront } from './front.ts';

const closing: (() => void)[] = [];
after(() => {
  for (const close of closing) close();
});

/** The front alone, before a handler that does with a call what a test says. */
async function front(handle: (call: Call) => Promise<Partial<WireAnswer>>): Promise<string> {
  const serve = mcpFront({
    handler: {
      handle: async (call) => ({
        answer: { status: 200, retryAfter: 0, body: Buffer.from('{}'), ...(await handle(call)) },
        challenge: '',
      }),
    },
    headers: { common: ['X-Ours', '1'] },
    body: () => ({ done: true, read: () => new Uint8Array(0) }),
    clock: () => ({ utc: Date.now(), mono: performance.now() }),
    maxBufferedBytes: 1024 * 1024,
    keepAliveMs: 20,
  });
  const server = createServer((req, res) => {
    req.resume();
    serve(req, res);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
}

/** What the stages before would have left: whose call it is, of which revision, in which session. */
function arrived(call: Call, revision: Revision, session: string | null = 'session'): void {
  call.principal = { key: String(call.head.headers['x-who'] ?? 'alice') } as Principal;
  call.client = { revision, session: session === null ? null : { id: session, expiresAt: 0 } } as Client;
  if (call.head.method === 'POST') call.message = { revision, kind: 'request' } as Message;
}
const send = (
  url: string,
  method: 'POST' | 'GET' | 'DELETE',
  headers: Record<string, string> = {},
  signal?: AbortSignal,
) =>
  request(url, {
    method,
    headers: { accept: 'application/json, text/event-stream', ...headers },
    signal: signal ?? null,
  });
const said = (word: string) => Buffer.from(`{"said":"${word}"}`);
const words = (text: string) => [...text.matchAll(/^data: \{"said":"(.*)"\}$/gm)].map((found) => found[1]);
const ids = (text: string) => [...text.matchAll(/^id: (.*)$/gm)].map((found) => found[1]!);
async function upTo(answer: Dispatcher.ResponseData, word: string): Promise<string> {
  let text = '';
  for await (const chunk of answer.body) {
    text += String(chunk);
    if (text.includes(word)) break;
  }
  return text;
}
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('a client that reads events hears them, in whatever case it says so', async () => {
  const url = await front(async (call) => {
    call.events?.(said('news'));
    return {};
  });
  for (const accept of ['Application/JSON, Text/Event-Stream', 'application/json, TEXT/*', '*/*']) {
    const { body } = await send(url, 'POST', { accept });
    assert.deepEqual(words(await body.text()), ['news'], accept);
  }
  const { body } = await send(url, 'POST', { accept: 'application/json' });
  assert.equal(await body.text(), '{}');
});

test('a call that says nothing is answered in one piece, one that does by a stream, with ids only where they can be used', async () => {
  for (const [revision, session, resumable] of [
    ['2026-07-28', null, false],
    ['2025-11-25', 'session', true],
    ['2025-11-25', null, false],
    ['2025-06-18', 'session', false],
  ] as const) {
    const url = await front(async (call) => {
      arrived(call, revision, session);
      if (call.head.headers['x-say']) call.events!(said('news'));
      return { body: said('answer') };
    });
    const quiet = await send(url, 'POST');
    assert.deepEqual(
      [quiet.headers['content-type'], await quiet.body.text()],
      ['application/json', '{"said":"answer"}'],
    );
    const loud = await send(url, 'POST', { 'x-say': '1' });
    assert.deepEqual([loud.headers['content-type'], loud.headers['x-accel-buffering']], ['text/event-stream', 'no']);
    const text = await loud.body.text();
    assert.deepEqual(words(text), ['news', 'answer']);
    assert.equal(ids(text).length, resumable ? 3 : 0, `${revision} ${session}`);
    assert.equal(new Set(ids(text)).size, ids(text).length);
    if (resumable) assert.match(text, /^id: [\w-]{22}\.0\nretry: \d+\ndata: \n\n/);
  }
});

test('a modern call ends with its connection, a legacy one runs on', async () => {
  for (const [revision, ends] of [
    ['2026-07-28', true],
    ['2025-11-25', false],
    ['2025-03-26', false],
  ] as const) {
    const calls: Call[] = [];
    const url = await front(async (call) => {
      arrived(call, revision);
      calls.push(call);
      call.events!(said('news'));
      await new Promise<void>((resolve) => {
        call.signal.addEventListener('abort', () => resolve());
        setTimeout(resolve, 150);
      });
      return {};
    });
    await upTo(await send(url, 'POST'), 'news');
    await pause(50);
    assert.equal(calls[0]!.signal.aborted, ends, revision);
  }
});

test('a session that began is named in the answer; one that was ended takes its streams with it', async () => {
  let call: Call | undefined;
  const url = await front(async (arriving) => {
    call = arriving;
    arrived(call, '2025-11-25');
    if (call.head.method === 'DELETE') return { body: new Uint8Array(0) };
    if (call.stream) {
      if (!call.stream.resume()) call.stream.begin();
      return {};
    }
    call.opened = 's1.sealed';
    if (call.head.headers['x-say']) call.events!(said('news'));
    return { body: said('answer') };
  });
  const { headers } = await send(url, 'POST');
  assert.equal(headers['mcp-session-id'], 's1.sealed');
  const [, first] = ids(await (await send(url, 'POST', { 'x-say': '1' })).body.text());
  const again = async () => words(await (await send(url, 'GET', { 'last-event-id': first! })).body.text());
  assert.deepEqual(await again(), ['answer']);
  const ended = await send(url, 'DELETE');
  assert.deepEqual([ended.statusCode, await ended.body.text()], [200, '']);
  assert.deepEqual(await again(), []);
});

/** A front whose GET streams say what the test tells them to. */
async function streams() {
  const open: Call[] = [];
  const url = await front(async (call) => {
    arrived(call, '2025-11-25');
    const rest = call.stream!.resume();
    if (rest) {
      await rest;
      return { body: new Uint8Array(0) };
    }
    open.push(call);
    call.stream!.begin();
    await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve()));
    return { body: new Uint8Array(0) };
  });
  return { url, open };
}

test('the stream of a session is there at once, comes back where it broke off, and writes nothing but events', async () => {
  const { url, open } = await streams();
  const first = await send(url, 'GET');
  assert.equal(first.statusCode, 200);
  open[0]!.events!(said('one'));
  open[0]!.events!(said('two'));
  const heard = await upTo(first, 'two');
  await pause(20);
  assert.equal(open[0]!.signal.aborted, true, 'the connection was its whole life');
  const named = ids(heard).find((_, i, all) => i === all.length - 2)!;
  const second = await send(url, 'GET', { 'last-event-id': named });
  await pause(20);
  open[1]!.events!(said('three'));
  const rest = await upTo(second, 'three');
  assert.deepEqual(
    [words(heard), words(rest)],
    [
      ['one', 'two'],
      ['two', 'three'],
    ],
  );
  assert.equal(ids(rest)[0]!.split('.')[0], named.split('.')[0], 'it is the same stream');
});

test('who takes over a stream that is still open ends the connection that held it', async () => {
  const { url, open } = await streams();
  const first = await send(url, 'GET');
  open[0]!.events!(said('one'));
  let text = '';
  const reading = (async () => {
    for await (const chunk of first.body) text += String(chunk);
  })();
  while (ids(text).length < 2) await pause(5);
  const second = await send(url, 'GET', { 'last-event-id': ids(text)[0]! });
  await reading;
  open[1]!.events!(said('two'));
  assert.deepEqual(words(await upTo(second, 'two')), ['one', 'two']);
  assert.deepEqual(words(text), ['one']);
});

test('an id of somebody else’s stream, or of none, begins a stream of its own', async () => {
  const { url, open } = await streams();
  const first = await send(url, 'GET');
  open[0]!.events!(said('secret'));
  const [id] = ids(await upTo(first, 'secret'));
  for (const [i, headers] of [{ 'last-event-id': id!, 'x-who': 'mallory' }, { 'last-event-id': 'x' }].entries()) {
    const stream = await send(url, 'GET', headers);
    open[i + 1]!.events!(said('own'));
    assert.deepEqual(words(await upTo(stream, 'own')), ['own']);
  }
});

test('a stream that says nothing says so from time to time', async () => {
  const { url } = await streams();
  const text = await upTo(await send(url, 'GET'), ': keep-alive\n\n: keep-alive');
  assert.deepEqual(words(text), []);
});

test('an answer larger than what may wait for a client arrives whole on a stream that has begun', async () => {
  const answer = said('x'.repeat(8 * 1024 * 1024));
  for (const revision of ['2026-07-28', '2025-11-25', '2025-06-18'] as const) {
    const url = await front(async (call) => {
      arrived(call, revision);
      call.events!(said('news'));
      await pause(20);
      return { body: answer };
    });
    const text = await (await send(url, 'POST')).body.text();
    assert.deepEqual(
      words(text).map((word) => word!.length),
      [4, 8 * 1024 * 1024],
      revision,
    );
  }
});

test('a client that does not read is cut as soon as more waits for it than may', async () => {
  let most = 0;
  const url = await front(async (call) => {
    arrived(call, '2026-07-28');
    const event = said('x'.repeat(64 * 1024));
    for (; most < 1_000 && !call.signal.aborted; most++) {
      call.events!(event);
      await pause(1);
    }
    return { body: said('answer') };
  });
  const { port } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1');
  closing.push(() => socket.destroy());
  socket.write(`POST /mcp HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\ncontent-length: 0\r\n\r\n`);
  for (let tries = 0; most < 1_000 && tries < 500; tries++) {
    const before = most;
    await pause(20);
    if (most > 0 && most === before) break;
  }
  assert.ok(most > 0 && most < 1_000, `${most} events went out to nobody`);
});
