import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Call, type Message, REVISIONS, type Reply, type Revision } from '../call.ts';
import { Refusal, type RefusalFacts } from '../refusal.ts';
import { REFUSALS, type RefusalCode } from './refusals.ts';
import { encodeRefusal, encodeReply } from './wire.ts';

const bytes = Buffer.from('{"jsonrpc":"2.0","id":"\\u0061","method":"x"}');
const spans = { id: { start: 22, end: 30 } } as Message['spans'];
const callOf = (message: Partial<Message>, client?: Revision) =>
  ({
    id: 'c',
    message: { bytes, kind: 'request', spans, ...message },
    client: client && { revision: client },
  }) as unknown as Call;
const reply = (text: string, status = 200, kind: Reply['kind'] = 'result'): Reply => ({
  kind,
  bytes: Buffer.from(text),
  findings: [],
  diagnostics: null,
  status,
});
const LEGACY = REVISIONS.slice(1);

interface Answered {
  readonly status: number;
  readonly id?: unknown;
  readonly error?: { readonly code: number; readonly data?: Record<string, unknown> };
  readonly result?: Record<string, unknown>;
}

function refused(call: Call, code: RefusalCode, facts: RefusalFacts = {}): Answered {
  const { status, body } = encodeRefusal(call, new Refusal(code, facts));
  return { status, ...(JSON.parse(Buffer.from(body).toString()) as object) };
}

test('a reply bears the id of its request byte for byte', () => {
  const { body, status } = encodeReply(callOf({}), reply('{"a":1}'));
  assert.equal(status, 200);
  assert.equal(Buffer.from(body).toString(), '{"jsonrpc":"2.0","id":"\\u0061","result":{"a":1}}');
});

test('what is no request is acknowledged by its status, with no body at all', () => {
  for (const call of [
    callOf({ kind: 'notification', spans: { id: null } as Message['spans'] }),
    callOf({ kind: 'response' }, '2025-11-25'),
    { id: 'c' } as Call,
    callOf({}, '2025-11-25'),
  ]) {
    const { body, status } = encodeReply(call, reply('', 202));
    assert.equal(status, 202);
    assert.equal(body.length, 0);
  }
});

test('a modern reply leaves as it is, an older client gets it without what its revision does not know', () => {
  const text = '{"content":[],"resultType":"complete"}';
  const sent = (revision: Revision) =>
    JSON.parse(Buffer.from(encodeReply(callOf({ method: 'tools/call' }, revision), reply(text)).body).toString())
      .result;
  assert.deepEqual(sent('2026-07-28'), { content: [], resultType: 'complete' });
  for (const revision of LEGACY) assert.deepEqual(sent(revision), { content: [] });
});

test('no refusal of any code tells an older client a code of the modern era, nor a result type', () => {
  const methods = ['tools/call', 'resources/read', 'tools/list', 'initialize'];
  for (const code of Object.keys(REFUSALS) as RefusalCode[]) {
    for (const method of methods) {
      for (const revision of LEGACY) {
        const { error, result } = refused(callOf({ method }, revision), code);
        assert.ok(error ? error.code > -32020 || error.code < -32099 : result, `${code} ${method}`);
        assert.equal(result?.['resultType'], undefined);
        // The same when no message was left on the call.
        const early = refused({ id: 'c' } as Call, code, { legacy: true });
        assert.ok(early.error && (early.error.code > -32020 || early.error.code < -32099), code);
      }
      const { error, result } = refused(callOf({ method }, '2026-07-28'), code);
      assert.ok(error ? error.code !== -32002 && error.code !== -32042 : result?.['resultType'] === 'complete', code);
    }
  }
});

test('a capability the client lacks is an error of its own to a modern client, and words for the model to an older one', () => {
  const facts = { data: { requiredCapabilities: { elicitation: { url: {} } } }, text: 'elicitation.url is missing' };
  const modern = refused(callOf({ method: 'tools/call' }, '2026-07-28'), 'upstream.capability', facts);
  assert.deepEqual([modern.status, modern.error?.code], [400, -32021]);
  assert.deepEqual(modern.error?.data?.['requiredCapabilities'], { elicitation: { url: {} } });
  const tool = refused(callOf({ method: 'tools/call' }, '2025-11-25'), 'upstream.capability', facts);
  assert.deepEqual([tool.status, tool.result?.['isError']], [200, true]);
  assert.match(JSON.stringify(tool.result?.['content']), /elicitation\.url is missing/);
  const read = refused(callOf({ method: 'resources/read' }, '2025-11-25'), 'upstream.capability', facts);
  assert.deepEqual([read.status, read.error?.code], [200, -32603]);
});

test('an unknown method is 404 to a modern client and in band to an older one; an unknown resource is -32002 there', () => {
  const told = (code: RefusalCode, method: string, revision: Revision) => {
    const { status, error } = refused(callOf({ method }, revision), code);
    return [status, error?.code];
  };
  assert.deepEqual(told('validation.method', 'x', '2026-07-28'), [404, -32601]);
  assert.deepEqual(told('validation.method', 'x', '2025-06-18'), [200, -32601]);
  assert.deepEqual(told('authorization.unknown', 'resources/read', '2026-07-28'), [200, -32602]);
  assert.deepEqual(told('authorization.unknown', 'resources/read', '2025-06-18'), [200, -32002]);
  assert.deepEqual(told('authorization.unknown', 'resources/subscribe', '2025-06-18'), [200, -32002]);
  assert.deepEqual(told('authorization.unknown', 'tools/call', '2025-06-18'), [200, -32602]);
  assert.deepEqual(told('authentication.session', 'tools/call', '2025-06-18'), [404, -32600]);
});

test('an unknown resource is named as it was asked for, and nothing else is said of it', () => {
  const unknown = (message: Partial<Message>) => refused(callOf(message, '2026-07-28'), 'authorization.unknown').error;
  assert.deepEqual(unknown({ method: 'resources/read', name: 'file:///a"' })?.data, { uri: 'file:///a"' });
  assert.equal(unknown({ method: 'tools/call', name: 'x' })?.data, undefined);
});

test('a refused notification or response is never a success', () => {
  for (const kind of ['notification', 'response'] as const) {
    const call = callOf({ kind, method: '', spans: { id: null } as Message['spans'] }, '2025-11-25');
    for (const code of Object.keys(REFUSALS) as RefusalCode[]) assert.ok(refused(call, code).status >= 400, code);
  }
});

test('a result bears the receipt of its outcome in every revision; acknowledgements that have to be empty, and errors, do not', () => {
  const sent = (method: string, revision: Revision, kind: Reply['kind'] = 'result') => {
    const call = {
      ...callOf({ method }, revision),
      receipt: { index: 1, id: 'r', text: 'gwr1.AAAAAAAAAAAAAAAAAAAAAA' },
    };
    return Buffer.from(encodeReply(call, reply(kind === 'error' ? '{"code":1}' : '{}', 200, kind)).body).toString();
  };
  for (const revision of REVISIONS) {
    assert.match(sent('tools/call', revision), /"_meta":\{"gatewrit\/receipt":"gwr1\.A{22}"\}/);
    assert.ok(!sent('tools/call', revision, 'error').includes('gwr1'));
    for (const method of ['ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe'])
      assert.match(sent(method, revision), /"result":\{\}\}$/, method);
  }
  const refusing = { ...callOf({ method: 'tools/call' }), receipt: { index: 1, id: 'r', text: 'gwr1.B' } };
  const meta = refused(refusing, 'validation.arguments').result?.['_meta'] as Record<string, string>;
  assert.equal(meta['gatewrit/receipt'], 'gwr1.B');
  assert.ok(!JSON.stringify(refused(refusing, 'authorization.unknown')).includes('gwr1'));
});
