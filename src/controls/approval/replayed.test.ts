import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { treeOf } from '../../core/mcp/tree.ts';
import { replyOf } from './approval-kit.test.ts';
import { outcomeOf, REPLAYED } from './replayed.ts';

const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const textOf = (json: string) => {
  const { bytes } = outcomeOf(replyOf(json));
  return bytes && Buffer.from(bytes).toString();
};

test('the mark is put in and every other byte stays', () => {
  const mark = '"gatewrit/replayed":true';
  assert.equal(textOf('{}'), `{"_meta":{${mark}}}`);
  assert.equal(textOf('{ "n": 1.50 }'), `{"_meta":{${mark}}, "n": 1.50 }`);
  assert.equal(textOf('{"a":{"_meta":{"x":1}},"_meta":{}}'), `{"a":{"_meta":{"x":1}},"_meta":{${mark}}}`);
  assert.equal(textOf('{"a":"_meta","\\u005fmeta" : {"x":1}}'), `{"a":"_meta","\\u005fmeta" : {${mark},"x":1}}`);
});

test('marking is the same as setting one member of the tree', () => {
  const text = fc.string();
  const key = fc.oneof(fc.constantFrom('_meta', 'a', 'content', '"', '{'), text);
  const object = fc.dictionary(key, fc.oneof(fc.jsonValue(), fc.dictionary(key, fc.jsonValue())));
  fc.assert(
    fc.property(object, fc.nat(3), (tree, indent) => {
      // What the text says, not the tree: it has no -0, and no member that is undefined.
      const expected = treeOf(JSON.stringify(tree)) as Record<string, unknown>;
      const meta = expected['_meta'];
      const plain = typeof meta === 'object' && meta !== null && !Array.isArray(meta);
      const marked = textOf(JSON.stringify(tree, null, indent));
      if (meta !== undefined && !plain) return marked === null;
      expected['_meta'] = { ...(plain ? meta : {}), [REPLAYED]: true };
      assert.deepEqual(treeOf(marked!), expected);
      return true;
    }),
    { numRuns: 300 * scale },
  );
});

test('a reply that is no object, or that bears our mark already, is not given twice', () => {
  assert.equal(textOf('[1]'), null);
  assert.equal(textOf('{"_meta":{"gatewrit/replayed":false}}'), null);
});

test('a question in the middle of a call is no outcome', () => {
  const asked = replyOf('{"resultType":"input_required","inputRequests":{},"requestState":"s"}');
  assert.deepEqual(outcomeOf(asked), { state: 'asking', bytes: null });
});
