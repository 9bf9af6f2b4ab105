import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { json, jsonObject, plainText, SCALE, SEED, stringLexeme } from '../../../test/vectors/generated-json.ts';
import { argumentsDigest, canonicalTokens, EMPTY_ARGUMENTS_DIGEST } from './arguments-digest.ts';

const runs = { numRuns: 300 * SCALE, seed: SEED };
const canonical = (text: string) => canonicalTokens(Buffer.from(text));
const digest = (text: string) => argumentsDigest(Buffer.from(text));

test('the canonical form is the one of approvals.md: keys sorted, blanks dropped, strings unescaped, numbers verbatim', () => {
  assert.equal(
    canonical(' { "b" : [ 1.0 , 1 , -0 , 1E+2 , true , null ] ,\n "a" : { } , "\\u0041" : "\\/\\u00e9\\n" } '),
    '{"A":"/é\\n","a":{},"b":[1.0,1,-0,1E+2,true,null]}',
  );
  assert.equal(canonical('"\\u001f\\"\\\\"'), '"\\u001f\\"\\\\"');
  assert.equal(digest('{"a":1}'), createHash('sha256').update('{"a":1}').digest('base64url'));
  assert.equal(EMPTY_ARGUMENTS_DIGEST, digest(' { } '));
});

test('keys are sorted by UTF-16 code units, whatever their escapes', () => {
  assert.equal(canonical('{"\ufb33":1,"\\ud83d\\ude00":2}'), '{"😀":2,"\ufb33":1}');
  assert.equal(canonical('{"b":1,"\\"":2,"#":3,"!":4}'), '{"!":4,"\\"":2,"#":3,"b":1}');
});

test('1 and 1.0, and any other difference of content, give different digests', () => {
  const texts = [
    '{"a":1}',
    '{"a":1.0}',
    '{"a":1e0}',
    '{"a":"1"}',
    '{"a":[1]}',
    '{"A":1}',
    '{"a":1,"b":null}',
    '{}',
    '{"a":-0}',
    '{"a":0}',
  ];
  assert.equal(new Set(texts.map(digest)).size, texts.length);
});

test('the canonical form means the same as the text and is its own canonical form', () => {
  fc.assert(
    fc.property(json, (document) => {
      const form = canonical(document.text);
      assert.deepEqual(JSON.parse(form), JSON.parse(document.text));
      assert.equal(canonical(form), form);
    }),
    runs,
  );
});

test('members in any order and strings escaped in any way give one digest', () => {
  const dice = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 3 });
  const arbitrary = fc.uniqueArray(fc.record({ name: plainText, text: plainText, a: dice, b: dice, rank: fc.nat() }), {
    selector: (member) => member.name,
    maxLength: 6,
  });
  fc.assert(
    fc.property(arbitrary, (members) => {
      const write = (list: typeof members, way: 'a' | 'b', gap: string) =>
        `{${list.map((m) => `${gap}${stringLexeme(m.name, m[way])}:${gap}${stringLexeme(m.text, m[way])}`).join(',')}}`;
      const shuffled = [...members].sort((x, y) => x.rank - y.rank);
      assert.equal(digest(write(members, 'a', '')), digest(write(shuffled, 'b', '\n ')));
    }),
    runs,
  );
});

test('another value in one member always changes the digest', () => {
  fc.assert(
    fc.property(jsonObject, json, json, (document, first, second) => {
      fc.pre(canonical(first.text) !== canonical(second.text));
      const around = document.text.slice(1, -1);
      const rest = around.trim() === '' ? '' : `,${around}`;
      assert.notEqual(
        digest(`{"gatewrit-probe":${first.text}${rest}}`),
        digest(`{"gatewrit-probe":${second.text}${rest}}`),
      );
    }),
    runs,
  );
});
