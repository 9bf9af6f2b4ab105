import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { inertText } from './inert-text.ts';
import { phraseOf, prefixOf } from './phrase.ts';
import { type CardFacts, cardDigest, cardOf } from './view.ts';
import { WORDS } from './words.ts';

const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);

const facts = (args: Record<string, unknown>, more: Partial<CardFacts> = {}): CardFacts => ({
  server: 'jira',
  name: 'jira_create',
  kind: 'tool',
  effect: 'destructive',
  resource: '',
  definition: 'definition-1',
  manifest: 'manifest-1',
  asker: { issuer: 'https://issuer.test', subject: 'alice', client: 'desktop', actors: [] },
  arguments: args,
  meta: {},
  rule: 'destructive',
  quorum: 1,
  askedAt: 1_760_000_000_000,
  decideBy: 1_760_000_600_000,
  before: null,
  ...more,
});

test('text that hides, reorders or forges is written out and marked', () => {
  const cases: [string, string, string[]][] = [
    ['plain, Zoë 東京 №5', 'plain, Zoë 東京 №5', []],
    ['two\nlines\tand a \\n', 'two\\nlines\\tand a \\\\n', []],
    ['a\u0000b\u001b[31mc\rd\u0085', 'a\\u{0}b\\u{1b}[31mc\\u{d}d\\u{85}', ['control']],
    ['abc\u202edcba\u2069', 'abc\\u{202e}dcba\\u{2069}', ['bidi']],
    ['pay\u200bpal\ufeff', 'pay\\u{200b}pal\\u{feff}', ['invisible']],
    ['a\u00a0b\u2028c', 'a\\u{a0}b\\u{2028}c', ['invisible']],
    ['\u{e0041}\u3164\u2800\u034f', '\\u{e0041}\\u{3164}\\u{2800}\\u{34f}', ['invisible']],
    ['lone \ud800 half', 'lone \\u{d800} half', ['invisible']],
    ['p\u0430ypal', 'p\u0430ypal', ['confusable']],
    ['𝐬𝐚𝐟𝐞', '𝐬𝐚𝐟𝐞', ['confusable']],
    ['Привет and hello', 'Привет and hello', []],
  ];
  for (const [value, text, marks] of cases) assert.deepEqual(inertText(value), { text, marks }, JSON.stringify(value));
});

test('inert text is printable and no two texts look the same in it', () => {
  const unit = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('\\', 'n', 'u', '{', '}', '0', 'a', '\n', '\u0000', '\u202e', '\ud800') }),
  );
  fc.assert(
    fc.property(unit, (value) => {
      const { text } = inertText(value);
      assert.doesNotMatch(text, /[\p{C}\p{Zl}\p{Zp}]/u);
      assert.equal(readBack(text), value);
    }),
    { numRuns: 300 * scale },
  );
});

test('a card is the same for the same call, and its digest differs with any of it', () => {
  const args = { title: 'a', nested: { list: [1, true, null] } };
  assert.equal(cardDigest(cardOf(facts(args))), cardDigest(cardOf(facts(structuredClone(args)))));
  const others = [
    facts({ ...args, title: 'b' }),
    facts(args, { effect: 'write' }),
    facts(args, { before: 'denied' }),
    facts(args, { decideBy: 1 }),
    facts(args, { meta: { x: 1 } }),
    facts(args, { asker: { issuer: 'https://issuer.test', subject: 'bob', client: 'desktop', actors: [] } }),
  ];
  assert.equal(new Set([facts(args), ...others].map((each) => cardDigest(cardOf(each)))).size, others.length + 1);
});

test('arguments are shown leaf by leaf with path and type, empty ones too', () => {
  const card = cardOf(facts({ a: { 'b/c~d': ['x', 2.5] }, e: {}, f: [], g: null, h: false }));
  assert.deepEqual(
    card.arguments.map(({ path, type, text }) => [path, type, text]),
    [
      ['/a/b~1c~0d/0', 'string', 'x'],
      ['/a/b~1c~0d/1', 'number', '2.5'],
      ['/e', 'object', '{}'],
      ['/f', 'array', '[]'],
      ['/g', 'null', 'null'],
      ['/h', 'boolean', 'false'],
    ],
  );
  assert.equal(card.uninspectable, false);
  assert.deepEqual(cardOf(facts({})).arguments, []);
});

test('a long value shows beginning and end and says what is missing; it cannot push danger out of sight unmarked', () => {
  const card = cardOf(facts({ sql: `SELECT 1 ${'-'.repeat(10_000)} ; DROP TABLE customers` }));
  const [sql] = card.arguments;
  assert.match(sql!.text, /^SELECT 1 /);
  assert.match(sql!.tail, /DROP TABLE customers$/);
  assert.equal(sql!.hidden, 9 + 10_000 + 23 - 500);
  assert.deepEqual(sql!.marks, ['truncated']);
  assert.equal(card.uninspectable, true);
});

test('marks of a hidden middle are shown; many values are counted, not dropped in silence', () => {
  const middle = cardOf(facts({ a: `${'x'.repeat(1_000)}\u202e${'x'.repeat(1_000)}` }));
  assert.deepEqual(middle.arguments[0]!.marks, ['bidi', 'truncated']);
  const many = cardOf(facts(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, i]))));
  assert.deepEqual([many.arguments.length, many.omitted, many.uninspectable], [64, 36, true]);
});

test('names of members are as hostile as values', () => {
  const card = cardOf(facts({ 'a\u202eb': 1, [`k${'y'.repeat(2_000)}`]: 2 }));
  assert.equal(card.arguments[0]!.path, '/a\\u{202e}b');
  assert.deepEqual(card.arguments[0]!.marks, ['bidi']);
  assert.ok(card.arguments[1]!.path.length < 600);
  assert.deepEqual(card.arguments[1]!.marks, ['truncated']);
});

test('who asks is inert too', () => {
  const asker = {
    issuer: 'https://i\u202e',
    subject: 'al\u200bice',
    client: '\u001b]0;x\u0007',
    actors: [{ issuer: 'i', subject: '\n' }],
  };
  assert.doesNotMatch(JSON.stringify(cardOf(facts({}, { asker }))), /[\u202e\u200b\u001b]|\\u001b/);
});

test('the phrase is four words of 256 different ones, the same for the same digest', () => {
  assert.equal(WORDS.length, 256);
  assert.equal(new Set(WORDS).size, 256);
  assert.ok(WORDS.every((word) => /^[a-z]{3,9}$/.test(word)));
  const digest = Buffer.from([0, 255, 1, 2, 3, 4, 5]).toString('base64url');
  assert.equal(phraseOf(digest), `${WORDS[0]} ${WORDS[255]} ${WORDS[1]} ${WORDS[2]}`);
  assert.equal(prefixOf(digest), '00ff01020304');
});

/** The text that an inert text stands for. */
function readBack(text: string): string {
  return text.replace(/\\(?:(\\)|(n)|(t)|u\{([0-9a-f]+)\})/g, (_, slash, line, tab, code) => {
    if (slash) return '\\';
    if (line) return '\n';
    return tab ? '\t' : String.fromCodePoint(Number.parseInt(code, 16));
  });
}
