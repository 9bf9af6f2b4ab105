import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { after, test } from 'node:test';
import { runStdioEntry } from './entry.ts';

/** One request as the gateway's side of this test sees it. */
interface Seen {
  readonly method: string;
  readonly session: string | undefined;
  readonly version: string | undefined;
  readonly last: string | undefined;
  readonly body: { readonly id?: number; readonly method?: string; readonly result?: unknown };
}
type Answering = (seen: Seen, res: ServerResponse) => void;

const open: { close(): void }[] = [];
after(() => {
  for (const one of open) one.close();
});

/** A place that answers as `answering` says, and the entry in front of it. */
async function entry(answering: Answering) {
  const seen: Seen[] = [];
  const server = createServer((req, res) => {
    void read(req).then((body) => {
      const text = (name: string) => req.headers[name] as string | undefined;
      const one = {
        method: req.method ?? '',
        session: text('mcp-session-id'),
        version: text('mcp-protocol-version'),
        last: text('last-event-id'),
        body: (body === '' ? {} : JSON.parse(body)) as Seen['body'],
      };
      seen.push(one);
      answering(one, res);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({ close: () => server.closeAllConnections() }, server);
  const [input, output] = [new PassThrough(), new PassThrough()];
  const written: Record<string, unknown>[] = [];
  let wake = () => {};
  output.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().split('\n').filter(Boolean))
      written.push(...([JSON.parse(line)].flat() as Record<string, unknown>[]));
    wake();
  });
  const diagnostics: string[] = [];
  const done = runStdioEntry({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    tokens: { token: async () => 'token' },
    input,
    output,
    onDiagnostic: (line) => diagnostics.push(line),
  });
  return {
    seen,
    written,
    diagnostics,
    say: (message: object) => input.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`),
    write: (line: string) => input.write(`${line}\n`),
    /** Resolves when `there` is. */
    async until(there: () => boolean) {
      const deadline = Date.now() + 5_000;
      while (!there()) {
        assert.ok(Date.now() < deadline, `not in time: ${JSON.stringify({ seen, written, diagnostics })}`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 10);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    },
    async end() {
      input.end();
      await done;
    },
  };
}

async function read(req: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of req) text += String(chunk);
  return text;
}

const json = (res: ServerResponse, value: object, status = 200, headers = {}) =>
  res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
const events = (res: ServerResponse) => res.writeHead(200, { 'content-type': 'text/event-stream' });
const event = (id: string, message: object) =>
  `id: ${id}\nevent: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`;
const result = (id: unknown, value: object = {}) => ({ jsonrpc: '2.0', id, result: value });

/** Sessions by count, their streams open, and `more` for what a test is about; it says whether it has answered. */
function gateway(more: (seen: Seen, res: ServerResponse, current: string) => boolean = () => false): Answering {
  let begun = 0;
  return (seen, res) => {
    const { method, body } = seen;
    if (body.method === 'initialize') {
      const headers = { 'mcp-session-id': `session-${++begun}` };
      return void json(res, result(body.id, { protocolVersion: '2025-11-25' }), 200, headers);
    }
    if (more(seen, res, `session-${begun}`)) return;
    if (method === 'GET') return void events(res).flushHeaders();
    if (method === 'DELETE') return void res.writeHead(200).end();
    if (body.id === undefined || body.method === undefined) return void res.writeHead(202).end();
    json(res, result(body.id));
  };
}
const initialize = { id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {} } };

test('the session a legacy client begins goes with all it says, its stream is heard, and it is ended at last', async () => {
  let stream: ServerResponse | null = null;
  const one = await entry(
    gateway((seen, res) => {
      if (seen.method !== 'GET') return false;
      stream = res;
      events(res).write('id: a.0\nretry: 50\ndata: \n\n');
      return true;
    }),
  );
  one.say(initialize);
  await one.until(() => one.written.length === 1);
  assert.deepEqual(one.written[0], result(1, { protocolVersion: '2025-11-25' }));
  one.say({ method: 'notifications/initialized' });
  await one.until(() => stream !== null);
  stream!.write(event('a.1', { id: 'r1', method: 'roots/list' }));
  await one.until(() => one.written.length === 2);
  assert.equal(one.written[1]!['method'], 'roots/list', 'an event without data is no message');
  one.say({ id: 'r1', result: { roots: [] } });
  one.say({ method: 'notifications/cancelled', params: { requestId: 9 } });
  one.say({ id: 2, method: 'ping' });
  await one.until(() => one.written.length === 3);
  await one.end();
  const [first, ...rest] = one.seen;
  assert.deepEqual([first!.session, first!.version], [undefined, undefined]);
  for (const { session, version } of rest) assert.deepEqual([session, version], ['session-1', '2025-11-25']);
  assert.deepEqual(rest.map(({ method, body }) => body.method ?? (method === 'POST' ? 'answer' : method)).sort(), [
    'DELETE',
    'GET',
    'answer',
    'notifications/cancelled',
    'notifications/initialized',
    'ping',
  ]);
  assert.deepEqual(one.diagnostics, []);
});

test('the stream of the session comes back where it broke off', async () => {
  let streams = 0;
  const one = await entry(
    gateway((seen, res) => {
      if (seen.method !== 'GET') return false;
      events(res);
      if (++streams === 1) res.end(`retry: 10\n${event('a.1', { method: 'notifications/message' })}`);
      else res.write(event('a.2', { method: 'notifications/message' }));
      return true;
    }),
  );
  one.say(initialize);
  one.say({ method: 'notifications/initialized' });
  await one.until(() => one.written.length === 3);
  assert.deepEqual(
    one.seen.filter(({ method }) => method === 'GET').map(({ last }) => last),
    [undefined, 'a.1'],
  );
  await one.end();
});

test('an answer whose stream broke off is asked for again; one that cannot be is an error, not silence', async () => {
  const one = await entry(
    gateway((seen, res) => {
      if (seen.body.id === 2) events(res).end(`retry: 10\n${event('b.1', { method: 'notifications/progress' })}`);
      else if (seen.body.id === 3)
        events(res).end(`event: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n`);
      else if (seen.last === 'b.1') events(res).end(event('b.2', { id: 2, result: { late: true } }));
      else return false;
      return true;
    }),
  );
  one.say(initialize);
  one.say({ id: 2, method: 'tools/call' });
  await one.until(() => one.written.length === 3);
  assert.deepEqual(one.written[2], result(2, { late: true }));
  one.say({ id: 3, method: 'tools/call' });
  await one.until(() => one.written.length === 5);
  assert.equal((one.written[4]!['error'] as { code: number }).code, -32603);
  await one.end();
});

test('a session the gateway no longer knows is begun once more with the client’s own words, and nothing is lost', async () => {
  let restarted = false;
  const one = await entry(
    gateway((seen, res, current) => {
      if (!restarted || seen.session === 'session-2') return false;
      assert.equal(seen.session, 'session-1', current);
      json(res, { jsonrpc: '2.0', error: { code: -32600, message: 'no such session' } }, 404);
      return true;
    }),
  );
  one.say(initialize);
  await one.until(() => one.written.length === 1);
  restarted = true;
  for (const id of [2, 3, 4]) one.say({ id, method: 'ping' });
  await one.until(() => one.written.length === 4);
  assert.deepEqual(
    one.written
      .slice(1)
      .map(({ id, result: value }) => [id, value])
      .sort(),
    [2, 3, 4].map((id) => [id, {}]),
  );
  const begun = one.seen.filter(({ body }) => body.method === 'initialize');
  assert.equal(begun.length, 2);
  assert.deepEqual(begun[1]!.body, begun[0]!.body);
  assert.equal(one.written.filter(({ id }) => id === 1).length, 1, 'the client has one answer to its one initialize');
  await one.end();
  assert.equal(one.seen.at(-1)!.session, 'session-2');
});

test('when it cannot be begun again the client is told, once for each request', async () => {
  const one = await entry((seen, res) => {
    if (seen.body.method === 'initialize' && one.written.length === 0)
      return void json(res, result(1, { protocolVersion: '2025-11-25' }), 200, { 'mcp-session-id': 'session-1' });
    json(res, { jsonrpc: '2.0', error: { code: -32600, message: 'no' } }, 404);
  });
  one.say(initialize);
  await one.until(() => one.written.length === 1);
  one.say({ id: 2, method: 'ping' });
  await one.until(() => one.written.length === 2);
  assert.equal(one.written[1]!['id'], 2);
  assert.ok(one.written[1]!['error']);
  await one.end();
});

test('a modern client has no session: its cancellation drops the connection, and nothing is ended at last', async () => {
  let dropped = false;
  const one = await entry((seen, res) => {
    if (seen.body.id === 2) return void json(res, result(2));
    res.once('close', () => {
      dropped = true;
    });
    events(res).write(event('a', { method: 'notifications/progress' }));
  });
  one.say({ id: 1, method: 'tools/call', params: { name: 'x' } });
  await one.until(() => one.written.length === 1);
  one.say({ method: 'notifications/cancelled', params: { requestId: 1 } });
  await one.until(() => dropped);
  one.say({ id: 2, method: 'tools/list' });
  await one.until(() => one.written.length === 2);
  await one.end();
  assert.deepEqual(
    one.seen.map(({ method, session }) => [method, session]),
    [
      ['POST', undefined],
      ['POST', undefined],
    ],
  );
});

test('a batch of a session goes on whole; refused, or not answered, it is said of each of its requests', async () => {
  const one = await entry(
    gateway(({ body }, res) => {
      if (!Array.isArray(body)) return false;
      const ids = (body as Seen['body'][]).flatMap(({ id }) => (id === undefined ? [] : [id]));
      if (ids.includes(4)) json(res, { jsonrpc: '2.0', error: { code: -32600, message: 'No batches.' } }, 400);
      else if (ids.includes(6)) res.destroy();
      else
        json(
          res,
          ids.map((id) => result(id)),
        );
      return true;
    }),
  );
  const ask = (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"ping"}`;
  one.write('[{"jsonrpc":"2.0","id":0,"method":"ping"}]');
  await one.until(() => one.written.length === 1);
  assert.equal((one.written[0]!['error'] as { code: number }).code, -32700, 'there is no session yet');
  one.say(initialize);
  await one.until(() => one.written.length === 2);
  one.write(`[${ask(2)},{"jsonrpc":"2.0","method":"notifications/x"},${ask(3)}]`);
  await one.until(() => one.written.length === 4);
  assert.deepEqual(one.written.slice(2), [result(2), result(3)]);
  one.write(`[${ask(4)},7,${ask(5)}]`);
  await one.until(() => one.written.length === 6);
  assert.deepEqual(
    one.written.slice(4).map(({ id, error }) => [id, (error as { code: number }).code]),
    [
      [4, -32600],
      [5, -32600],
    ],
  );
  one.write(`[${ask(6)}]`);
  await one.until(() => one.written.length === 7);
  assert.equal(one.written[6]!['id'], 6);
  await one.end();
});

test('a client that goes while it listens leaves nothing running; what it asked before is answered', {
  timeout: 5_000,
}, async () => {
  let release = () => {};
  const one = await entry(({ body }, res) => {
    if (body.method === 'subscriptions/listen') return void events(res).flushHeaders();
    release = () => json(res, result(body.id));
  });
  one.say({ id: 1, method: 'subscriptions/listen', params: { notifications: {} } });
  one.say({ id: 2, method: 'tools/list', params: {} });
  await one.until(() => one.seen.length === 2);
  const ended = one.end();
  setTimeout(release, 50);
  await ended;
  assert.deepEqual(
    one.written.map(({ id }) => id),
    [2],
  );
});

test('why the gateway cannot be reached is said, also where fetch hides it', async () => {
  const saidOf = async (code: string, message: string) => {
    const cause = Object.assign(new Error(message), { code });
    const [input, output] = [new PassThrough(), new PassThrough()];
    const diagnostics: string[] = [];
    const done = runStdioEntry({
      url: 'https://gateway.test/mcp',
      tokens: { token: () => Promise.reject(new TypeError('fetch failed', { cause })) },
      input,
      output,
      onDiagnostic: (line) => diagnostics.push(line),
    });
    input.end('{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n');
    await done;
    return { log: diagnostics.join('\n'), answer: String(output.read()) };
  };
  const gone = await saidOf('ENOTFOUND', 'getaddrinfo ENOTFOUND gateway.test');
  assert.equal(
    gone.log,
    'the gateway at https://gateway.test/mcp cannot be reached: getaddrinfo ENOTFOUND gateway.test',
  );
  const strange = await saidOf('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain');
  assert.match(strange.log, /not trusted here \(self-signed .*\); name its authority with --ca FILE$/);
  assert.match(strange.answer, /--ca FILE/, 'the client is told too: many hide what goes to stderr');
});
