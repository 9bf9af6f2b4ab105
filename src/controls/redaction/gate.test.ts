import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as values from '../../../test/redaction/values.ts';
import { CONTEXT, features, NUMBER } from './features.ts';
import { isPromising } from './gate.ts';
import { collect, type Hit } from './leaf-reader.ts';
import type { Treatment } from './treatment.ts';

const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const seed = 20260728;
const TREATMENT: Treatment = {
  rules: { phoneRegions: ['US'], keepPrivateAddresses: true, cutAllHiddenText: false },
  depth: () => 'whole',
  action: () => 'replaced',
  replacement: () => '',
};
const promising = (bytes: Uint8Array) => isPromising(features(bytes, 0, bytes.length), bytes);
const shown = (hits: readonly Hit[]) => hits.map((hit) => [hit.segments, hit.found, hit.nested?.hits.length]);

const digits = fc.integer({ min: 100_000, max: 2_000_000_000 }).map(String);
const token = fc.string({
  unit: fc.constantFrom(...'abcdefghXYZ0123456789_-/='),
  minLength: 8,
  maxLength: 26,
});
const words = fc.constantFrom(
  ...'call me|reach us at|text her on|contact: |office|(home)|desk |tel.|Phone|fax_|mobilePhone|número |móvil |ring |SSN|tax payer|taxpayer|social security|front desk #|number: |direct-|main.|messages|Bearer |Basic |?sig=|&auth=|x-amz-signature=|eyJ|xoxb-|AKIA|SG.|hvs.|ya29.|whsec_|glpat-|PuTTY-User-Key-File-2|DE89|GB82 WEST|+1|(|)|-|.|, |: |/|\n|\t|"|\\|_| |e9|x|order |id |version |g7-|ab12-|v2.|_5-|x3/|b8 |nr9-1-|DE8-|\\n7-|201-555-0123|555-0123'.split(
    '|',
  ),
);
const names = fc.oneof(
  fc.constantFrom(
    ...'a id count text auth authValue bearer connection string connectionString phone homePhone ssn customerSSN tel_no data value system note nonce'.split(
      ' ',
    ),
  ),
  words,
);
const short = fc.constantFrom('123456', '1234567', '780 6326', '460899847', '460 89 9847', 'a1b2c3d4e5f6g7h8i9', 'x');
const text = fc
  .array(fc.oneof(words, words, digits, short, token, values.anyValue), { maxLength: 5 })
  .chain((parts) => fc.constantFrom('', ' ', '').map((gap) => parts.join(gap)));
const { document } = fc.letrec<{ document: unknown }>((tie) => ({
  document: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'document' },
    fc.oneof(text, text, digits.map(Number), digits, token),
    fc.array(tie('document'), { maxLength: 3 }),
    fc.dictionary(names, tie('document'), { maxKeys: 3 }),
    tie('document').map((inner) => JSON.stringify(inner)),
  ),
}));

test('the gate never says no to a document or leaf in which a detector would have found something', () => {
  let closed = 0;
  let narrowed = 0;
  fc.assert(
    fc.property(document, (tree) => {
      const bytes = Buffer.from(JSON.stringify(tree));
      const flags = features(bytes, 0, bytes.length);
      const all = collect(bytes, flags | CONTEXT, TREATMENT, null, false);
      if (promising(bytes)) {
        if (all.length > 0) narrowed++;
        assert.deepEqual(shown(collect(bytes, flags, TREATMENT, null, false)), shown(all), bytes.toString());
      } else {
        closed++;
        assert.deepEqual(shown(all), [], bytes.toString());
      }
    }),
    { numRuns: 10_000 * scale, seed },
  );
  assert.ok(closed > 500 && narrowed > 500, `${closed} closed, ${narrowed} with findings`);
});

test('prose with a counter and a short nonce does not pass the gate; one word that explains the counter opens it', () => {
  const of = (tree: unknown) => promising(Buffer.from(JSON.stringify(tree)));
  const plain = {
    nonce: 'n0001xabcd-1000123',
    count: 1000123,
    text: 'Please check: 14 pallets, 3 damaged, 15 percent.',
  };
  assert.equal(of(plain), false);
  for (const more of [{ phone: 1 }, { homePhone: 1 }, { note: 'the SSN' }, { auth: 1 }, { note: 'Bearer x' }])
    assert.equal(of({ ...plain, ...more }), true, JSON.stringify(more));
});

test('an identifier with dashes and many digits does not pass the gate; a number that begins behind it does', () => {
  const flagsOf = (value: string) => {
    const bytes = Buffer.from(JSON.stringify({ a: value }));
    return features(bytes, 0, bytes.length);
  };
  for (const value of ['n0007-1000001', 'build7-20261122.1000001', 'ab-1x-1000001', 'x1_7.1000001-2000002'])
    assert.equal(flagsOf(value) & NUMBER, 0, value);
  for (const value of ['x7 201-555-0123', 'no7-1 201-555-0123', 'g7-1/4111111111111111', '\n7-1000001', 'é7-1000001'])
    assert.notEqual(flagsOf(value) & NUMBER, 0, value);
});

test('what stands right beside a bare number or short run opens the gate without any word elsewhere', () => {
  const lines = Buffer.from('mail to jane@example.org today').toString('base64').replace(/.{20}/g, '$&\n');
  const cases: readonly (readonly [text: string, type: string])[] = [
    ['contact us at 5551234', 'PHONE'],
    ['the office:\n5551234', 'PHONE'],
    ['5551234 (home)', 'PHONE'],
    ['x 780 6326, desk', 'PHONE'],
    ['NL91ABNA0417164300', 'IBAN'],
    ['x\nNL91 ABNA 0417164300', 'IBAN'],
    [lines, 'EMAIL'],
    ['xoxb-12345678901234', 'VENDOR_TOKEN'],
    ['https://x.example/a?sig=abcdefghijklmn', 'URL_WITH_SECRET'],
  ];
  for (const [value, type] of cases) {
    const bytes = Buffer.from(JSON.stringify({ a: value }));
    const flags = features(bytes, 0, bytes.length);
    const types = collect(bytes, flags, TREATMENT, null, false).flatMap((hit) => hit.found.map((found) => found.type));
    assert.deepEqual([promising(bytes), types], [true, [type]], value);
  }
});
