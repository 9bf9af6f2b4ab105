import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as FirstClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as FirstStdio } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as FirstHttp } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { type Dispatcher, request, fetch as undiciFetch } from 'undici';
import { AskingUpstream, FORM, startAsking } from './asking-upstream.ts';
import { type Quickstart, READ, WRITE } from './quickstart.ts';
import { endings, recordsOf } from './recorded.ts';

const root = join(import.meta.dirname, '../..');
const LONG = 'everything__trigger-long-running-operation';
let upstream: AskingUpstream;
let quickstart: Quickstart;
let bob: string;

before(async () => {
  upstream = await AskingUpstream.start();
  quickstart = await startAsking(upstream, { everything: true });
  bob = await quickstart.token('bob', WRITE);
});
after(async () => {
  await quickstart?.close();
  await upstream?.close();
});

const info = { name: 'e2e', version: '1.0.0' };
const stdio = () => ({
  command: process.execPath,
  args: [join(root, 'bin/gatewrit.mjs'), 'stdio', '--home', quickstart.gateway.home, '--as', 'bob'],
  stderr: 'inherit' as const,
});
/** fetch that trusts the gateway's authority. */
const trusting = (input: string | URL, init?: RequestInit) =>
  undiciFetch(input, { ...init, dispatcher: quickstart.gateway.agent } as Parameters<
    typeof undiciFetch
  >[1]) as unknown as Promise<Response>;

/** What both generations of the client have in common, as far as this file uses it. */
type Legacy = Pick<
  FirstClient,
  | 'listTools'
  | 'callTool'
  | 'listPrompts'
  | 'getPrompt'
  | 'listResources'
  | 'readResource'
  | 'ping'
  | 'setLoggingLevel'
  | 'close'
  | 'getServerVersion'
  | 'getServerCapabilities'
>;
type CallParams = Parameters<FirstClient['callTool']>[0];
interface Connected {
  readonly client: Legacy;
  readonly version: () => string | undefined;
  readonly call: (
    params: CallParams,
    options: { onprogress: (heard: { progress: number }) => void },
  ) => Promise<object>;
  /** Over HTTP only. */
  readonly end: (() => Promise<void>) | null;
}

const CLIENTS: Readonly<Record<string, () => Promise<Connected>>> = {
  'of the second generation in legacy mode, over HTTPS': async () => {
    const client = new Client(info, { versionNegotiation: { mode: 'legacy' } });
    const transport = new StreamableHTTPClientTransport(new URL(quickstart.gateway.ready.mcp), {
      fetch: trusting,
      authProvider: { token: async () => bob },
    });
    await client.connect(transport);
    return {
      client: client as unknown as Legacy,
      call: (params, options) => client.callTool(params as never, options),
      version: () => client.getNegotiatedProtocolVersion(),
      end: () => transport.terminateSession(),
    };
  },
  'of the first generation, over HTTPS': async () => {
    const client = new FirstClient(info);
    const transport = new FirstHttp(new URL(quickstart.gateway.ready.mcp), {
      fetch: trusting as never,
      requestInit: { headers: { authorization: `Bearer ${bob}` } },
    });
    await client.connect(transport as never);
    return {
      client,
      call: (params, options) => client.callTool(params, undefined, options),
      version: () => transport.protocolVersion,
      end: () => transport.terminateSession(),
    };
  },
  'of the second generation in legacy mode, through the stdio entry': async () => {
    const client = new Client(info, { versionNegotiation: { mode: 'legacy' } });
    await client.connect(new StdioClientTransport(stdio()));
    return {
      client: client as unknown as Legacy,
      call: (params, options) => client.callTool(params as never, options),
      version: () => client.getNegotiatedProtocolVersion(),
      end: null,
    };
  },
  'of the first generation, through the stdio entry': async () => {
    const client = new FirstClient(info);
    await client.connect(new FirstStdio(stdio()));
    return {
      client,
      call: (params, options) => client.callTool(params, undefined, options),
      version: () => undefined,
      end: null,
    };
  },
};

/** A server that says that it changed is not served until it was compared again; one of a new client's own says so when it starts. */
async function untilServed(client: Legacy): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (let calm = 0; calm < 3; ) {
    const called = client.callTool({ name: 'everything__echo', arguments: { message: 'there?' } });
    const there = await called.then(
      () => true,
      () => false,
    );
    calm = there ? calm + 1 : 0;
    assert.ok(Date.now() < deadline, 'the server was not served in time');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

for (const [which, connect] of Object.entries(CLIENTS)) {
  describe(`the official client ${which}`, () => {
    let connected: Connected;
    let client: Legacy;
    before(async () => {
      connected = await connect();
      client = connected.client;
      await untilServed(client);
    });
    after(() => client?.close());

    test('begins a session of 2025-11-25 and sees who it speaks to', async () => {
      assert.ok(['2025-11-25', undefined].includes(connected.version()));
      assert.equal(client.getServerVersion()?.name, 'gatewrit');
      assert.ok(client.getServerCapabilities()?.tools);
      await client.ping();
      await client.setLoggingLevel('warning');
    });

    test('lists and calls tools, gets prompts, reads resources', async () => {
      const { tools } = await client.listTools();
      assert.ok(tools.some(({ name }) => name === 'everything__echo'));
      const echo = await client.callTool({ name: 'everything__echo', arguments: { message: 'legacy' } });
      assert.match(JSON.stringify(echo.content), /legacy/);
      const { messages } = await client.getPrompt({ name: 'everything__args-prompt', arguments: { city: 'Oslo' } });
      assert.match(JSON.stringify(messages), /Oslo/);
      const { resources } = await client.listResources();
      const { contents } = await client.readResource(resources.find(({ uri }) => uri.startsWith('demo://resource/'))!);
      assert.equal(contents.length, 1);
    });

    test('hears of progress', async () => {
      const heard: number[] = [];
      const onprogress = ({ progress }: { progress: number }) => heard.push(progress);
      const short = { name: LONG, arguments: { duration: 0.4, steps: 2 } };
      const result = await connected.call(short, { onprogress });
      assert.match(JSON.stringify(result), /completed/i);
      assert.ok(heard.length >= 1, `${heard.length} notifications came`);
    });

    // Through the stdio entry the session ends with the pipe.
    if (!which.includes('stdio')) {
      test('ends its session', async () => {
        await connected.end!();
      });
    }
  });
}

test('through the stdio entry a server asks the client in the middle of a call, and hears its answers', async (t) => {
  const client = new FirstClient(info, { capabilities: { elicitation: {}, roots: {} } });
  t.after(() => client.close());
  const asked: string[] = [];
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    asked.push(params.message);
    return { action: 'accept', content: { answer: 'blue' } };
  });
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///work' }] }));
  await client.connect(new FirstStdio(stdio()));
  const questions = {
    one: { method: 'elicitation/create', params: FORM },
    two: { method: 'roots/list', params: {} },
  };
  const { content } = await client.callTool({ name: 'demo__ask', arguments: { questions } });
  assert.deepEqual(asked, [FORM.message]);
  const [said] = content as { text: string }[];
  const { inputResponses } = JSON.parse(said!.text) as { inputResponses: Record<string, object> };
  assert.deepEqual(inputResponses, {
    one: { action: 'accept', content: { answer: 'blue' } },
    two: { roots: [{ uri: 'file:///work' }] },
  });
});

/* Raw requests from here on. */
interface Told {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly text: string;
  readonly json: {
    id?: unknown;
    result?: Record<string, unknown>;
    error?: { code: number; message: string; data?: { code?: string } };
  } & unknown[];
}

async function post(body: unknown, headers: Record<string, string> = {}, token = bob): Promise<Told> {
  return read(await send('POST', headers, token, JSON.stringify(body)));
}
async function read(answer: Dispatcher.ResponseData): Promise<Told> {
  const text = await answer.body.text();
  let json: unknown = {};
  try {
    json = JSON.parse(
      text.startsWith('{') || text.startsWith('[')
        ? text
        : (text
            .match(/^data: (\{.*)$/gm)
            ?.at(-1)
            ?.slice(6) ?? '{}'),
    );
  } catch {}
  return { status: answer.statusCode, headers: answer.headers, text, json: json as Told['json'] };
}
function send(
  method: 'POST' | 'GET' | 'DELETE',
  headers: Record<string, string>,
  token = bob,
  body?: string,
  signal?: AbortSignal,
) {
  return request(quickstart.gateway.ready.mcp, {
    method,
    dispatcher: quickstart.gateway.agent,
    headers: {
      accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      authorization: `Bearer ${token}`,
      ...headers,
    },
    body: body ?? null,
    signal: signal ?? null,
  });
}

const rpc = (id: number | string, method: string, params: object = {}) => ({ jsonrpc: '2.0', id, method, params });
const initialize = (protocolVersion: string, token = bob) =>
  post(rpc(0, 'initialize', { protocolVersion, capabilities: {}, clientInfo: info }), {}, token);

/** A session that has begun; the header that names it, and that of its revision. */
async function session(protocolVersion = '2025-11-25', token = bob): Promise<Record<string, string>> {
  const { headers } = await initialize(protocolVersion, token);
  const named = { 'mcp-session-id': String(headers['mcp-session-id']), 'mcp-protocol-version': protocolVersion };
  const { status, text } = await post({ jsonrpc: '2.0', method: 'notifications/initialized' }, named, token);
  assert.deepEqual([status, text], [202, '']);
  return named;
}

test('initialize settles on the revision asked for, and offers the newest with sessions for any other', async () => {
  for (const [asked, settled] of [
    ['2025-11-25', '2025-11-25'],
    ['2025-06-18', '2025-06-18'],
    ['2025-03-26', '2025-03-26'],
    ['2024-11-05', '2025-11-25'],
    ['2026-07-28', '2025-11-25'],
    ['tomorrow', '2025-11-25'],
  ] as const) {
    const { status, headers, json } = await initialize(asked);
    assert.equal(status, 200, asked);
    assert.equal(json.result?.['protocolVersion'], settled, asked);
    assert.match(String(headers['mcp-session-id']), /^[\x21-\x7e]{20,2048}$/);
    assert.equal(json.result?.['resultType'], undefined);
  }
});

test('a session of another person, a changed one and one that is none are 404 alike, each with a record', async () => {
  const named = await session();
  const alice = await quickstart.token('alice', READ);
  const id = named['mcp-session-id']!;
  const changed = `${id.slice(0, -6)}${id.at(-6) === 'A' ? 'B' : 'A'}${id.slice(-5)}`;
  const refused = [
    await post(rpc(1, 'tools/list'), named, alice),
    await post(rpc(1, 'tools/list'), { 'mcp-session-id': changed }),
    await post(rpc(1, 'tools/list'), { 'mcp-session-id': 'session-1' }),
    await post(rpc(1, 'tools/list'), { ...named, 'mcp-protocol-version': '2025-06-18' }),
    await read(await send('GET', named, alice)),
    await read(await send('DELETE', named, alice)),
  ];
  for (const { status, json } of refused) {
    assert.equal(status, 404);
    assert.equal(json.error?.data?.code, 'SESSION_NOT_FOUND');
  }
  assert.equal((await post(rpc(1, 'tools/list'), named)).status, 200, 'its owner still has it');
});

test('two sessions of one person stand beside each other; DELETE ends one of them, and its stream', async () => {
  const [first, second] = [await session(), await session()];
  const stream = await send('GET', first);
  assert.deepEqual([stream.statusCode, stream.headers['content-type']], [200, 'text/event-stream']);
  const ended = await read(await send('DELETE', first));
  assert.deepEqual([ended.status, ended.text], [200, '']);
  await stream.body.text();
  assert.equal((await post(rpc(1, 'ping'), first)).status, 404);
  assert.deepEqual((await post(rpc(1, 'ping'), second)).json.result, {});
  assert.equal((await read(await send('DELETE', first))).status, 404);
});

test('without a session a legacy request is served, GET and DELETE are not', async () => {
  const { json } = await post(rpc(1, 'tools/call', { name: 'everything__echo', arguments: { message: 'hi' } }));
  assert.match(JSON.stringify(json.result), /hi/);
  for (const method of ['GET', 'DELETE'] as const) {
    const answer = await read(await send(method, {}));
    assert.equal(answer.status, 405, method);
    assert.equal(answer.headers['allow'], 'POST');
  }
});

test('a batch of 2025-03-26 is answered by one array, message by message; a newer session has none', async () => {
  const old = await session('2025-03-26');
  const call = rpc('c', 'tools/call', { name: 'everything__echo', arguments: { message: 'in a batch' } });
  const hidden = rpc('h', 'tools/call', { name: 'no_such_tool', arguments: {} });
  const notice = { jsonrpc: '2.0', method: 'notifications/roots/list_changed' };
  const again = rpc('i', 'initialize', { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: info });
  const { status, json } = await post([rpc(1, 'ping'), call, notice, hidden, again], old);
  assert.equal(status, 200);
  const answers = json as unknown as { id: unknown; result?: object; error?: { code: number } }[];
  assert.deepEqual(
    answers.map(({ id }) => id),
    [1, 'c', 'h', 'i'],
  );
  assert.deepEqual(answers[0]!.result, {});
  assert.match(JSON.stringify(answers[1]), /in a batch/);
  assert.equal(answers[2]!.error?.code, -32602);
  assert.equal(answers[3]!.error?.code, -32600);
  const quiet = await post([notice, notice], old);
  assert.deepEqual([quiet.status, quiet.text], [202, '']);
  assert.equal((await post([rpc(1, 'ping')], await session('2025-06-18'))).status, 400);
  assert.equal((await post(Array(51).fill(rpc(1, 'ping')), old)).status, 400);
});

/** One event stream, read until `enough` says so; the connection is dropped then. */
async function eventsUntil(answer: Dispatcher.ResponseData, enough: (text: string) => boolean): Promise<string> {
  let text = '';
  for await (const chunk of answer.body) {
    text += String(chunk);
    if (enough(text)) break;
  }
  return text;
}
const idsIn = (text: string) => [...text.matchAll(/^id: (.+)$/gm)].map((found) => found[1]!);
const dataIn = (text: string) =>
  [...text.matchAll(/^data: (\{.+)$/gm)].map(
    (found) => JSON.parse(found[1]!) as { id?: unknown; method?: string; params?: { progress: number } },
  );
const long = (id: number, duration: number, steps: number) =>
  rpc(id, 'tools/call', { name: LONG, arguments: { duration, steps }, _meta: { progressToken: `p${id}` } });

test('a client that lost its connection gets the rest of its stream, and nobody else does', async () => {
  const named = await session();
  const lost = await send('POST', named, bob, JSON.stringify(long(5, 1, 4)));
  const heard = await eventsUntil(lost, (text) => dataIn(text).length >= 1);
  assert.match(heard, /^id: .+\nretry: \d+\ndata: \n\n/, 'the first event holds nothing but its id');
  const last = idsIn(heard).at(-1)!;
  const alice = await quickstart.token('alice', READ);
  const others = [
    [await session('2025-11-25', alice), alice],
    [await session(), bob],
  ] as const;
  for (const [other, token] of others) {
    const drop = new AbortController();
    const stream = await send('GET', { ...other, 'last-event-id': last }, token, undefined, drop.signal);
    assert.equal(stream.statusCode, 200, 'a stream of its own');
    setTimeout(() => drop.abort(), 150);
    const text = await eventsUntil(stream, () => false).catch(() => '');
    assert.deepEqual(dataIn(text), []);
  }
  const rest = await eventsUntil(await send('GET', { ...named, 'last-event-id': last }), () => false);
  const messages = dataIn(rest);
  assert.equal(messages.at(-1)?.id, 5, 'its answer comes on the stream of its request');
  const progress = [...dataIn(heard), ...messages].flatMap(({ params }) => (params ? [params.progress] : []));
  assert.deepEqual(
    progress,
    [...new Set(progress)].sort((a, b) => a - b),
    'nothing twice',
  );
  const whole = await eventsUntil(await send('GET', { ...named, 'last-event-id': idsIn(heard)[0]! }), () => false);
  assert.deepEqual(
    dataIn(whole)
      .map(({ id }) => id)
      .filter((id) => id !== undefined),
    [5],
  );
});

test('notifications/cancelled ends the call of its own session alone', async () => {
  const [named, other] = [await session(), await session()];
  const answer = send('POST', named, bob, JSON.stringify(long(7, 20, 40)));
  const text = eventsUntil(await answer, () => false);
  const cancelled = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7, reason: 'enough' } };
  assert.equal((await post(cancelled, other)).status, 202);
  const still = await Promise.race([text, new Promise((resolve) => setTimeout(resolve, 300, 'running'))]);
  assert.equal(still, 'running');
  assert.equal((await post(cancelled, named)).status, 202);
  assert.equal(dataIn(await text).at(-1)?.id, 7);
});

test('a gateway that stops ends the streams of sessions first, and every refused session left a record', async () => {
  const stream = await send('GET', await session());
  const text = stream.body.text();
  const began = performance.now();
  const stopped = quickstart.gateway.stop.bind(quickstart.gateway);
  process.kill(quickstart.gateway.ready.pid, 'SIGTERM');
  assert.match(await text, /^id: /, 'ended in order, not cut');
  await stopped();
  assert.ok(performance.now() - began < 8_000, 'it did not wait for a stream that never ends');
  const ended = endings(await recordsOf(quickstart.gateway.home));
  assert.ok((ended.get('authentication.session') ?? 0) >= 6, JSON.stringify([...ended]));
  assert.ok((ended.get('upstream.cancelled') ?? 0) >= 1);
});
