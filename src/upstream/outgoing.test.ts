import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NO_BOUNDS, scanMessage } from '../core/mcp/scanner.ts';
import { bridged, NOTHING_BRIDGED } from './capabilities.ts';
import { clientWith, requestFor } from './fixture.test.ts';
import { outgoingMessage } from './outgoing.ts';
import type { UpstreamRequest } from './request.ts';

/** A request with other params, read as the front reads them, whatever its bounds are. */
function requestOf(method: string, params: string, over: Partial<UpstreamRequest> = {}): UpstreamRequest {
  const bytes = Buffer.from(`{"jsonrpc":"2.0","id":"c","method":"${method}","params":${params}}`);
  const spans = scanMessage(bytes, NO_BOUNDS);
  assert.ok(typeof spans !== 'string');
  const { paramsMembers: members, metaMembers } = spans;
  const request = requestFor(over);
  return {
    ...request,
    message: {
      ...request.message,
      method,
      bytes,
      params: JSON.parse(params),
      spans: {
        id: spans.id,
        method: spans.method!,
        params: spans.params,
        name: members.get('name') ?? members.get('uri') ?? null,
        arguments: members.get('arguments') ?? null,
        meta: members.get('_meta') ?? null,
        outcome: null,
        metaMembers,
      },
    },
  };
}
const sent = (request: UpstreamRequest, era: 'modern' | 'legacy') => {
  const bridge = bridged(request.client, []);
  return JSON.parse(Buffer.from(outgoingMessage(request, 7, era, bridge)).toString()).params as Record<string, unknown>;
};

describe('a message of a legacy client to a modern server', () => {
  test('gets the envelope it never had, with its capabilities and log level', () => {
    const client = clientWith({ elicitation: {} }, '2025-11-25', 'warning');
    const params = sent(requestOf('tools/call', '{"name":"shop__buy","arguments":{"n":1.0}}', { client }), 'modern');
    assert.deepEqual(params, {
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } },
        'io.modelcontextprotocol/clientInfo': { name: 'gatewrit', version: '0.1.0' },
        'io.modelcontextprotocol/logLevel': 'warning',
      },
      name: 'buy',
      arguments: { n: 1 },
    });
  });

  test('and one to a legacy server gets nothing', () => {
    const client = clientWith({}, '2025-11-25', 'warning');
    assert.deepEqual(sent(requestOf('tools/call', '{"name":"shop__buy"}', { client }), 'legacy'), { name: 'buy' });
  });
});

test('a completion names what is completed as the server does; what nobody judged stays behind', () => {
  const { target } = requestFor();
  const prompt = requestOf(
    'completion/complete',
    '{"ref":{"type":"ref/prompt","name":"shop__ask"},"argument":{"name":"a","value":"v"},"context":{"arguments":{"b":"c"}},"more":1}',
    { target: { ...target, kind: 'prompt', name: 'ask' } },
  );
  assert.deepEqual(sent(prompt, 'legacy'), {
    ref: { type: 'ref/prompt', name: 'ask' },
    argument: { name: 'a', value: 'v' },
    context: { arguments: { b: 'c' } },
  });
  const template = requestOf(
    'completion/complete',
    '{"ref":{"type":"ref/resource","uri":"other://{x}"},"argument":{"name":"x","value":""}}',
    { target: { ...target, kind: 'template', name: 'file://{x}' } },
  );
  assert.deepEqual((sent(template, 'legacy') as { ref: object }).ref, { type: 'ref/resource', uri: 'file://{x}' });
});

describe('what nobody judged stays behind also where settings let larger messages in than by default', () => {
  const deep = `${'['.repeat(100)}${']'.repeat(100)}`;
  const cases = { deep, 'a long number': '1'.repeat(300) };
  for (const [what, value] of Object.entries(cases)) {
    test(what, () => {
      const params = `{"more":1,"name":"shop__buy","requestState":"x","arguments":{"a":${value}}}`;
      assert.deepEqual(sent(requestOf('tools/call', params), 'legacy'), {
        name: 'buy',
        arguments: JSON.parse(`{"a":${value}}`),
      });
    });
  }
});

describe('trace context', () => {
  const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const cases: [string, string, string, string[]][] = [
    ['well formed, goes on; baggage does not', PARENT, 'a=1,b@c=2', ['traceparent', 'tracestate']],
    ['a state that is not well formed stays behind', PARENT, 'A=1', ['traceparent']],
    ['a parent that is not well formed takes its state with it', `${PARENT}x`, 'a=1', []],
    ['all zeros', PARENT.replace(/[0-9a-f]{32}/, '0'.repeat(32)), 'a=1', []],
    ['33 members', PARENT, Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(), ['traceparent']],
  ];
  for (const [what, traceparent, tracestate, left] of cases) {
    test(what, () => {
      const meta = JSON.stringify({ baggage: 'user=me', traceparent, tracestate });
      const params = sent(requestOf('tools/call', `{"name":"buy","_meta":${meta}}`), 'legacy');
      assert.deepEqual(Object.keys(params['_meta'] as object), left);
    });
  }
});

test('a client that can be asked nothing costs no object of its own', () => {
  assert.equal(bridged(clientWith({}), ['x']), NOTHING_BRIDGED);
  assert.equal(bridged(clientWith({ tasks: {}, extensions: {} }), ['x']), NOTHING_BRIDGED);
});
