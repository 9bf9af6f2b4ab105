import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonObject, plainText, SCALE, SEED, stringLexeme } from '../../../test/vectors/generated-json.ts';
import { scanDocument } from './scanner.ts';
import { treeOf } from './tree.ts';

const dice = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 4 });
const runs = { numRuns: 2000 * SCALE, seed: SEED };
/** An object shape nobody has parsed before: then the next name is the only one the engine expects. */
let fresh = 0;

test('a name is what was sent, whatever was parsed before', () => {
  const name = fc.oneof(
    plainText,
    fc.string({ unit: fc.constantFrom('\\', 'u', 'n', '"', '0', 'a'), maxLength: 3 }),
    fc.constantFrom('\\', '"', '\\u', '\n', 'é'),
  );
  fc.assert(
    fc.property(name, name, dice, (before, sent, way) => {
      const head = `{"first ${++fresh}":1,`;
      treeOf(`${head}${JSON.stringify(before)}:0}`);
      JSON.parse(`${head}${JSON.stringify(before)}:0}`);
      const tree = treeOf(`${head}${stringLexeme(sent, way)}:0}`) as object;
      assert.ok(Object.hasOwn(tree, sent), `${JSON.stringify(sent)} came out as ${JSON.stringify(Object.keys(tree))}`);
      assert.equal(Object.keys(tree).length, 2);
    }),
    runs,
  );
});

test('the engine’s fault is still there: when this fails, tree.ts can go', () => {
  const script = String.raw`JSON.parse('{"m":1,"\\\\":0}'); console.log(Object.keys(JSON.parse('{"m":1,"\\"":0}'))[1])`;
  const read = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }).trim();
  // Node 20 reads it right.
  assert.equal(read, Number.parseInt(process.versions.v8, 10) >= 14 ? '\\' : '"');
});

test('in a process where the engine is wrong, the tree is right', () => {
  const script = String.raw`
    import { treeOf } from ${JSON.stringify(new URL('./tree.ts', import.meta.url).href)};
    JSON.parse('{"m":1,"\\\\":0}');
    console.log(Object.keys(treeOf('{"m":1,"\\"":0}'))[1]);`;
  const read = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).trim();
  assert.equal(read, '"');
});

test('the tree of any document has the members the scanner found, by name and in order', () => {
  fc.assert(
    fc.property(jsonObject, ({ text }) => {
      const scanned = scanDocument(Buffer.from(text));
      assert.ok(typeof scanned === 'object' && scanned.members);
      const tree = treeOf(text) as object;
      assert.deepEqual(Object.keys(tree).sort(), [...scanned.members.keys()].sort());
    }),
    { ...runs, numRuns: 300 * SCALE },
  );
});

test('blanks, scalars, nesting and awkward names are read as JSON has them', () => {
  const text = ' { "\\u0061" : [ 1.5 , -0 , true, null , "\\n" , {} , [] ] , "__proto__" : { "x\\\\" : { } } } ';
  const tree = treeOf(text) as Record<string, unknown>;
  assert.deepEqual(tree['a'], [1.5, -0, true, null, '\n', {}, []]);
  assert.ok(Object.hasOwn(tree, '__proto__'));
  assert.equal(Object.getPrototypeOf(tree), Object.prototype);
  assert.equal(JSON.stringify(tree), '{"a":[1.5,0,true,null,"\\n",{},[]],"__proto__":{"x\\\\":{}}}');
});
