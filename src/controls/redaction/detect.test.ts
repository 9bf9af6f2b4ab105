import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as values from '../../../test/redaction/values.ts';
import { detect, featuresOf, type Rules } from './detect.ts';
import { githubChecksum } from './detectors/vendor.ts';
import { ARMOUR, AT, COLONS, DIGITS, DOTTED, PERCENT, RUN, TOKEN, WORDS } from './features.ts';
import { NO_PLACE, type Place, type Type } from './types.ts';

const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const seed = 20260728;
const RULES: Rules = { phoneRegions: ['US'], keepPrivateAddresses: true, cutAllHiddenText: false };
const found = (text: string) =>
  detect(text, featuresOf(text), NO_PLACE, RULES, 'whole').filter((one) => one.quiet !== true);
/** Words and punctuation around a value that say nothing about it. */
const FRAMES = ['', 'x ', 'see: ', '(', '"', 'a,b,', 'naïve – ', '| '];
const CLOSES = ['', ' y', '.', ')', '"', ',z', '; end', ' |'];

/** The value is found as this type, with exactly its own span, in any frame. */
function isFound(type: Type, arbitrary: fc.Arbitrary<string>, runs = 300): void {
  fc.assert(
    fc.property(arbitrary, fc.constantFrom(...FRAMES), fc.constantFrom(...CLOSES), (value, open, close) => {
      const text = open + value + close;
      const list = found(text);
      assert.deepEqual(
        list.map(({ type, start, end }) => ({ type, value: text.slice(start, end) })),
        [{ type, value }],
        text,
      );
    }),
    { numRuns: runs * scale, seed },
  );
}

function isLeft(arbitrary: fc.Arbitrary<string>, type: Type): void {
  fc.assert(
    fc.property(arbitrary, fc.constantFrom(...FRAMES.slice(0, 5)), (value, open) => {
      assert.deepEqual(
        found(open + value).filter((one) => one.type === type),
        [],
        value,
      );
    }),
    { numRuns: 300 * scale, seed },
  );
}

test('card numbers of every listed network are found, bare and grouped', () =>
  isFound('CREDIT_CARD', values.writtenCard));
test('a card number with a wrong check digit is left', () => isLeft(values.wrongCard, 'CREDIT_CARD'));
test('social security numbers with dashes are found', () => isFound('US_SSN', values.ssn));
test('numbers outside the ranges of social security are left', () => isLeft(values.wrongSsn, 'US_SSN'));
test('IBANs are found', () => isFound('IBAN', values.iban));
test('IBANs are found in groups of four and in lower case', () =>
  isFound(
    'IBAN',
    values.iban.map((value) => value.toLowerCase().replace(/(.{4})(?=.)/g, '$1 ')),
  ));
test('an IBAN with a wrong check number is left', () => isLeft(values.wrongIban, 'IBAN'));
test('mailboxes are found', () => isFound('EMAIL', values.email));
test('packages, images, units and remotes with an @ are left', () => isLeft(values.wrongEmail, 'EMAIL'));
test('public IPv4 addresses are found', () => isFound('IP_ADDRESS', values.publicIp));
test('IPv6 addresses are found', () => isFound('IP_ADDRESS', values.publicIp6));
test('versions, times and slices are no addresses', () => isLeft(values.wrongIp, 'IP_ADDRESS'));
test('tokens of vendors are found', () => isFound('VENDOR_TOKEN', values.vendorToken));
test('words that begin like a token are left', () => isLeft(values.wrongVendorToken, 'VENDOR_TOKEN'));
test('signed tokens are found', () => isFound('JWT_BEARER', values.jwt));
test('private keys are found as whole blocks', () => isFound('PRIVATE_KEY', values.privateKey));

test('telephone numbers are found', () => {
  fc.assert(
    fc.property(values.phone, (value) => {
      const list = found(`x ${value}.`);
      assert.deepEqual(
        list.map((one) => one.type),
        ['PHONE'],
        value,
      );
    }),
    { numRuns: 100, seed },
  );
});

test('one number in national and international writing has one value, so it gets one token', () => {
  const valuesOf = (text: string) => found(text).map((one) => one.value);
  assert.deepEqual(valuesOf('(201) 555-0123'), ['+12015550123']);
  assert.deepEqual(valuesOf('+1 201 555 0123'), ['+12015550123']);
  assert.deepEqual(valuesOf('call 0012015550123'), ['+12015550123']);
});

test('a checksum of GitHub is recognised, a wrong one changes only the rule', () => {
  const random = 'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0'.slice(0, 30);
  assert.equal(found(`ghp_${random}${githubChecksum(random)}`)[0]?.rule, 'vendor.github.checksum');
  assert.equal(found(`ghp_${random}AAAAAA`)[0]?.rule, 'vendor.github.shape');
});

test('disguised values are found: other digits, zero-width characters, percent-encoding, base64, spacing', () => {
  const cases: readonly (readonly [text: string, type: Type])[] = [
    ['４１１１ １１１１ １１１１ １１１１', 'CREDIT_CARD'],
    ['4111\u200b1111\u200b1111\u200b1111', 'CREDIT_CARD'],
    ['4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1', 'CREDIT_CARD'],
    ['4111\u20111111\u20111111\u20111111', 'CREDIT_CARD'],
    ['4111\u00a01111\u00a01111\u00a01111', 'CREDIT_CARD'],
    ['𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏', 'CREDIT_CARD'],
    ['٤١١١١١١١١١١١١١١١', 'CREDIT_CARD'],
    ['4111\u001b[1m1111\u001b[0m11111111', 'CREDIT_CARD'],
    ['jane%40example.org', 'EMAIL'],
    ['jane＠example.org', 'EMAIL'],
    ['ja\u00adne@exam\u2060ple.org', 'EMAIL'],
    [Buffer.from('write to jane@example.org today').toString('base64'), 'EMAIL'],
    [Buffer.from('card: 4111 1111 1111 1111 ok').toString('base64url'), 'CREDIT_CARD'],
  ];
  for (const [text, type] of cases)
    assert.deepEqual(
      found(text).map((one) => one.type),
      [type],
      text,
    );
});

test('credentials in URLs and connection strings are found without the host', () => {
  const shown = (text: string) => found(text).map((one) => text.slice(one.start, one.end));
  assert.deepEqual(shown('postgres://app:pa55w0rd@db.example.com:5432/x'), ['app:pa55w0rd']);
  assert.deepEqual(shown('redis://:p/a@ss@cache:6379'), [':p/a@ss']);
  assert.deepEqual(shown('https://x.example/a?access_token=abcdef123456&b=1'), ['abcdef123456']);
  assert.deepEqual(shown('Server=x;Password=Tr0ub4dor;Encrypt=1'), ['Tr0ub4dor']);
  assert.deepEqual(shown('https://example.com:8443/path@2x'), []);
});

test('a password is found by what announces it, and a sentence about passwords is left', () => {
  const shown = (text: string) => found(text).map((one) => text.slice(one.start, one.end));
  assert.deepEqual(shown('password=hunter2!'), ['hunter2!']);
  assert.deepEqual(shown('x=1&password=a&b2c3d4&y=2'), ['a&b2c3d4']);
  assert.deepEqual(shown('db_password: "s3cr3tpw"'), ['s3cr3tpw']);
  assert.deepEqual(shown('the password is hunter2.'), ['hunter2']);
  assert.deepEqual(shown('api_key = 9f8e7d6c5b4a39281706'), ['9f8e7d6c5b4a39281706']);
  assert.deepEqual(shown('Authorization: Basic dXNlcjpwYXNz'), ['dXNlcjpwYXNz']);
  assert.deepEqual(shown('The password is required. Token: invalid. next_token=CAUQAA3f9a8b7c6d5e4f'), []);
});

test('the prefilter never says no where a detector would have found something', () => {
  const all = AT | DIGITS | DOTTED | COLONS | RUN | TOKEN | PERCENT | ARMOUR | WORDS;
  const places: readonly Place[] = [NO_PLACE, { ...NO_PLACE, name: 'phone', names: 'customer phone ssn card' }];
  const noise = fc.oneof(
    fc.string(),
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom(...'g7-|ab12.|_5-|x3/|b8 |é4-|no1-2-|DE89-|+1|1-|(|) |/|. '.split('|')),
    fc.integer({ min: 0, max: 9_999_999_999 }).map(String),
    fc.constantFrom('password=', 'token: ', ' is ', '://', '%40', '\n', '-----'),
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(noise, values.anyValue, values.wrongIp, values.wrongEmail), { maxLength: 5 }),
      fc.constantFrom(...places),
      (parts, place) => {
        const text = parts.join('');
        const asked = detect(text, featuresOf(text), place, RULES, 'whole');
        // Hidden text is asked for by the same flag in both, so only what is found in plain sight is compared.
        const whole = detect(text, all, place, RULES, 'whole').filter((one) => one.quiet !== true);
        for (const one of whole) {
          assert.ok(
            asked.some((other) => other.start <= one.start && other.end >= one.end),
            `${one.type} ${one.rule} missed in ${JSON.stringify(text)}`,
          );
        }
      },
    ),
    { numRuns: 6000 * scale, seed },
  );
});
