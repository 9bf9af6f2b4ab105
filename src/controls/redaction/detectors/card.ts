import { CARD_WORDS, says } from '../context.ts';
import { type Cluster, type Group, standsAlone } from '../digits.ts';
import type { Found, Place } from '../types.ts';

interface Issuer {
  readonly name: string;
  /** Ranges of leading digits, all of the same width within a row. */
  readonly prefixes: readonly (readonly [from: number, to: number])[];
  readonly lengths: readonly number[];
}

/** Issuer ranges and lengths (ISO/IEC 7812), the published ranges of the networks. */
const ISSUERS: readonly Issuer[] = [
  { name: 'visa', prefixes: [[4, 4]], lengths: [13, 16, 19] },
  {
    name: 'mastercard',
    prefixes: [
      [51, 55],
      [2221, 2720],
    ],
    lengths: [16],
  },
  {
    name: 'amex',
    prefixes: [
      [34, 34],
      [37, 37],
    ],
    lengths: [15],
  },
  {
    name: 'diners',
    prefixes: [
      [300, 305],
      [3095, 3095],
      [36, 36],
      [38, 39],
    ],
    lengths: [14, 15, 16, 17, 18, 19],
  },
  {
    name: 'discover',
    prefixes: [
      [6011, 6011],
      [644, 649],
      [65, 65],
    ],
    lengths: [16, 17, 18, 19],
  },
  { name: 'jcb', prefixes: [[3528, 3589]], lengths: [16, 17, 18, 19] },
  {
    name: 'jcb',
    prefixes: [
      [2131, 2131],
      [1800, 1800],
    ],
    lengths: [15],
  },
  {
    name: 'unionpay',
    prefixes: [
      [62, 62],
      [81, 81],
    ],
    lengths: [16, 17, 18, 19],
  },
  {
    name: 'maestro',
    prefixes: [
      [5018, 5018],
      [5020, 5020],
      [5038, 5038],
      [5893, 5893],
      [6304, 6304],
      [6759, 6759],
      [6761, 6763],
      [6390, 6390],
      [60, 60],
      [67, 67],
    ],
    lengths: [12, 13, 14, 15, 16, 17, 18, 19],
  },
  { name: 'mir', prefixes: [[2200, 2204]], lengths: [16, 17, 18, 19] },
];

/** How digits are grouped on cards; other groupings count only beside a word for card. */
const GROUPINGS = new Set([
  '4-4-4-4',
  '4-6-5',
  '4-6-4',
  '4-4-4-4-3',
  '4-4-4-1',
  '4-4-4-2',
  '4-4-4-3',
  '4-4-4-4-1',
  '4-4-4-4-2',
  '4-4-4',
  '4-5-6',
  '6-13',
]);
const MIN = 12;
const MAX = 19;

/** The network whose ranges, length and check digit fit, or null. */
export function issuerOf(digits: string): string | null {
  if (digits.length < MIN || digits.length > MAX || !luhn(digits)) return null;
  for (const { name, prefixes, lengths } of ISSUERS) {
    if (!lengths.includes(digits.length)) continue;
    for (const [from, to] of prefixes) {
      const lead = Number(digits.slice(0, String(from).length));
      if (lead >= from && lead <= to) return name;
    }
  }
  return null;
}

export function luhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    let digit = digits.charCodeAt(digits.length - 1 - i) - 0x30;
    if (i % 2 === 1) {
      digit *= 2;
      if (digit > 9) digit -= 9;
    }
    sum += digit;
  }
  return sum % 10 === 0;
}

/** Payment card numbers among the digit clusters of a text. Each group opens at most 19 windows. */
export function findCards(text: string, found: readonly Cluster[], place: Place): Found[] {
  const cards: Found[] = [];
  for (const cluster of found) {
    for (let first = 0; first < cluster.length; first++) {
      const card = cardFrom(text, cluster, first, place);
      if (card === null) continue;
      cards.push(card.found);
      first = card.last;
    }
  }
  return cards;
}

function cardFrom(text: string, cluster: Cluster, first: number, place: Place): { found: Found; last: number } | null {
  let digits = '';
  let best: { found: Found; last: number } | null = null;
  for (let last = first; last < cluster.length; last++) {
    const group = cluster[last]!;
    if (last > first && !joins(cluster, first, last)) break;
    digits += group.digits;
    if (digits.length > MAX) break;
    if (digits.length < MIN || !luhn(digits)) continue;
    const issuer = issuerOf(digits);
    const start = cluster[first]!.start;
    const verdict = judge(text, cluster.slice(first, last + 1), digits, issuer, place);
    if (verdict === 'no') continue;
    best = {
      found: {
        type: 'CREDIT_CARD',
        start,
        end: group.end,
        rule: `card.${issuer ?? 'context'}`,
        value: digits,
        contextual: verdict === 'context',
      },
      last,
    };
  }
  return best;
}

/** One kind of separator all through: `4111 1111-1111.1111` is not how anybody writes a card. */
function joins(cluster: Cluster, first: number, last: number): boolean {
  const gap = cluster[last]!.gap;
  if (gap !== ' ' && gap !== '-' && gap !== '.' && gap !== '  ' && gap !== ' - ') return false;
  return last === first + 1 || gap === cluster[first + 1]!.gap;
}

function judge(
  text: string,
  groups: readonly Group[],
  digits: string,
  issuer: string | null,
  place: Place,
): 'yes' | 'no' | 'context' {
  const start = groups[0]!.start;
  const end = groups.at(-1)!.end;
  const context = () => (place.known?.digits.has(digits) || says(CARD_WORDS, place, text, start) ? 'context' : 'no');
  if (!standsAlone(text, start, end)) return 'no';
  // Ranges are handed out year by year: beside a word for card the check digit is enough.
  if (issuer === null) return /^(\d)\1+$/.test(digits) ? 'no' : context();
  if (groups.length === 1) {
    // Thirteen digits that begin with 4 are as often an article number: EAN-13 has its own check digit.
    return digits.length === 13 && ean13(digits) ? context() : 'yes';
  }
  const lengths = groups.map((group) => group.digits.length);
  const even = lengths.every((length) => length === lengths[0]);
  if (GROUPINGS.has(lengths.join('-')) || (even && lengths[0]! <= 2)) return 'yes';
  return context();
}

/** Weights 1 and 3 in turn, sum divisible by ten. */
function ean13(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < 13; i++) sum += (digits.charCodeAt(i) - 0x30) * (i % 2 === 0 ? 1 : 3);
  return sum % 10 === 0;
}

/** A JSON number as digits when it is a whole number of card length: 4.111111111111111e15 too. Null otherwise. */
export function wholeDigits(number: string): string | null {
  const match = /^(\d+)(?:\.(\d+))?(?:[eE]\+?(\d{1,2}))?$/.exec(number);
  if (match === null) return null;
  const fraction = match[2] ?? '';
  const shift = Number(match[3] ?? '0');
  const rest = fraction.slice(shift);
  if (/[1-9]/.test(rest)) return null;
  const digits = (match[1]! + fraction.slice(0, shift)).padEnd(match[1]!.length + shift, '0');
  return digits.length > 40 ? null : digits;
}
