import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { splitBatch } from './batch.ts';
import { DEFAULT_SCAN_LIMITS } from './scanner.ts';
import { treeOf } from './tree.ts';

const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);

function split(text: string, max = 64): readonly string[] | string {
  const bytes = Buffer.from(text);
  const spans = splitBatch(bytes, DEFAULT_SCAN_LIMITS, max);
  return typeof spans === 'string' ? spans : spans.map(({ start, end }) => bytes.toString('utf8', start, end));
}

test('the messages of a batch are found with their own bytes', () => {
  assert.deepEqual(split(' [ {"a":"],[\\"\\\\"} ,\n[1,[2]],"x\\"," , -1e5,{},[] ] '), [
    '{"a":"],[\\"\\\\"}',
    '[1,[2]]',
    '"x\\","',
    '-1e5',
    '{}',
    '[]',
  ]);
});

test('splitting finds the elements a parser finds (property)', () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue(), { minLength: 1, maxLength: 20 }),
      fc.constantFrom(undefined, 2),
      (list, indent) => {
        const found = split(JSON.stringify(list, null, indent));
        assert.ok(typeof found !== 'string', String(found));
        assert.deepEqual(
          found.map((text) => JSON.stringify(treeOf(text))),
          list.map((one) => JSON.stringify(one)),
        );
      },
    ),
    { numRuns: 300 * scale },
  );
});

test('nothing, too much, and what is no array is no batch', () => {
  assert.equal(split('[ ]'), 'empty');
  assert.equal(split('{}'), 'not_object');
  assert.equal(split('[1,2'), 'json');
  assert.equal(split('[{"a":1,"a":2}]'), 'duplicate_key');
  assert.equal(split(`[${'1,'.repeat(63)}1]`).length, 64);
  assert.equal(split(`[${'1,'.repeat(64)}1]`), 'too_many');
  assert.equal(split('[1,2,3]', 2), 'too_many');
});
