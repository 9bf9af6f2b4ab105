import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { editLeaves, type LeafEdit, LeafWalk, pointer } from './leaves.ts';

const runs = 500 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const walked = (text: string) => {
  const walk = new LeafWalk(Buffer.from(text));
  const leaves: [string, string, string][] = [];
  while (walk.next()) leaves.push([walk.kind, pointer(walk.segments()), walk.text()]);
  return leaves;
};

test('every string, number and key comes with its path and its decoded text', () => {
  assert.deepEqual(walked(' {"a":[1,"x\\u0040",{"é/~":-2.5e3}], "b":true,"c":null,"d":"" } '), [
    ['key', '/a', 'a'],
    ['number', '/a/0', '1'],
    ['string', '/a/1', 'x@'],
    ['key', '/a/2/é~1~0', 'é/~'],
    ['number', '/a/2/é~1~0', '-2.5e3'],
    ['key', '/b', 'b'],
    ['key', '/c', 'c'],
    ['key', '/d', 'd'],
    ['string', '/d', ''],
  ]);
  assert.deepEqual(walked('"top"'), [['string', '', 'top']]);
  assert.deepEqual(walked('[[],{},[{"a":[]},7]]').at(-1), ['number', '/2/1', '7']);
});

test('without edits the same bytes object comes back', () => {
  const bytes = Buffer.from('{"a":1}');
  assert.equal(editLeaves(bytes, []), bytes);
});

test('parse(edited) equals edit(parse(original)) for any document and any choice of leaves', () => {
  fc.assert(
    fc.property(
      fc.json({ maxDepth: 5, noUnicodeString: false } as fc.JsonSharedConstraints),
      fc.infiniteStream(fc.boolean()),
      fc.string({ unit: 'binary' }),
      fc.boolean(),
      (text, chosen, value, spread) => {
        const bytes = Buffer.from(spread ? JSON.stringify(JSON.parse(text), null, 2) : text);
        const walk = new LeafWalk(bytes);
        const edits: LeafEdit[] = [];
        let expected: unknown = JSON.parse(bytes.toString());
        while (walk.next()) {
          if (walk.kind === 'key' || !chosen.next().value) continue;
          edits.push({ span: { start: walk.start, end: walk.end }, value });
          expected = put(expected, walk.segments(), value);
        }
        const edited = Buffer.from(editLeaves(bytes, edits)).toString();
        // Lone surrogates do not survive UTF-8 and are therefore written as escapes.
        assert.deepEqual(JSON.parse(edited), JSON.parse(JSON.stringify(expected)));
      },
    ),
    { numRuns: runs, seed: 20260728 },
  );
});

test('bytes nobody validated end in an error, not in a loop', () => {
  for (const text of ['"open', '"a\\"', ']', '{"a":"b']) assert.throws(() => walked(text), { code: 'leaves.not_json' });
});

function put(tree: unknown, segments: readonly (string | number)[], value: string): unknown {
  if (segments.length === 0) return value;
  const parent = segments
    .slice(0, -1)
    .reduce((at, segment) => (at as Record<string | number, unknown>)[segment], tree) as object;
  Object.defineProperty(parent, segments.at(-1)!, { value, enumerable: true, configurable: true, writable: true });
  return tree;
}
