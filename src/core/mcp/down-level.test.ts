import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Revision } from '../call.ts';
import { downLevel } from './down-level.ts';
import { treeOf } from './tree.ts';

const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);

function lowered(
  value: unknown,
  method: string,
  revision: Revision = '2025-11-25',
  kind: 'result' | 'error' = 'result',
) {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return Buffer.from(downLevel({ kind, bytes: Buffer.from(text) }, method, revision)).toString();
}

test('what only the modern revision says of a result is cut out, and every other byte stays', () => {
  const text = '{ "content" : [ ] ,"resultType":"complete", "n": 12345678901234567890 , "_meta":{"resultType":1} }';
  assert.equal(
    lowered(text, 'tools/call'),
    '{ "content" : [ ] ,"n": 12345678901234567890 , "_meta":{"resultType":1} }',
  );
  assert.equal(lowered('{"resultType":"complete"}', 'tools/call'), '{}');
  const list = { resultType: 'complete', tools: [], ttlMs: 0, cacheScope: 'private' };
  assert.equal(lowered(list, 'tools/list'), '{"tools":[]}');
  // Of a tool these are its own members.
  assert.equal(lowered({ ttlMs: 1, cacheScope: 'x' }, 'tools/call'), '{"ttlMs":1,"cacheScope":"x"}');
});

test('cutting leaves the object JSON would leave, whatever stands around it (property)', () => {
  const words = ['resultType', 'ttlMs', 'cacheScope'];
  const members = fc.dictionary(fc.oneof(fc.constantFrom(...words), fc.string()), fc.jsonValue({ depthSize: 'small' }));
  const blanks = fc.constantFrom(undefined, 1, '\t');
  fc.assert(
    fc.property(members, blanks, (value, indent) => {
      fc.pre(!Object.hasOwn(value, '__proto__'));
      const kept = Object.fromEntries(Object.entries(value).filter(([name]) => !words.includes(name)));
      const text = JSON.stringify(value, null, indent);
      assert.deepEqual(treeOf(lowered(text, 'resources/read')), treeOf(JSON.stringify(kept)));
    }),
    { numRuns: 500 * scale },
  );
});

test('a missing resource has the code older clients know, any other error its own', () => {
  const error = (code: number, data?: unknown) => ({ code, message: 'm', ...(data === undefined ? {} : { data }) });
  const codeOf = (value: unknown, method: string) =>
    (treeOf(lowered(value, method, '2025-06-18', 'error')) as { code: number }).code;
  assert.equal(codeOf(error(-32602, { uri: 'file:///a' }), 'resources/read'), -32002);
  assert.equal(codeOf(error(-32602), 'resources/read'), -32602);
  assert.equal(codeOf(error(-32602, { uri: 'file:///a' }), 'tools/call'), -32602);
  assert.equal(codeOf(error(-32000), 'tools/call'), -32000);
  for (const code of [-32020, -32021, -32022, -32099]) assert.equal(codeOf(error(code), 'tools/call'), -32603);
});

test('the oldest revision is promised no structured output, and its links to resources become text', () => {
  const tools = [{ name: 'a', outputSchema: { type: 'object' } }, { outputSchema: {} }, { name: 'b' }];
  assert.equal(lowered({ tools }, 'tools/list', '2025-03-26'), '{"tools":[{"name":"a"},{},{"name":"b"}]}');
  assert.equal(lowered({ tools }, 'tools/list', '2025-06-18'), JSON.stringify({ tools }));
  const link = { type: 'resource_link', name: 'n', title: 'T', uri: 'file:///a', description: 'd"' };
  const text = { type: 'text', text: 'T\nfile:///a\nd"' };
  const image = { type: 'image', data: 'AA==', mimeType: 'image/png' };
  const content = [image, link, { type: 'resource_link', name: 'n', uri: 'u' }];
  assert.deepEqual(treeOf(lowered({ content, structuredContent: {} }, 'tools/call', '2025-03-26')), {
    content: [image, text, { type: 'text', text: 'n\nu' }],
    structuredContent: {},
  });
  assert.deepEqual(treeOf(lowered({ messages: [{ role: 'user', content: link }] }, 'prompts/get', '2025-03-26')), {
    messages: [{ role: 'user', content: text }],
  });
  assert.equal(lowered({ content }, 'tools/call', '2025-06-18'), JSON.stringify({ content }));
});

test('what is not of the expected shape passes as it is', () => {
  for (const text of ['[]', '7', '{"tools":7}', '{"tools":[7,"x",[]]}', '{"content":{}}', '{"content":[{"type":7}]}'])
    for (const method of ['tools/list', 'tools/call', 'prompts/get'])
      assert.equal(lowered(text, method, '2025-03-26'), text);
  for (const text of ['{}', '7', '{"code":"x"}', '{"code":-32602,"data":[]}'])
    assert.equal(lowered(text, 'resources/read', '2025-03-26', 'error'), text);
});
