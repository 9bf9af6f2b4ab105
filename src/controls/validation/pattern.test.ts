import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compilePattern, PatternFault } from './pattern.ts';

const SCALE = Math.max(1, Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1));

const piece = fc.constantFrom(
  'a',
  'b',
  '-',
  ' ',
  '.',
  '^',
  '$',
  '\\d',
  '\\D',
  '\\w',
  '\\W',
  '\\s',
  '\\S',
  '\\b',
  '\\B',
  '\\n',
  '\\v',
  '\\t',
  '\\0',
  '\\cJ',
  '\\x41',
  '\\u0061',
  '\\u{1F600}',
  '\\ud83d\\ude00',
  '😀',
  '\\/',
  '\\.',
  '\\-',
  '[ab]',
  '[^ab]',
  '[a-z\\d]',
  '[\\s-]',
  '[^\\s]',
  '[[:a]',
  '[a^]',
  '[\\b]',
  '[&&a]',
  '[\\w.-]',
  '[\\]]',
  '\\p{L}',
  '\\P{Lu}',
  '[\\p{N}_]',
  '(a|b)',
  '(?:ab)',
  '(?<n>b)',
  '\\Q',
  '\\A',
  'é',
  '\\u00e9',
  '#',
  '{',
);
const quantifier = fc.constantFrom('', '', '', '*', '+', '?', '*?', '{2}', '{1,3}', '{0,}');
const pattern = fc
  .array(fc.tuple(piece, quantifier), { minLength: 1, maxLength: 4 })
  .map((list) => list.map((p) => p.join('')).join(''));
const subject = fc
  .array(
    fc.constantFrom(
      'a',
      'b',
      'A',
      '1',
      '-',
      ' ',
      '\n',
      '\r',
      '\v',
      '\u0000',
      '\u0008',
      '\u2028',
      '\u00a0',
      '\ufeff',
      'é',
      '😀',
      '[',
      '^',
      ':',
      '&',
      '/',
      '.',
      ']',
      'Q',
      '_',
      '٣',
      '#',
    ),
    { maxLength: 6 },
  )
  .map((list) => list.join(''));

test('a pattern that is taken matches exactly what ECMAScript says it matches', () => {
  let taken = 0;
  fc.assert(
    fc.property(pattern, fc.array(subject, { minLength: 4, maxLength: 4 }), (source, subjects) => {
      let compiled: { test(text: string): boolean };
      try {
        compiled = compilePattern(source);
      } catch (fault) {
        assert.ok(fault instanceof PatternFault);
        return;
      }
      taken++;
      const oracle = new RegExp(source, 'u');
      for (const text of subjects)
        assert.equal(compiled.test(text), oracle.test(text), `${source} on ${JSON.stringify(text)}`);
    }),
    { numRuns: 1500 * SCALE, seed: 20261122 },
  );
  assert.ok(taken > 500, `only ${taken} patterns were taken`);
});

test('a catastrophic pattern answers at once on 50,000 characters (SC-03)', () => {
  const compiled = compilePattern('^(a+)+$');
  const started = performance.now();
  assert.equal(compiled.test(`${'a'.repeat(50_000)}!`), false);
  assert.equal(compiled.test('a'.repeat(50_000)), true);
  assert.ok(performance.now() - started < 500);
});

test('what has no linear form, or another meaning there, is refused', () => {
  for (const source of [
    '(a)\\1',
    '(?=a)',
    '(?<!a)b',
    '(?i:a)',
    '[]',
    '[^]',
    '\\p{Script=Greek}',
    '\\p{Letter}',
    '(',
    'a{1001}',
    'a'.repeat(3_000),
    '[\\S]',
  ]) {
    assert.throws(() => compilePattern(source), PatternFault, source);
  }
});
