import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detect, featuresOf } from './detect.ts';
import { NO_PLACE } from './types.ts';

const RULES = { phoneRegions: ['US'], keepPrivateAddresses: true, cutAllHiddenText: false };

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
    const seen: string[] = [];
    while (!growsLinearly(unit, seen))
      assert.ok(seen.length < TRIES, `${name}, for 4k and 16k characters: ${seen.join(', ')}`);
  }
});

/** Four times the length: linear is 4, quadratic 16. Below a few milliseconds the clock decides, not the text. */
function growsLinearly(unit: string, seen: string[]): boolean {
  const [small, , large] = [4096, 8192, 16384].map((length) =>
    fastest(unit.repeat(Math.ceil(length / unit.length)).slice(0, length)),
  );
  seen.push(`${small!.toFixed(2)} and ${large!.toFixed(2)} ms`);
  return large! < 4 || large! / small! < 10;
}

/** ms of the clock, since this thread's own time is counted in ticks. */
function fastest(text: string): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4; i++) {
    const begin = performance.now();
    detect(text, featuresOf(text), NO_PLACE, RULES, 'whole');
    best = Math.min(best, performance.now() - begin);
  }
  return best;
}
