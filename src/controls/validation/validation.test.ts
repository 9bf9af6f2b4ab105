import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { Arguments, CallWith, Message, Target, WayIn } from '../../core/call.ts';
import { argumentsDigest } from '../../core/mcp/arguments-digest.ts';
import { encodeRefusal } from '../../core/mcp/wire.ts';
import { Refusal } from '../../core/stage.ts';
import { openEphemeralMemory } from '../../core/store/ephemeral-memory.ts';
import { openValidation, validationSettings, weakValidation } from './index.ts';

const settings = validationSettings.parse({});
const rounds = { keys: [{ kid: 'k', secret: randomBytes(32) }] as const, ephemeral: openEphemeralMemory(), since: 0 };
const validation = openValidation({ settings, ...rounds });
const now = { utc: 1_795_000_000_000, mono: 0 };
const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
const FULL = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'pg__query' };

type Headers = Readonly<Record<string, string | string[]>>;

function callWith(body: string | Uint8Array, headers: Headers, way: WayIn = 'http') {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  return { id: 'c', way, body: bytes, head: { headers } } as unknown as CallWith<'endpoint' | 'principal' | 'body'>;
}

function judge(body: string | Uint8Array, headers: Headers = FULL, way: WayIn = 'http'): Message | Refusal {
  const left = validation.stages.message.run(callWith(body, headers, way), now);
  assert.ok(!(left instanceof Promise), 'the stage must not wait');
  return left as Message | Refusal;
}

function refusedAs(code: string, body: string | Uint8Array, headers: Headers = FULL): Refusal {
  const left = judge(body, headers);
  assert.ok(left instanceof Refusal, `taken: ${String(body).slice(0, 300)}`);
  assert.equal(left.code, code, `${String(body).slice(0, 300)} ${left.facts.text}`);
  return left;
}

const request = (params: string, method = 'tools/call', id = '7') =>
  `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{${params}}}`;
const legacy = (method: string, params = '') => request(params, method);
const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{}}}';
const errorOf = (refusal: Refusal) =>
  (JSON.parse(Buffer.from(encodeRefusal(callWith('', {}), refusal).body).toString()) as { error: { code: number } })
    .error;
const toolCall = (args = '{}') => request(`"name":"pg__query","arguments":${args},${META}`);

test('a whole call leaves a message that points into its own bytes', () => {
  const message = judge(toolCall('{"sql":"select 1"}'));
  assert.ok(!(message instanceof Refusal), JSON.stringify(message));
  assert.equal(message.kind, 'request');
  assert.equal(message.id, 7);
  assert.equal(message.name, 'pg__query');
  assert.equal(message.revision, '2026-07-28');
  const span = message.spans.arguments!;
  assert.equal(Buffer.from(message.bytes.subarray(span.start, span.end)).toString(), '{"sql":"select 1"}');
  assert.deepEqual(message.params['arguments'], { sql: 'select 1' });
  assert.equal(message.spans.metaMembers.size, 2);
});

test('one member twice, one name in disguise, broken bytes and whole batches never become a message (JS-01 to JS-05)', () => {
  refusedAs('validation.duplicate_key', `{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{${META}}}`);
  refusedAs('validation.duplicate_key', toolCall('{"a":{"b":{"c":1,"\\u0063":2}}}'));
  refusedAs('validation.envelope', toolCall().replace('"method"', '"Method"'));
  refusedAs('validation.envelope', toolCall().replace('"name"', '"NAME"'));
  refusedAs('validation.encoding', Buffer.from([0xff]));
  refusedAs('validation.json', '{"jsonrpc":');
  refusedAs('validation.bounds', toolCall('['.repeat(1_000) + ']'.repeat(1_000)));
  refusedAs('validation.bounds', toolCall('[1e400]'));
  for (const count of [0, 1, 1_000])
    refusedAs('validation.batch', `[${Array.from({ length: count }, () => toolCall()).join()}]`);
  refusedAs('validation.envelope', '3');
});

test('a request id is a short string or a whole number (JS-06)', () => {
  for (const id of [
    'null',
    '[]',
    '{}',
    '1.5',
    '9007199254740993',
    'true',
    JSON.stringify('x'.repeat(257)),
    JSON.stringify('x'.repeat(1_000_000)),
  ]) {
    refusedAs('validation.envelope', request(`"name":"pg__query",${META}`, 'tools/call', id));
  }
  for (const id of ['0', '-5', '"a"', '""', JSON.stringify('é'.repeat(128)), '9007199254740991']) {
    assert.ok(!(judge(request(`"name":"pg__query",${META}`, 'tools/call', id)) instanceof Refusal), id);
  }
  refusedAs('validation.envelope', `{"jsonrpc":"2.0","id":1,"method":"tools/call","extra":1,"params":{${META}}}`);
  refusedAs('validation.envelope', `{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{${META}}}`);
  refusedAs('validation.envelope', `{"id":1,"method":"tools/call","params":{${META}}}`);
  refusedAs('validation.envelope', '{"jsonrpc":"2.0","id":1,"method":7}');
  refusedAs('validation.envelope', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}');
  refusedAs('validation.envelope', `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"pg__query",${META}}}`);
});

test('a revision that is not served is told which ones are, in the words of its era (HD-03)', () => {
  const other = toolCall().replaceAll('2026-07-28', '2031-01-01');
  const unknown = refusedAs('validation.revision', other, { ...FULL, 'mcp-protocol-version': '2031-01-01' });
  assert.deepEqual(unknown.facts.data, { supported: ['2026-07-28'], requested: '2031-01-01' });
  assert.equal(errorOf(unknown).code, -32022);
  const hostile = refusedAs('validation.revision', toolCall().replaceAll('2026-07-28', '<script>\\n'.repeat(9)), {});
  assert.deepEqual(hostile.facts.data, { supported: ['2026-07-28'] });
  for (const version of ['2024-11-05', '1999-01-01', '']) {
    const old = refusedAs('validation.revision', legacy('tools/list'), { 'mcp-protocol-version': version });
    assert.deepEqual((old.facts.data as { supported: unknown }).supported, ['2025-11-25', '2025-06-18', '2025-03-26']);
    assert.equal(errorOf(old).code, -32600, 'a code of the modern era in an old one');
    assert.equal(encodeRefusal(callWith('', {}), old).status, 400);
  }
});

test('a legacy message is one that claims nothing: its header says the revision, or the oldest is assumed', () => {
  const revisionOf = (body: string, headers: Headers = {}) => {
    const message = judge(body, headers);
    assert.ok(!(message instanceof Refusal), JSON.stringify(message));
    return message.revision;
  };
  for (const revision of ['2025-11-25', '2025-06-18', '2025-03-26']) {
    assert.equal(revisionOf(legacy('tools/list'), { 'mcp-protocol-version': ` ${revision}\t` }), revision);
    assert.equal(revisionOf(INITIALIZE.replace('2025-11-25', revision)), revision);
  }
  assert.equal(revisionOf(legacy('tools/list')), '2025-03-26');
  assert.equal(revisionOf('{"jsonrpc":"2.0","method":"notifications/initialized"}'), '2025-03-26');
  // What initialize asks for is negotiated, never refused.
  for (const asked of ['2024-11-05', '2031-01-01', '2026-07-28'])
    assert.equal(revisionOf(INITIALIZE.replace('2025-11-25', asked)), '2025-11-25');
  assert.equal(revisionOf(INITIALIZE, { 'mcp-protocol-version': '2024-11-05' }), '2025-11-25');
});

test('each era knows its own methods, and answers an unknown one in its own words', () => {
  const old = ['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe'];
  const params = '"protocolVersion":"2025-11-25","level":"info","uri":"file:///a"';
  for (const method of old) {
    const message = judge(legacy(method, params), {});
    assert.ok(!(message instanceof Refusal), `${method} ${JSON.stringify(message)}`);
    assert.equal(message.name, method.startsWith('resources/') ? 'file:///a' : '');
    const modern = refusedAs('validation.method', request(`${params},${META}`, method), {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
    });
    assert.deepEqual([encodeRefusal(callWith('', {}), modern).status, errorOf(modern).code], [404, -32601]);
  }
  for (const method of ['server/discover', 'subscriptions/listen', 'tasks/get', 'admin/call', 'constructor']) {
    const refusal = refusedAs('validation.method', legacy(method, '"notifications":{}'), {});
    assert.deepEqual([encodeRefusal(callWith('', {}), refusal).status, errorOf(refusal).code], [200, -32601]);
  }
});

test('a legacy call needs no mirrored headers, and none may contradict it (HD-01, HD-02)', () => {
  const call = legacy('tools/call', '"name":"pg__query","arguments":{}');
  for (const headers of [{}, { 'mcp-method': 'tools/call' }, { 'mcp-name': ' pg__query' }])
    assert.ok(!(judge(call, headers) instanceof Refusal));
  for (const headers of [
    { 'mcp-method': 'tools/list' },
    { 'mcp-name': 'pg__other' },
    { 'mcp-name': ['pg__query', 'pg__query'] },
  ]) {
    assert.equal(errorOf(refusedAs('validation.header_mismatch', call, headers)).code, -32600);
  }
});

test('a completion acts on the prompt or resource it refers to', () => {
  const complete = (ref: string) => legacy('completion/complete', `"ref":${ref},"argument":{"name":"a","value":""}`);
  const cases: [string, string][] = [
    ['{"type":"ref/prompt","name":"p\\u0031"}', 'p1'],
    ['{"uri":"file:///{x}","type":"ref/resource"}', 'file:///{x}'],
  ];
  for (const [ref, name] of cases) {
    const message = judge(complete(ref), {});
    assert.ok(!(message instanceof Refusal), JSON.stringify(message));
    assert.equal(message.name, name);
    const { start, end } = message.spans.name!;
    assert.equal(JSON.parse(Buffer.from(message.bytes.subarray(start, end)).toString()), name);
  }
  for (const ref of ['{}', '{"type":"ref/prompt","uri":"x"}', '{"type":"ref/resource","name":"x"}', '{"type":"x"}'])
    refusedAs('validation.params', complete(ref), {});
});

test('a response is taken from an older era alone, and only when it is one', () => {
  const session = { 'mcp-protocol-version': '2025-11-25' };
  for (const [outcome, text] of [
    ['"result":{"action":"accept"}', '{"action":"accept"}'],
    ['"error":{"code":-1,"message":"no"}', '{"code":-1,"message":"no"}'],
  ] as const) {
    const message = judge(`{"jsonrpc":"2.0","id":"r1",${outcome}}`, session);
    assert.ok(!(message instanceof Refusal), JSON.stringify(message));
    assert.deepEqual([message.kind, message.method, message.id], ['response', '', 'r1']);
    const { start, end } = message.spans.outcome!;
    assert.equal(Buffer.from(message.bytes.subarray(start, end)).toString(), text);
    refusedAs('validation.envelope', `{"jsonrpc":"2.0","id":"r1",${outcome}}`, {
      'mcp-protocol-version': '2026-07-28',
    });
  }
  for (const broken of [
    '{"jsonrpc":"2.0","result":{}}',
    '{"jsonrpc":"2.0","id":null,"result":{}}',
    '{"jsonrpc":"2.0","id":1,"result":[]}',
    '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}',
    '{"jsonrpc":"2.0","id":1,"result":{},"method":"tools/call"}',
    '{"jsonrpc":"2.0","id":1,"result":{},"params":{}}',
    '{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}',
    '{"jsonrpc":"2.0","id":1,"error":{"code":1}}',
    '{"id":1,"result":{}}',
  ])
    refusedAs('validation.envelope', broken, session);
});

test('an incomplete modern envelope is an error of its own, never an older era', () => {
  refusedAs('validation.meta', request('"name":"pg__query"'));
  refusedAs('validation.meta', request('"name":"pg__query"'), { 'mcp-protocol-version': '2031-01-01' });
  refusedAs('validation.envelope', request('"name":"pg__query","_meta":7'), {});
  refusedAs('validation.revision', toolCall().replace('"2026-07-28"', '"2025-11-25"'), {});
  refusedAs('validation.header_mismatch', INITIALIZE, { 'mcp-protocol-version': '2026-07-28' });
  refusedAs(
    'validation.meta',
    request('"name":"pg__query","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}'),
  );
  refusedAs('validation.meta', toolCall().replace('clientCapabilities":{}', 'clientCapabilities":[]'));
  refusedAs('validation.meta', toolCall().replace('"2026-07-28"', '7'));
});

test('headers must repeat the body: method, name, version (HD-01, HD-02, HD-03)', () => {
  const without = (name: keyof typeof FULL) => Object.fromEntries(Object.entries(FULL).filter(([key]) => key !== name));
  for (const name of ['mcp-protocol-version', 'mcp-method', 'mcp-name'] as const) {
    refusedAs('validation.header_mismatch', toolCall(), without(name));
    refusedAs('validation.header_mismatch', toolCall(), { ...FULL, [name]: [FULL[name], FULL[name]] });
    refusedAs('validation.header_mismatch', toolCall(), {
      ...FULL,
      [name]: FULL[name].toUpperCase().replace('2026', '2025'),
    });
  }
  const base64 = (text: string) => `=?base64?${Buffer.from(text).toString('base64')}?=`;
  refusedAs('validation.header_mismatch', toolCall(), { ...FULL, 'mcp-name': base64('pg__other') });
  refusedAs('validation.header_mismatch', toolCall(), { ...FULL, 'mcp-name': '=?base64?cGdfX3F1ZXJ5=?=' });
  refusedAs('validation.header_mismatch', toolCall(), {
    ...FULL,
    'mcp-name': `=?BASE64?${Buffer.from('pg__query').toString('base64')}?=`,
  });
  for (const name of [base64('pg__query'), ' pg__query\t']) {
    assert.ok(!(judge(toolCall(), { ...FULL, 'mcp-name': name }) instanceof Refusal), name);
  }
  const list = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' };
  assert.ok(!(judge(request(META, 'tools/list'), list) instanceof Refusal));
});

test('a method that is not of this revision does not exist', () => {
  const headers = (method: string) => ({ 'mcp-protocol-version': '2026-07-28', 'mcp-method': method });
  for (const method of [
    'initialize',
    'ping',
    'logging/setLevel',
    'resources/subscribe',
    'tasks/result',
    'admin/call',
    'constructor',
    'notifications/cancelled',
    'x',
  ]) {
    refusedAs('validation.method', request(META, method), headers(method));
  }
});

test('params of each method have their shape', () => {
  const headers = (method: string, name = 'x') => ({
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    'mcp-name': name,
  });
  const faults: [string, string, string?][] = [
    ['tools/call', '"name":"pg__query","arguments":[]', 'pg__query'],
    ['tools/call', '"name":"pg__query","arguments":null', 'pg__query'],
    ['tools/call', '"name":""', ''],
    ['prompts/get', '"name":"p","requestState":1', 'p'],
    ['tools/list', '"cursor":7'],
    ['completion/complete', '"ref":{}'],
    ['completion/complete', '"ref":{"type":"ref/prompt","name":"p","Name":"q"},"argument":{"name":"a","value":""}'],
    ['completion/complete', '"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"","VALUE":"b"}'],
    ['subscriptions/listen', '"notifications":[]'],
  ];
  for (const [method, params, name] of faults) {
    const encoded = name === '' ? '=?base64??=' : name;
    refusedAs('validation.params', request(`${params},${META}`, method), headers(method, encoded));
  }
  const read = judge(request(`"uri":"file:///a",${META}`, 'resources/read'), headers('resources/read', 'file:///a'));
  assert.ok(!(read instanceof Refusal));
  assert.equal(read.name, 'file:///a');
  assert.ok(!(judge(request(`"cursor":"",${META}`, 'tools/list'), headers('tools/list')) instanceof Refusal));
});

test('a notification is taken by its own name and bears no id', () => {
  const message = judge(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7,${META}}}`, {});
  assert.ok(!(message instanceof Refusal));
  assert.equal(message.kind, 'notification');
  assert.equal(message.spans.id, null);
  const bare = judge('{"jsonrpc":"2.0","method":"notifications/x"}', { 'mcp-protocol-version': '2026-07-28' });
  assert.ok(!(bare instanceof Refusal));
  refusedAs('validation.header_mismatch', `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{${META}}}`, {
    'mcp-method': 'tools/call',
  });
});

test('calls of our own admin API need neither headers nor _meta, and nothing else may be called there', () => {
  const body = '{"jsonrpc":"2.0","id":"1","method":"admin/call","params":{"name":"approvals.list","arguments":{}}}';
  const message = judge(body, {}, 'admin');
  assert.ok(!(message instanceof Refusal));
  assert.equal(message.name, 'approvals.list');
  const other = judge(body.replace('admin/call', 'tools/call'), {}, 'admin');
  assert.ok(other instanceof Refusal && other.code === 'validation.method');
});

test('a refusal repeats the request id where one was read, and none where not', () => {
  const answer = (refusal: Refusal) =>
    JSON.parse(Buffer.from(encodeRefusal(callWith('', {}), refusal).body).toString());
  assert.equal(answer(refusedAs('validation.header_mismatch', toolCall(), { ...FULL, 'mcp-name': 'x' })).id, 7);
  assert.equal(answer(refusedAs('validation.revision', toolCall().replaceAll('2026-07-28', 'x'), {})).id, 7);
  assert.equal('id' in answer(refusedAs('validation.json', '{')), false);
});

const SQL_SCHEMA = {
  type: 'object',
  properties: {
    sql: { type: 'string', maxLength: 20 },
    limit: { type: 'integer', maximum: 100 },
    region: { type: 'string', 'x-mcp-header': 'Region' },
    rows: { type: 'array', items: { type: 'object', additionalProperties: { type: 'number' } } },
  },
  required: ['sql'],
  additionalProperties: false,
};

function targetWith(definition: object, more: Partial<Target> = {}): Target {
  const digest = argumentsDigest(Buffer.from(JSON.stringify(definition)));
  return {
    kind: 'tool',
    key: 'pg/query',
    digest,
    definition,
    limits: { maxArgumentBytes: 500 },
    ...more,
  } as unknown as Target;
}

function args(
  text: string | null,
  target = targetWith({ inputSchema: SQL_SCHEMA }),
  headers: Headers = {},
): Arguments | Refusal {
  const message = judge(request(`"name":"pg__query",${text === null ? '' : `"arguments":${text},`}${META}`));
  assert.ok(!(message instanceof Refusal), JSON.stringify(message));
  const call = { way: 'http', message, target, head: { headers } } as unknown as CallWith<'message' | 'target'>;
  return validation.stages.arguments.run(call, now) as Arguments | Refusal;
}

test('arguments that match leave their tree, their digest and their own bytes', () => {
  const left = args(
    '{ "limit":9007199254740993e-14, "sql":"select \\u0031" }',
    targetWith({ inputSchema: { type: 'object' } }),
  );
  assert.ok(!(left instanceof Refusal));
  assert.equal(left.view['sql'], 'select 1');
  assert.equal(left.digest, argumentsDigest(Buffer.from('{"sql":"select 1","limit":9007199254740993e-14}')));
  assert.equal(Buffer.from(left.bytes()).toString(), '{ "limit":9007199254740993e-14, "sql":"select \\u0031" }');
});

test('arguments that do not match are refused by path and rule, never by value (SC-01)', () => {
  const cases: [string, string, RegExp][] = [
    ['{}', '/sql', /\/sql: required/],
    ['{"sql":"x","limit":101}', '/limit', /\/limit: must be <= 100/],
    ['{"sql":7}', '/sql', /\/sql: must be string/],
    ['{"sql":"SECRET-SECRET-SECRET-SECRET"}', '/sql', /at most 20 characters/],
    ['{"sql":"x","SECRET":1}', '/', /not in the schema \(known: sql, limit, region, rows\)/],
    ['{"sql":"x","rows":[{"SECRET":"SECRET"}]}', '/rows/0/*', /must be number/],
  ];
  for (const [text, path, words] of cases) {
    const refusal = args(text);
    assert.ok(refusal instanceof Refusal, text);
    assert.equal(refusal.code, 'validation.arguments');
    assert.equal(refusal.facts.path, path);
    assert.match(refusal.facts.text ?? '', words);
    assert.doesNotMatch(JSON.stringify(refusal.facts), /SECRET/);
  }
  assert.ok(args(null) instanceof Refusal);
  assert.ok(!(args(null, targetWith({ inputSchema: { type: 'object' } })) instanceof Refusal));
});

test('observe lets arguments through that break their schema, and says so; sizes and admin operations are refused as ever', () => {
  const observing = openValidation({ ...rounds, settings: { ...settings, mode: 'observe' } });
  const observed = (text: string, more: Partial<Target> = {}) => {
    const message = judge(request(`"name":"pg__query","arguments":${text},${META}`));
    const target = targetWith({ inputSchema: SQL_SCHEMA }, more);
    const call = { way: 'http', message, target, head: { headers: {} } } as unknown as CallWith<'message' | 'target'>;
    return observing.stages.arguments.run(call, now) as Arguments | Refusal;
  };
  const left = observed('{"sql":7}');
  assert.ok(!(left instanceof Refusal));
  assert.deepEqual([left.wouldRefuse, left.view], ['validation.arguments', { sql: 7 }]);
  assert.equal('wouldRefuse' in observed('{"sql":"x"}'), false);
  assert.equal((observed('{"sql":7}', { kind: 'admin' }) as Refusal).code, 'validation.arguments');
  assert.equal((observed(`{"sql":"${'x'.repeat(600)}"}`) as Refusal).code, 'validation.too_large');
});

test('a member that differs from a declared one only in case is refused even where the schema is open', () => {
  const open = targetWith({ inputSchema: { type: 'object', properties: { path: { type: 'string' } } } });
  assert.ok(args('{"path":"/public","Path":"/etc"}', open) instanceof Refusal);
  assert.ok(!(args('{"path":"/public","other":1}', open) instanceof Refusal));
});

test('the byte limit of the target holds and is named (SZ-02)', () => {
  const refusal = args(`{"sql":"x"${' '.repeat(500)}}`);
  assert.ok(refusal instanceof Refusal && refusal.code === 'validation.too_large');
  assert.match(refusal.facts.text ?? '', /500 bytes/);
});

test('declared headers must repeat the arguments, undeclared ones do not matter', () => {
  const mismatch = (left: Arguments | Refusal) => left instanceof Refusal && left.code === 'validation.header_mismatch';
  const target = targetWith({ inputSchema: SQL_SCHEMA });
  assert.ok(mismatch(args('{"sql":"x","region":"eu"}', target, {})));
  assert.ok(mismatch(args('{"sql":"x","region":"eu"}', target, { 'mcp-param-region': 'EU' })));
  assert.ok(mismatch(args('{"sql":"x"}', target, { 'mcp-param-region': 'eu' })));
  assert.ok(mismatch(args('{"sql":"x","region":"eu"}', target, { 'mcp-param-region': '=?base64?%?=' })));
  assert.ok(
    !(
      args('{"sql":"x","region":"eu"}', target, {
        'mcp-param-region': '=?base64?ZXU=?=',
        'mcp-param-other': 'z',
      }) instanceof Refusal
    ),
  );
});

test('a declared header is decoded as the official suite wants it: sentinels strictly, anything else literally', () => {
  const target = targetWith({ inputSchema: SQL_SCHEMA });
  const hello = Buffer.from('Hello').toString('base64');
  const cases: [string, string, boolean][] = [
    ['Hello', `=?base64?${hello}?=`, true],
    ['Hello', '=?base64?SGVsbG8?=', false],
    ['Hello', '=?base64?SGVs!!!bG8=?=', false],
    ['Hello', `=?BASE64?${hello}?=`, false],
    [hello, hello, true],
    [`=?base64?${hello}`, `=?base64?${hello}`, true],
    [`${hello}?=`, `${hello}?=`, true],
    ['Hello', '  Hello\t', true],
    ['Hello', 'hello', false],
    ['Grüße', `=?base64?${Buffer.from('Grüße').toString('base64')}?=`, true],
  ];
  for (const [region, header, good] of cases) {
    const left = args(JSON.stringify({ sql: 'x', region }), target, { 'mcp-param-region': header });
    assert.equal(!(left instanceof Refusal), good, `${region} ${header} ${JSON.stringify(left)}`);
  }
});

test('of a legacy call no declared header is demanded, and one that is there must agree all the same', () => {
  const message = judge(legacy('tools/call', '"name":"pg__query","arguments":{"sql":"x","region":"eu"}'), {});
  const target = targetWith({ inputSchema: SQL_SCHEMA });
  const left = (headers: object) =>
    validation.stages.arguments.run(
      { way: 'http', message, target, head: { headers } } as unknown as CallWith<'message' | 'target'>,
      now,
    );
  assert.ok(!(left({}) instanceof Refusal));
  assert.ok(!(left({ 'mcp-param-region': 'eu' }) instanceof Refusal));
  const refused = left({ 'mcp-param-region': 'us' });
  assert.ok(refused instanceof Refusal && refused.code === 'validation.header_mismatch');
});

test('a structured result is compared with what its tool promised; what is said of it holds no value', () => {
  const outputSchema = { type: 'object', properties: { rows: { type: 'array', items: { type: 'integer' } } } };
  const target = targetWith({ inputSchema: SQL_SCHEMA, outputSchema });
  assert.equal(validation.outputFault(target, { rows: [1, 2] }), null);
  assert.equal(validation.outputFault(target, { rows: [1, 'secret'] }), '/rows/1');
  assert.equal(validation.outputFault(targetWith({ inputSchema: SQL_SCHEMA, outputSchema: true }), 7), null);
  const unchecked = targetWith({ inputSchema: SQL_SCHEMA, outputSchema: { $ref: 'https://schemas.test/x' } });
  assert.throws(() => validation.outputFault(unchecked, {}), { code: 'validation.schema_unusable' });
});

test('a prompt takes its declared arguments, all strings; a resource leaves its uri', () => {
  const prompt = targetWith({ arguments: [{ name: 'topic', required: true }, { name: 'tone' }] }, { kind: 'prompt' });
  assert.ok(!(args('{"topic":"a","tone":"b"}', prompt) instanceof Refusal));
  for (const bad of ['{}', '{"topic":7}', '{"topic":"a","other":"b"}'])
    assert.ok(args(bad, prompt) instanceof Refusal, bad);
  const headers = { ...FULL, 'mcp-method': 'resources/read', 'mcp-name': 'file:///a"' };
  const message = judge(request(`"uri":"file:///a\\"",${META}`, 'resources/read'), headers);
  const target = targetWith({}, { kind: 'resource' });
  const call = { way: 'http', message, target, head: { headers: {} } } as unknown as CallWith<'message' | 'target'>;
  const left = validation.stages.arguments.run(call, now) as Arguments;
  assert.deepEqual(left.view, { uri: 'file:///a"' });
  assert.deepEqual(JSON.parse(Buffer.from(left.bytes()).toString()), { uri: 'file:///a"' });
});

test('a completion passes on its argument and context, judged by the names the prompt declares; nothing is required', () => {
  const prompt = targetWith({ arguments: [{ name: 'topic', required: true }, { name: 'tone' }] }, { kind: 'prompt' });
  const completed = (members: string, target = prompt) => {
    const message = judge(
      legacy('completion/complete', `"ref":{"type":"ref/prompt","name":"p"},"arguments":{"x":1},${members}`),
      {},
    );
    assert.ok(!(message instanceof Refusal), JSON.stringify(message));
    assert.equal(message.spans.arguments, null, 'a member nobody judges');
    const call = { way: 'http', message, target, head: { headers: {} } } as unknown as CallWith<'message' | 'target'>;
    return validation.stages.arguments.run(call, now) as Arguments | Refusal;
  };
  const left = completed('"argument":{"name":"tone","value":"a"}, "context" : {"arguments":{"topic":"t"}}');
  assert.ok(!(left instanceof Refusal), JSON.stringify(left));
  assert.deepEqual(left.view, {
    argument: { name: 'tone', value: 'a' },
    context: { arguments: { topic: 't' } },
  });
  assert.deepEqual(JSON.parse(Buffer.from(left.bytes()).toString()), left.view);
  assert.equal(left.digest, argumentsDigest(left.bytes()));
  assert.ok(!(completed('"argument":{"name":"tone","value":""}') instanceof Refusal));
  const resource = targetWith({}, { kind: 'template' });
  assert.ok(!(completed('"argument":{"name":"any","value":""}', resource) instanceof Refusal));
  for (const members of [
    '"argument":{"name":"other","value":""}',
    '"argument":{"name":"tone","value":""},"context":{"arguments":[]}',
    '"argument":{"name":"tone","value":""},"context":{"arguments":{"topic":7}}',
    '"argument":{"name":"tone","value":""},"context":{"arguments":{"other":"x"}}',
    `"argument":{"name":"tone","value":"${'x'.repeat(500)}"}`,
  ])
    assert.ok(completed(members) instanceof Refusal, members);
});

test('a definition that cannot be enforced is refused at registration and fails shut if it is called', () => {
  assert.equal(validation.schemas.accept(SQL_SCHEMA), null);
  assert.match(validation.schemas.accept({ $ref: 'http://x/' }) ?? '', /leads out/);
  assert.match(
    validation.schemas.accept({ properties: { a: { type: 'number', 'x-mcp-header': 'A' } } }) ?? '',
    /x-mcp-header/,
  );
  assert.throws(() => args('{}', targetWith({ inputSchema: { $dynamicRef: '#x' } })), {
    code: 'validation.schema_unusable',
  });
  assert.throws(() => args('{}', targetWith({})), { code: 'validation.schema_unusable' });
});

test('compiled definitions are kept up to their bound and told apart by digest', () => {
  const small = openValidation({ settings: { ...settings, compiledSchemas: 2 }, ...rounds });
  const message = judge(toolCall('{"sql":"x"}')) as Message;
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 4; i++) {
      const target = targetWith({ inputSchema: { type: 'object', properties: { sql: { const: i === 2 ? 'x' : i } } } });
      const call = { way: 'http', message, target, head: { headers: {} } } as unknown as CallWith<'message' | 'target'>;
      assert.equal(small.stages.arguments.run(call, now) instanceof Refusal, i !== 2);
    }
  }
});

test('a relaxed setting shows as weak, the default does not', () => {
  assert.deepEqual(weakValidation(settings), []);
  assert.equal(weakValidation(validationSettings.parse({ formats: 'annotate' })).length, 1);
});

const TASK_META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}';
const ofTask = (method: string) => ({ ...FULL, 'mcp-method': method, 'mcp-name': 't1' });

test('methods of tasks are for clients that declare the extension on the request, and name the task', () => {
  for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
    const more = method === 'tasks/update' ? '"inputResponses":{},' : '';
    const body = (meta: string, id = '"taskId":"t1",') => request(`${id}${more}${meta}`, method);
    const message = judge(body(TASK_META), ofTask(method));
    assert.ok(!(message instanceof Refusal), JSON.stringify(message));
    assert.deepEqual([message.name, message.spans.arguments], ['t1', null]);
    const undeclared = refusedAs('validation.capability', body(META), ofTask(method));
    assert.equal(errorOf(undeclared).code, -32021);
    assert.deepEqual(undeclared.facts.data, {
      requiredCapabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } },
    });
    refusedAs('validation.header_mismatch', body(TASK_META), { ...ofTask(method), 'mcp-name': 't2' });
    refusedAs('validation.header_mismatch', body(TASK_META), { ...FULL, 'mcp-method': method, 'mcp-name': [] });
    refusedAs('validation.params', body(TASK_META, '"taskId":"",'), { ...ofTask(method), 'mcp-name': '' });
    refusedAs('validation.method', request(`"taskId":"t1"`, method), { 'mcp-protocol-version': '2025-11-25' });
  }
  refusedAs('validation.params', request(`"taskId":"t1",${TASK_META}`, 'tasks/update'), ofTask('tasks/update'));
  for (const gone of ['tasks/list', 'tasks/result'])
    refusedAs('validation.method', request(`"taskId":"t1",${TASK_META}`, gone), { ...FULL, 'mcp-method': gone });
});

test('what is said to a task is which one and the answers to its questions, in bounds; no schema of the tool is asked', () => {
  const body = request(`"taskId":"t1","inputResponses":{"q":{"action":"accept"}},${TASK_META}`, 'tasks/update');
  const message = judge(body, ofTask('tasks/update')) as Message;
  const argumentsFor = (maxArgumentBytes: number) => {
    const definition = { inputSchema: { type: 'object', required: ['sql'] } };
    const target = { kind: 'tool', key: 'pg/query', digest: 'd', limits: { maxArgumentBytes }, definition };
    const call = { ...callWith(body, {}), message, target: target as unknown as Target };
    return validation.stages.arguments.run(call as never, now) as Arguments | Refusal;
  };
  const left = argumentsFor(1_000);
  assert.ok(!(left instanceof Refusal), JSON.stringify(left));
  assert.equal(Buffer.from(left.bytes()).toString(), '{"taskId":"t1","inputResponses":{"q":{"action":"accept"}}}');
  assert.deepEqual(left.view, JSON.parse(Buffer.from(left.bytes()).toString()));
  assert.equal(left.digest, argumentsDigest(left.bytes()));
  assert.equal((argumentsFor(20) as Refusal).code, 'validation.too_large');
});
