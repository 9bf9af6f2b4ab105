import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { request } from 'undici';
import { bare } from './bare.ts';
import { Quickstart, READ } from './quickstart.ts';

const MODERN = '2026-07-28';
const LEGACY = ['2025-11-25', '2025-06-18', '2025-03-26'];
const META = { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientCapabilities': {} };
let quickstart: Quickstart;
let token: string;

before(async () => {
  quickstart = await Quickstart.start({ everything: true });
  token = await quickstart.token('alice', READ);
});
after(() => quickstart?.close());

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly json: {
    readonly id?: unknown;
    readonly result?: Readonly<Record<string, unknown>>;
    readonly error?: { readonly code: number; readonly data?: Readonly<Record<string, unknown>> };
  };
}
type Params = Readonly<Record<string, unknown>>;

async function send(method: string, headers: Params, body: unknown): Promise<Answer> {
  const answer = await request(quickstart.gateway.ready.mcp, {
    method: method as 'POST',
    dispatcher: quickstart.gateway.agent,
    headers: {
      authorization: `Bearer ${token}`,
      accept: 'application/json, text/event-stream',
      ...(body === null ? {} : { 'content-type': 'application/json' }),
      ...(headers as Record<string, string>),
    },
    ...(body === null ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.body.text();
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text,
    json: (text.startsWith('{') ? JSON.parse(text) : {}) as Answer['json'],
  };
}

const modern = (method: string, params: Params = {}, headers: Params = {}) => {
  const name = params['name'] ?? params['uri'];
  return send(
    'POST',
    { 'mcp-protocol-version': MODERN, 'mcp-method': method, ...(name ? { 'mcp-name': name } : {}), ...headers },
    { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: META } },
  );
};
/** As a client sends it that holds no session. */
const legacy = (method: string, params: Params = {}, revision: string | null = LEGACY[0]!) =>
  send('POST', revision ? { 'mcp-protocol-version': revision } : {}, { jsonrpc: '2.0', id: 1, method, params });

const SEARCH = { name: 'readonly__jira_search', arguments: { jql: 'project = OPS' } };

test('one endpoint, one token, one connection: each request has the era it says, and its answer is in its words', async () => {
  for (let round = 0; round < 2; round++) {
    const now = await modern('tools/call', SEARCH);
    assert.equal(now.status, 200, now.text);
    assert.ok(!now.json.result?.['isError'], now.text);
    assert.equal(now.json.result?.['resultType'], 'complete', now.text);
    for (const revision of [...LEGACY, null]) {
      const then = await legacy('tools/call', SEARCH, revision);
      assert.equal(then.status, 200, then.text);
      const { resultType: _, ...rest } = bare(now.json.result);
      assert.deepEqual(bare(then.json.result), rest, String(revision));
    }
  }
});

test('lists say how long they may be kept to a modern client alone, and promise structured output to all but the oldest', async () => {
  const now = (await modern('tools/list')).json.result!;
  assert.equal(now['resultType'], 'complete');
  assert.equal(now['cacheScope'], 'private');
  assert.equal(typeof now['ttlMs'], 'number');
  const tools = now['tools'] as Params[];
  for (const revision of LEGACY) {
    const result = (await legacy('tools/list', {}, revision)).json.result ?? {};
    for (const word of ['resultType', 'ttlMs', 'cacheScope']) assert.equal(result[word], undefined, word);
    const expected = revision === '2025-03-26' ? tools.map(({ outputSchema: _, ...tool }) => tool) : tools;
    assert.deepEqual(result['tools'], expected, revision);
  }
});

test('the same fault is told in the words of each era', async () => {
  const told = ({ status, json }: Answer) => [status, json.error?.code];
  for (const method of ['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe'])
    assert.deepEqual(told(await modern(method, { uri: 'x' })), [404, -32601], method);
  for (const method of ['server/discover', 'subscriptions/listen', 'no/such'])
    assert.deepEqual(told(await legacy(method, { notifications: {} })), [200, -32601], method);
  const missing = { uri: 'file:///nowhere' };
  const [now, then] = [await modern('resources/read', missing), await legacy('resources/read', missing)];
  assert.deepEqual(
    [told(now), told(then)],
    [
      [200, -32602],
      [200, -32002],
    ],
  );
  assert.deepEqual([now.json.error?.data, then.json.error?.data], [missing, missing]);
  const invalid = { ...SEARCH, arguments: { jql: 7 } };
  for (const { status, json } of [await modern('tools/call', invalid), await legacy('tools/call', invalid)]) {
    assert.equal(status, 200);
    assert.equal(json.result?.['isError'], true);
    assert.equal(json.id, 1);
  }
});

test('a broken modern request is an error, never taken for an older one', async () => {
  const body = (_meta: Params) => ({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta } });
  const now = { 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/list' };
  const cases: [string, Params, unknown, number][] = [
    ['no envelope', now, body({}), -32602],
    ['half an envelope', now, body({ 'io.modelcontextprotocol/protocolVersion': MODERN }), -32602],
    ['an older header', { 'mcp-protocol-version': '2025-11-25' }, body(META), -32020],
    ['no headers', {}, body(META), -32020],
    ['a handshake', { 'mcp-protocol-version': MODERN }, { jsonrpc: '2.0', id: 1, method: 'initialize' }, -32020],
    ['an array', now, [body(META)], -32600],
    ['a response', now, { jsonrpc: '2.0', id: 1, result: {} }, -32600],
  ];
  for (const [why, headers, message, code] of cases) {
    const { status, json, text } = await send('POST', headers, message);
    assert.deepEqual([status, json.error?.code], [400, code], `${why}: ${text}`);
  }
  const future = '2031-01-01';
  const later = await send(
    'POST',
    { 'mcp-protocol-version': future, 'mcp-method': 'tools/list' },
    body({ ...META, 'io.modelcontextprotocol/protocolVersion': future }),
  );
  assert.deepEqual([later.status, later.json.error?.code], [400, -32022]);
  assert.deepEqual(later.json.error?.data?.['supported'], [MODERN]);
  const unknown = await legacy('tools/list', {}, '2024-10-07');
  assert.deepEqual([unknown.status, unknown.json.error?.code], [400, -32600]);
});

test('GET and DELETE are for legacy sessions: under a modern header, or without a session, they are not allowed', async () => {
  for (const method of ['GET', 'DELETE']) {
    for (const headers of [{ 'mcp-protocol-version': MODERN }, {}]) {
      const { status, headers: sent } = await send(method, headers, null);
      assert.equal(status, 405, method);
      assert.match(String(sent['allow']), /POST/);
    }
    const { status } = await send(method, { authorization: '' }, null);
    assert.equal(status, 401, 'whoever is not known learns only that');
  }
});

test('a notification of either era is acknowledged by its status alone', async () => {
  const cancelled = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 77 } };
  for (const headers of [{ 'mcp-protocol-version': MODERN }, { 'mcp-protocol-version': LEGACY[0] }, {}]) {
    const { status, text } = await send('POST', headers, cancelled);
    assert.deepEqual([status, text], [202, '']);
  }
});
