import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detect, featuresOf } from './detect.ts';
import { scanDocument } from './document.ts';
import { openTokeniser } from './token.ts';
import type { Treatment } from './treatment.ts';
import { NO_PLACE } from './types.ts';

const RULES = { phoneRegions: ['US'], keepPrivateAddresses: true, cutAllHiddenText: false };

const tokeniser = openTokeniser([{ kid: 'test', secret: new Uint8Array(32).fill(7) }]);
const TREATMENT: Treatment = {
  rules: RULES,
  depth: () => 'whole',
  action: () => 'replaced',
  replacement: (found) => tokeniser.replacement(found, 'acme'),
};

/** Texts made to be expensive: many starts and no end, long runs, many candidates. */
const HOSTILE: Readonly<Record<string, string>> = {
  'at signs': '@',
  'mailboxes without an end': 'a.a@',
  digits: '7',
  'spaced digits': '7 ',
  'grouped digits': '4111 ',
  'dashed digits': '415-',
  'plus signs': '+1 2',
  'dotted digits': '1.1.',
  'hex and colons': 'a1:',
  colons: '::1',
  'token heads': 'eyJ',
  'separated token heads': '-eyJ-',
  segments: 'eyJhbGciOiJub25lIn0.',
  'vendor prefixes': 'ghp_',
  'long vendor prefix': ' github_pat_a',
  'key markers': '-----BEGIN ',
  'key markers with label': '-----BEGIN PRIVATE KEY-----\n',
  assignments: 'password=',
  'nested assignments': 'password is token:',
  'URL schemes': 'a://b:',
  'query parameters': '?token=',
  'base64 lines': 'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\n',
  'percent signs': '%34%31',
  'iban heads': ' DE89 3704',
  escapes: '\u001b]',
  tags: '\u{E0041}',
  'zero width': '4\u200b',
  letters: 'a',
};

/** Of measurements that look quadratic, so many in a row are no chance of a busy machine. */
const TRIES = 5;

test('time grows with the length of hostile text, not with its square', () => {
  for (const [name, unit] of Object.entries(HOSTILE)) {
    const textOf = (length: number) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
    const look = (text: string) => detect(text, featuresOf(text), NO_PLACE, RULES, 'whole');
    linear(`${name}, for 4k and 16k characters`, [4096, 16384], textOf, look);
  }
});

test('nor with the square of how often an object names one address, each time in another spelling', () => {
  const address = 'abcdefghijklmnop@example.com';
  const spelling = (n: number) =>
    [...address].map((letter, i) => (i < 13 && (n >> i) & 1 ? letter.toUpperCase() : letter)).join('');
  const objectOf = (members: number) =>
    Buffer.from(JSON.stringify(Object.fromEntries(Array.from({ length: members }, (_, n) => [spelling(n), n]))));
  const look = (bytes: Buffer) => {
    const { bytes: redacted } = scanDocument(bytes, TREATMENT);
    assert.equal(new Set(Object.keys(JSON.parse(Buffer.from(redacted).toString()))).size, spelledIn(bytes));
  };
  linear('1,500 and 6,000 spellings', [1_500, 6_000], objectOf, look);
});

test('nor with how deep JSON in a text is nested, times how much is found in it', () => {
  const documentOf = (size: number) => {
    const found = Array.from({ length: size }, () => '"a@b.co"').join(',');
    return Buffer.from(JSON.stringify({ text: `${'['.repeat(size)}${found}${']'.repeat(size)}` }));
  };
  linear('3,000 and 12,000 levels', [3_000, 12_000], documentOf, (bytes) => scanDocument(bytes, TREATMENT));
});

test('nor with how long a member name is, times how much is found below it', () => {
  const documentOf = (size: number) =>
    Buffer.from(JSON.stringify({ ['k'.repeat(size * 9)]: Array.from({ length: size }, () => 'a@b.co') }));
  linear('names of 27k and 108k characters', [3_000, 12_000], documentOf, (bytes) => scanDocument(bytes, TREATMENT));
});

test('nor with how many secrets a document names, times the length of its texts', () => {
  const alike = (n: number) => `${'a'.repeat(n % 150)}1${'a'.repeat(40)}${n}`;
  const documentOf = (size: number) =>
    Buffer.from(
      JSON.stringify({
        users: Array.from({ length: size / 64 }, (_, n) => ({ password: alike(n) })),
        text: `${'a'.repeat(150)}1 `.repeat(size / 8),
        more: 'aaaaaa '.repeat(size / 8),
      }),
    );
  linear('8k and 32k characters of passwords', [8_192, 32_768], documentOf, (bytes) => scanDocument(bytes, TREATMENT));
});

/** How many members an object has: all of them differ. */
const spelledIn = (bytes: Buffer) => Object.keys(JSON.parse(bytes.toString())).length;

function linear<T>(what: string, [short, long]: [number, number], make: (size: number) => T, look: (made: T) => void) {
  const seen: string[] = [];
  while (!growsLinearly(make(short), make(long), look, seen))
    assert.ok(seen.length < TRIES, `${what}: ${seen.join(', ')}`);
}

/** Four times the length: linear is 4, quadratic 16. Below a few milliseconds the clock decides, not the text. */
function growsLinearly<T>(short: T, long: T, look: (made: T) => void, seen: string[]): boolean {
  const [small, large] = [fastest(() => look(short)), fastest(() => look(long))];
  seen.push(`${small.toFixed(2)} and ${large.toFixed(2)} ms`);
  return large < 4 || large / small < 10;
}

/** ms of the clock, since this thread's own time is counted in ticks. */
function fastest(look: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4; i++) {
    const begin = performance.now();
    look();
    best = Math.min(best, performance.now() - begin);
  }
  return best;
}
