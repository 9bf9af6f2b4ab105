import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallWith, Reply, Result, Target } from '../../core/call.ts';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import { Refusal } from '../../core/stage.ts';
import {
  type OutputSchema,
  openRedaction,
  type RedactionSettings,
  redactionSettings,
  redactionWeaknesses,
} from './index.ts';

const NOW = { utc: 1_780_000_000_000, mono: 0 };
const KEYS: KeyPairOf<SymmetricKey> = [{ kid: 'test', secret: new Uint8Array(32).fill(7) }];
const CANARY = 'canary.7f3@example.org';
const SECRET = 'AKIAIOSFODNN7EXAMPLE';

const ANY_OUTPUT: OutputSchema = { check: () => null };
const open = (settings: Partial<RedactionSettings> = {}, outputSchema = ANY_OUTPUT) =>
  openRedaction({ settings: redactionSettings.parse(settings), keys: KEYS, outputSchema });

function result(document: unknown, kind: Result['kind'] = 'result'): Result {
  return {
    kind,
    bytes: Buffer.from(JSON.stringify(document)),
    view: () => document,
    diagnostics: Buffer.from('sealed'),
  };
}

function replying(document: unknown, more: object = {}): CallWith<'principal' | 'scrubbed'> {
  return { principal: { tenant: 'acme' }, scrubbed: result(document), ...more } as CallWith<'principal' | 'scrubbed'>;
}

function reply(redaction: ReturnType<typeof open>, call: CallWith<'principal' | 'scrubbed'>): Reply {
  const left = redaction.stages.reply.run(call, NOW);
  assert.ok(!(left instanceof Refusal) && 'bytes' in left, JSON.stringify(left));
  return left;
}

const parse = (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString());
const decided = (redaction: string | null) => ({
  obligations: { approval: null, redaction, maxResultBytes: null },
  rules: [],
  policy: '',
  wouldRefuse: null,
});

function target(definition: object): Target {
  return { tenant: 'acme', key: 'files/login', definition } as unknown as Target;
}

function requesting(
  args: unknown,
  definition: object = {},
  profile: string | null = null,
): CallWith<'target' | 'arguments' | 'decision'> {
  const bytes = Buffer.from(JSON.stringify(args));
  return {
    target: target(definition),
    arguments: { view: args, digest: '', bytes: () => bytes },
    decision: decided(profile),
  } as unknown as CallWith<'target' | 'arguments' | 'decision'>;
}

/** The same call with `_meta` beside its arguments. */
function withMeta(meta: object): CallWith<'target' | 'arguments' | 'decision'> {
  const bytes = Buffer.from(JSON.stringify(meta));
  const metaMembers = new Map(Object.keys(meta).map((name) => [name, { start: 0, end: 0 }]));
  const spans = { meta: { start: 0, end: bytes.length }, metaMembers };
  return { ...requesting({ a: 1 }), message: { bytes, spans } } as unknown as CallWith<
    'target' | 'arguments' | 'decision'
  >;
}

test('a secret in _meta is blocked like one in the arguments; the protocol’s own members are not looked at', () => {
  const { request } = open().stages;
  for (const meta of [{ 'vendor/x': SECRET }, { 'vendor/x': [{ y: `key ${SECRET}` }] }, { [SECRET]: 1 }]) {
    const refused = request.run(withMeta(meta), NOW);
    assert.ok(refused instanceof Refusal && refused.code === 'redaction.blocked', JSON.stringify(meta));
    assert.match(refused.facts.path ?? '', /^\/_meta/);
    assert.ok(!JSON.stringify(refused).includes(SECRET));
  }
  const own = { progressToken: SECRET, 'io.modelcontextprotocol/clientInfo': { name: SECRET } };
  for (const meta of [own, { ...own, 'vendor/x': 'fine' }]) assert.ok('list' in request.run(withMeta(meta), NOW));
  assert.ok('list' in open({ requestSecrets: 'report' }).stages.request.run(withMeta({ x: SECRET }), NOW));
  const noted = request.run(withMeta({ 'vendor/x': CANARY }), NOW);
  assert.ok('list' in noted);
  assert.deepEqual(
    noted.list.map(({ path, action }) => [path, action]),
    [['/_meta/vendor~1x', 'reported']],
  );
});

test('an answer without findings leaves as the same bytes, at once', () => {
  const call = replying({
    content: [{ type: 'text', text: 'all shipped on 2026-11-22T10:00:00Z' }],
    structuredContent: { id: 17 },
  });
  const left = reply(open(), call);
  assert.equal(left.bytes, call.scrubbed.bytes);
  assert.deepEqual(
    { ...left, bytes: 0 },
    { kind: 'result', bytes: 0, findings: [], diagnostics: call.scrubbed.diagnostics, status: 200 },
  );
});

test('personal data and secrets leave from no place of an answer', () => {
  const places: Record<string, (value: string) => unknown> = {
    'content text': (value) => ({ content: [{ type: 'text', text: `x ${value}` }] }),
    'structured result': (value) => ({ content: [], structuredContent: { deep: [{ er: value }] } }),
    'member name': (value) => ({ structuredContent: { [value]: { a: 1 } } }),
    meta: (value) => ({ content: [], _meta: { note: value } }),
    'resource text': (value) => ({ contents: [{ uri: 'file:///a', mimeType: 'text/plain', text: value }] }),
    'resource blob': (value) => ({
      contents: [{ uri: 'file:///a', blob: Buffer.from(`some text and ${value}`).toString('base64') }],
    }),
    'embedded resource': (value) => ({ content: [{ type: 'resource', resource: { uri: 'x:y', text: value } }] }),
    'resource link': (value) => ({ content: [{ type: 'resource_link', uri: `file:///home/${value}`, name: value }] }),
    'prompt message': (value) => ({ messages: [{ role: 'user', content: { type: 'text', text: value } }] }),
    'JSON in text': (value) => ({ content: [{ type: 'text', text: JSON.stringify({ a: { b: value } }) }] }),
    'tool description': (value) => ({ tools: [{ name: 'a', description: value, inputSchema: { type: 'object' } }] }),
    completion: (value) => ({ completion: { values: [value] } }),
    escape: (value) => ({ content: [{ type: 'text', text: `\u00e9 ${value}` }] }),
  };
  for (const [place, build] of Object.entries(places)) {
    for (const value of [CANARY, SECRET]) {
      const left = reply(open(), replying(build(value)));
      assert.doesNotMatch(everyText(parse(left.bytes)), new RegExp(value.replaceAll('.', '\\.'), 'i'), place);
      assert.equal(left.findings.length > 0, true, place);
      assert.ok(!JSON.stringify(left.findings).includes(value), `${place}: a finding shows the value`);
    }
  }
});

/** All strings and names, base64 decoded. */
function everyText(tree: unknown): string {
  if (typeof tree === 'string') return `${tree}\n${Buffer.from(tree, 'base64').toString('latin1')}\n`;
  if (typeof tree !== 'object' || tree === null) return `${tree}\n`;
  return Object.entries(tree)
    .map(([name, value]) => `${name}\n${everyText(value)}`)
    .join('');
}

test('errors are read like results: message and data', () => {
  const error = { code: -32603, message: `no such user ${CANARY}`, data: { [CANARY]: SECRET } };
  const left = reply(open(), { ...replying({}), scrubbed: result(error, 'error') });
  assert.equal(left.kind, 'error');
  assert.doesNotMatch(Buffer.from(left.bytes).toString(), /canary|AKIA/);
  assert.equal(parse(left.bytes).code, -32603);
});

test('notifications are redacted, their envelope and progress token are not touched', () => {
  const message = {
    jsonrpc: '2.0',
    method: 'notifications/progress',
    params: { progressToken: 4111111111111111, message: CANARY },
  };
  const verdict = open().event(Buffer.from(JSON.stringify(message)), { tenant: 'acme', profile: null });
  assert.ok('pass' in verdict);
  const left = parse(verdict.pass);
  assert.equal(left.params.progressToken, 4111111111111111);
  assert.match(left.params.message, /^\[EMAIL:[A-Z2-7]{16}\]$/);
});

test('cursors come back as they were, even when they look like secrets', () => {
  const cursor = 'eyJhbGciOiJub25lIn0.eyJvIjoxfQ.c2lnbmF0dXJl';
  const left = reply(open(), replying({ tools: [], nextCursor: cursor, requestState: cursor, note: cursor }));
  assert.deepEqual(parse(left.bytes), {
    tools: [],
    nextCursor: cursor,
    requestState: cursor,
    note: '[JWT_BEARER removed]',
  });
});

test('tokens are stable within a tenant and different between tenants, types and keys', () => {
  const tokenOf = (tenant: string, value: string, keys = KEYS) => {
    const redaction = openRedaction({ settings: redactionSettings.parse({}), keys, outputSchema: ANY_OUTPUT });
    const said = redaction.event(Buffer.from(JSON.stringify({ params: { value } })), { tenant, profile: null });
    assert.ok('pass' in said);
    return JSON.parse(Buffer.from(said.pass).toString()).params.value as string;
  };
  assert.equal(tokenOf('a', 'Jane@Example.org'), tokenOf('a', 'jane@example.org'));
  assert.notEqual(tokenOf('a', CANARY), tokenOf('b', CANARY));
  assert.notEqual(tokenOf('a', CANARY), tokenOf('a', CANARY, [{ kid: 'x', secret: new Uint8Array(32).fill(8) }]));
  assert.equal(tokenOf('a', '10.0.0.1 stays'), '10.0.0.1 stays');
});

test('personal data in arguments is reported and passes, a secret blocks without being named', () => {
  const { request } = open().stages;
  const personal = request.run(requesting({ to: CANARY, card: 4111111111111111 }), NOW);
  assert.deepEqual(personal, {
    list: [
      { type: 'EMAIL', path: '/to', rule: 'email', action: 'reported' },
      { type: 'CREDIT_CARD', path: '/card', rule: 'card.visa', action: 'reported' },
    ],
  });
  const secret = request.run(requesting({ note: { text: `use ${SECRET}` } }), NOW);
  assert.ok(secret instanceof Refusal);
  assert.equal(secret.code, 'redaction.blocked');
  assert.equal(secret.facts.path, '/note/text');
  assert.ok(!JSON.stringify(secret.facts).includes(SECRET));
});

test('a field that declares a secret may hold one: by annotation of the pinned schema or by settings', () => {
  const annotated = {
    inputSchema: {
      type: 'object',
      properties: {
        login: { properties: { key: { type: 'string', 'x-data-classification': { category: 'credential' } } } },
      },
    },
  };
  const args = { login: { key: SECRET } };
  assert.ok(open().stages.request.run(requesting(args), NOW) instanceof Refusal);
  assert.ok('list' in open().stages.request.run(requesting(args, annotated), NOW));
  assert.ok('list' in open({ secretFields: { 'files/login': ['/*/key'] } }).stages.request.run(requesting(args), NOW));
  assert.ok(
    open({ secretFields: { 'files/other': ['/*/key'] } }).stages.request.run(requesting(args), NOW) instanceof Refusal,
  );
  assert.ok(open().stages.request.run(requesting({ login: { other: SECRET } }, annotated), NOW) instanceof Refusal);
});

test('a type set to block refuses the answer, one set to report passes it', () => {
  const call = replying({ mail: CANARY });
  const blocked = open({ types: { EMAIL: 'block' } }).stages.reply.run(call, NOW);
  assert.ok(blocked instanceof Refusal && blocked.code === 'redaction.blocked' && blocked.facts.path === '/mail');
  const reported = reply(open({ types: { EMAIL: 'report' } }), call);
  assert.equal(reported.bytes, call.scrubbed.bytes);
  assert.equal(reported.findings[0]?.action, 'reported');
});

test('a replaced value that breaks the output schema refuses the answer instead', () => {
  const asked: unknown[] = [];
  const schema: OutputSchema = {
    check(_target, view) {
      asked.push(view);
      return '/card';
    },
  };
  const more = { target: target({ outputSchema: { type: 'object' } }) };
  const refused = open({}, schema).stages.reply.run(
    replying({ structuredContent: { card: 4111111111111111 } }, more),
    NOW,
  );
  assert.ok(refused instanceof Refusal && refused.code === 'redaction.blocked' && refused.facts.path === '/card');
  assert.equal(asked.length, 1);
  reply(open({}, schema), replying({ structuredContent: { a: 1 } }, more));
  reply(open({}, schema), replying({ content: [{ text: CANARY }], structuredContent: { a: 1 } }, more));
  assert.equal(asked.length, 1, 'only a changed structured result is checked');
  // However much else was found before it: more than a report lists.
  const many = Array.from({ length: 300 }, (_, i) => `u${i}@example.org`).join(' ');
  const late = replying({ content: [{ text: many }], structuredContent: { card: 4111111111111111 } }, more);
  const broken = open({}, schema).stages.reply.run(late, NOW);
  assert.ok(broken instanceof Refusal && broken.code === 'redaction.blocked');
});

test('coloured terminal output keeps its words and loses values and colours', () => {
  const left = reply(
    open(),
    replying({ text: '\u001b[32mjane@example.org\u001b[0m paid with \u001b[1m4111111111111111\u001b[0m' }),
  );
  assert.match(parse(left.bytes).text, /^\[EMAIL:[A-Z2-7]{16}\] paid with \[CREDIT_CARD:[A-Z2-7]{16}\]$/);
});

test('a secret that only shows after hidden text was cut out refuses the answer', () => {
  const refused = open().stages.reply.run(replying({ text: 'AKIAIOSFODNN7%45\u{E0041}XAMPLE' }), NOW);
  assert.ok(refused instanceof Refusal && refused.code === 'redaction.blocked' && refused.facts.path === '/text');
});

test('observe reports and changes nothing; the profile none reads nothing; an unknown profile stops', () => {
  const call = replying({ mail: CANARY, key: SECRET });
  const observed = reply(open({ mode: 'observe' }), call);
  assert.equal(observed.bytes, call.scrubbed.bytes);
  assert.deepEqual(
    observed.findings.map((finding) => finding.action),
    ['reported', 'reported'],
  );
  assert.deepEqual(reply(open(), { ...call, decision: decided('none') } as typeof call).findings, []);
  const unknown = open().stages.reply.run({ ...call, decision: decided('lax') } as typeof call, NOW);
  assert.ok(unknown instanceof Refusal && unknown.code === 'redaction.unavailable');
  const observing = open({ mode: 'observe' }).stages.request;
  assert.deepEqual(
    (observing.run(requesting({ a: SECRET }), NOW) as { wouldRefuse?: string }).wouldRefuse,
    'redaction.blocked',
  );
  assert.equal('wouldRefuse' in observing.run(requesting({ a: CANARY }), NOW), false);
  assert.ok(open().stages.request.run(requesting({ a: 1 }, {}, 'lax'), NOW) instanceof Refusal);
});

test('what cannot be read is withheld: answers, arguments and notifications', () => {
  const broken = { ...replying({}), scrubbed: { ...result({}), bytes: Buffer.from('{"a":"jane@example.org') } };
  const refused = open().stages.reply.run(broken, NOW);
  assert.ok(refused instanceof Refusal && refused.code === 'redaction.unavailable');
  assert.deepEqual(open().event(Buffer.from('{"a":"jane@example.org'), { tenant: 'acme', profile: null }), {
    drop: 'redaction.unavailable',
  });
});

test('weak settings are named, the defaults are not weak', () => {
  assert.deepEqual(redactionWeaknesses(redactionSettings.parse({})), []);
  assert.equal(
    redactionWeaknesses(
      redactionSettings.parse({
        profile: 'none',
        mode: 'observe',
        requestSecrets: 'report',
        types: { PHONE: 'report' },
      }),
    ).length,
    4,
  );
});

test('an answer to a question goes to the server as arguments do: a secret in it refuses the call', () => {
  const redaction = open();
  const answered = (value: unknown) => Buffer.from(JSON.stringify({ action: 'accept', content: { note: value } }));
  const call = requesting({});
  const refused = redaction.answer(call, answered(SECRET));
  assert.ok(refused instanceof Refusal && refused.code === 'redaction.blocked');
  assert.equal(refused.facts.path, '/inputResponses/content/note');
  assert.equal(redaction.answer(call, answered(CANARY)), null, 'personal data is what was asked for');
  assert.equal(open({ requestSecrets: 'report' }).answer(call, answered(SECRET)), null);
  const round = {
    grant: null,
    answers: { state: null, given: new Map([['q', { kind: 'result', bytes: answered(SECRET) }]]) },
  };
  const repeated = redaction.stages.request.run({ ...call, round } as typeof call, NOW);
  assert.ok(repeated instanceof Refusal && repeated.code === 'redaction.blocked');
});

test('words of a question are redacted; its handles are not', () => {
  const cursor = 'eyJhbGciOiJub25lIn0.eyJvIjoxfQ.c2lnbmF0dXJl';
  const params = { mode: 'url', message: `for ${CANARY}`, url: 'https://a.example/x', elicitationId: cursor };
  const event = { jsonrpc: '2.0', id: `r1.n.c.1.${cursor}`, method: 'elicitation/create', params };
  const verdict = open().event(Buffer.from(JSON.stringify(event)), { tenant: 'acme', profile: null });
  assert.ok('pass' in verdict);
  const left = parse(verdict.pass);
  assert.deepEqual(
    { ...left, params: { ...left.params, message: '' } },
    { ...event, params: { ...params, message: '' } },
  );
  assert.match(left.params.message, /^for \[EMAIL:/);
  const reply1 = reply(
    open(),
    replying({
      resultType: 'input_required',
      inputRequests: { q: { method: 'elicitation/create', params: { message: CANARY } } },
      requestState: cursor,
    }),
  );
  const asked = parse(reply1.bytes);
  assert.equal(asked.requestState, cursor);
  assert.match(asked.inputRequests.q.params.message, /^\[EMAIL:/);
});

test('the id of a task is ours and left as it is; in anything but the state of a task it is a word like others', () => {
  const id = `x.${CANARY}`;
  const state = { taskId: id, statusMessage: CANARY, result: { taskId: CANARY } };
  const of = (task: object) => ({ ...replying(state), scrubbed: { ...result(state), ...task } });
  const told = parse(reply(open(), of({ task: true })).bytes);
  assert.equal(told.taskId, id);
  assert.ok(!JSON.stringify({ ...told, taskId: '' }).includes(CANARY));
  assert.ok(!Buffer.from(reply(open(), of({})).bytes).includes(CANARY));
  const event = (task: boolean) => {
    const message = { jsonrpc: '2.0', method: 'notifications/tasks', params: state };
    const verdict = open().event(Buffer.from(JSON.stringify(message)), { tenant: 'acme', profile: null, task });
    return 'pass' in verdict ? Buffer.from(verdict.pass).toString() : verdict.drop;
  };
  assert.ok(event(true).includes(id) && !event(true).includes(`"${CANARY}`));
  assert.ok(!event(false).includes(CANARY));
});

test('a secret in an answer to a task blocks it; the id of the task is not looked at', () => {
  const message = { method: 'tasks/update', spans: { meta: null } };
  const asked = (args: object) => open().stages.request.run({ ...requesting(args), message } as never, NOW);
  assert.ok(!(asked({ taskId: SECRET, inputResponses: { q: 1 } }) instanceof Refusal));
  assert.ok(asked({ taskId: 't', inputResponses: { q: SECRET } }) instanceof Refusal);
});
