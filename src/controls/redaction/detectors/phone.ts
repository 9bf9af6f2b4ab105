import { type CountryCode, parsePhoneNumberFromString } from 'libphonenumber-js/min';
import {
  after,
  before,
  OTHER_NUMBER,
  PHONE_LABELS,
  PHONE_PHRASE,
  PHONE_VERBS,
  PHONE_WORDS,
  PHONE_WORDS_AFTER,
} from '../context.ts';
import { type Cluster, type Group, isDigit } from '../digits.ts';
import type { Found, Place } from '../types.ts';

const MIN = 7;
const MAX = 15;
/** Numbering plans are dear to ask (about 8 µs); after this many questions in one text, shape alone decides: towards redaction. */
const MAX_PARSES = 256;

/**
 * Telephone numbers: with + when country and length fit (reserved ranges too), in North American writing, bare only
 * beside a word for telephone.
 * @param regions countries whose national writing is tried for the token, so that both writings give one token
 */
export function findPhones(text: string, found: readonly Cluster[], place: Place, regions: readonly string[]): Found[] {
  const phones: Found[] = [];
  const plan = { left: MAX_PARSES, regions };
  for (const cluster of found) {
    let first = 0;
    while (first < cluster.length) {
      const phone = phoneFrom(text, cluster, first, place, plan);
      if (phone === null) first++;
      else {
        phones.push(phone.found);
        first = phone.next;
      }
    }
  }
  return phones;
}

interface Plan {
  left: number;
  readonly regions: readonly string[];
}

function phoneFrom(
  text: string,
  cluster: Cluster,
  first: number,
  place: Place,
  plan: Plan,
): { found: Found; next: number } | null {
  const group = cluster[first]!;
  const start = openedAt(text, group.start);
  if (!startsAlone(text, start)) return null;
  const windows = windowsFrom(text, cluster, first);
  if (windows.length === 0) return null;
  const plus = text[start] === '+' || (text[start] === '(' && text[start + 1] === '+');
  if (plus) return international(text, cluster, start, windows, place, plan);
  const context = besides(text, start, cluster[windows[0]!]!.end, place);
  for (const last of windows) {
    const groups = cluster.slice(first, last + 1);
    const digits = groups.map((part) => part.digits).join('');
    const shaped = northAmerican(text, start, groups);
    const known = place.known?.digits.has(digits) === true;
    if (!shaped && !known && !(isEnough(context, groups) && isPlausible(groups, digits))) continue;
    const rule = shaped ? 'phone.national' : 'phone.context';
    const end = withExtension(text, groups.at(-1)!.end);
    const value = e164(digits, plan) ?? digits;
    return { found: { type: 'PHONE', start, end, rule, value, contextual: !shaped }, next: skipTo(cluster, last, end) };
  }
  return null;
}

function international(
  text: string,
  cluster: Cluster,
  start: number,
  windows: readonly number[],
  place: Place,
  plan: Plan,
): { found: Found; next: number } | null {
  const lead = text.slice(start).startsWith('(') ? start + 1 : start;
  for (const last of windows) {
    const end = cluster[last]!.end;
    const written = text.slice(lead, end).replace('(0)', '');
    const parsed = plan.left-- > 0 ? parsePhoneNumberFromString(written) : undefined;
    if (plan.left >= 0 && parsed?.isPossible() !== true) continue;
    const value = parsed?.number ?? written.replace(/[^\d+]/g, '');
    const stop = withExtension(text, end);
    return { found: { type: 'PHONE', start, end: stop, rule: 'phone.e164', value }, next: skipTo(cluster, last, stop) };
  }
  // No plan knows it, but a word beside it says what it is.
  const last = windows[0]!;
  const end = cluster[last]!.end;
  if (besides(text, start, end, place) === 'nothing') return null;
  const value = text.slice(lead, end).replace(/[^\d+]/g, '');
  const stop = withExtension(text, end);
  return {
    found: { type: 'PHONE', start, end: stop, rule: 'phone.context', value, contextual: true },
    next: skipTo(cluster, last, stop),
  };
}

/** Last groups of the windows that begin at `first` and hold 7 to 15 digits, longest first, at most four. */
function windowsFrom(text: string, cluster: Cluster, first: number): number[] {
  const windows: number[] = [];
  let total = 0;
  for (let last = first; last < cluster.length; last++) {
    const group = cluster[last]!;
    // A second + begins another number; so do two blanks.
    if (last > first && (group.gap.includes('+') || /^ {2,}$/.test(group.gap))) break;
    total += group.digits.length;
    if (total > MAX) break;
    if (total >= MIN && endsAlone(text, group.end)) windows.unshift(last);
  }
  return windows.slice(0, 4);
}

/** Takes a leading `+`, `(` or `(+` into the number. */
function openedAt(text: string, start: number): number {
  let at = start;
  if (text[at - 1] === '+') at--;
  if (text[at - 1] === '(') at--;
  if (at < start && text[at] === '(' && text[at - 1] === '+') at--;
  return at;
}

function startsAlone(text: string, start: number): boolean {
  const before = text[start - 1] ?? ' ';
  if (/[\p{L}\p{N}_@#$€£%]/u.test(before)) return false;
  return !(/[.\-/,]/.test(before) && /[\p{L}\p{N}_]/u.test(text[start - 2] ?? ' '));
}

function endsAlone(text: string, end: number): boolean {
  const after = text[end] ?? ' ';
  if (after === 'x' || after === 'X') return isDigit(text.charCodeAt(end + 1));
  if (/[\p{L}\p{N}_@%€$]/u.test(after)) return false;
  // Dashes lead on to words as well (`788-063-Office`); a digit behind dash, dot or colon belongs to something longer.
  return !(/[.:,]/.test(after) && isDigit(text.charCodeAt(end + 1)));
}

/** What stands around the number: a word for telephone, a verb of telephoning, or nothing of the kind. */
type Beside = 'word' | 'verb' | 'nothing';

function besides(text: string, start: number, end: number, place: Place): Beside {
  if (PHONE_WORDS.test(place.names) && !/\b(?:id|message|count|type|code)\b/.test(place.names)) return 'word';
  const lead = before(text, start);
  if (OTHER_NUMBER.test(lead)) return 'nothing';
  if (PHONE_WORDS.test(lead) || PHONE_LABELS.test(lead) || PHONE_PHRASE.test(lead)) return 'word';
  if (PHONE_WORDS_AFTER.test(after(text, end)) || PHONE_WORDS.test(place.before)) return 'word';
  return PHONE_VERBS.test(lead) ? 'verb' : 'nothing';
}

/** Beside a verb only a number that is written like one: "processed 1234567 calls, 7654321 left" counts things. */
function isEnough(beside: Beside, groups: readonly Group[]): boolean {
  return beside === 'word' || (beside === 'verb' && groups.length > 1);
}

/** (201) 555-0123, 201-555-0123, 201.555.0123, with or without a leading 1. */
function northAmerican(text: string, start: number, groups: readonly Group[]): boolean {
  const parts = groups
    .map((group) => group.digits.length)
    .join('-')
    .replace(/^1-(?=3-)/, '');
  if (parts !== '3-3-4' || !/^[2-9]/.test(groups.at(-3)!.digits)) return false;
  const [, second, third] = groups.slice(-3);
  if (text[start] === '(') return /^\) ?$/.test(second!.gap) && /^[-. ]$/.test(third!.gap);
  return /^[-.]$/.test(third!.gap) && second!.gap === third!.gap;
}

/** Not a date, a year range, a time or a decimal with thousands. */
function isPlausible(groups: readonly Group[], digits: string): boolean {
  const lengths = groups.map((group) => group.digits.length).join('-');
  if (isDate(groups)) return false;
  if (lengths === '4-4' && /^(?:19|20)\d\d(?:19|20)\d\d$/.test(digits)) return false;
  if (/^(\d)\1+$/.test(digits)) return false;
  return groups.length > 1 || (digits.length >= MIN && digits.length <= MAX);
}

/** Year, month, day in either order at the start of the window; a time may follow. */
function isDate([a, b, c]: readonly Group[]): boolean {
  if (a === undefined || b === undefined || c === undefined) return false;
  const [year, last] = a.digits.length === 4 ? [a.digits, c.digits] : [c.digits, a.digits];
  return (
    /^(?:19|20)\d\d$/.test(year) &&
    b.digits.length <= 2 &&
    last.length <= 2 &&
    Number(b.digits) <= 31 &&
    Number(last) <= 31
  );
}

function e164(digits: string, plan: Plan): string | null {
  const international = digits.startsWith('00') ? `+${digits.slice(2)}` : null;
  for (const region of international === null ? plan.regions : ['US']) {
    if (plan.left-- <= 0) return null;
    const parsed = parsePhoneNumberFromString(international ?? digits, region as CountryCode);
    if (parsed?.isValid() === true) return parsed.number;
  }
  return null;
}

function withExtension(text: string, end: number): number {
  const extension = /^ ?(?:x|ext\.? ?|Ext\.? ?)\d{1,6}(?!\d)/.exec(text.slice(end, end + 14));
  return extension === null ? end : end + extension[0].length;
}

function skipTo(cluster: Cluster, last: number, end: number): number {
  let next = last + 1;
  while (next < cluster.length && cluster[next]!.start < end) next++;
  return next;
}
