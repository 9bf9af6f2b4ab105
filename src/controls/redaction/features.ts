/**
 * The literal prefilter: one pass over raw bytes says which detectors could find anything at all (performance.md
 * section 3: prefilter before detectors). It may say yes too often, never no where a detector would have said yes.
 */
export const AT = 1;
/** Seven or more digits with at most three separators between two of them. */
export const DIGITS = 2;
/** Three dots between digits: an IPv4 address, perhaps. */
export const DOTTED = 4;
/** Colons between hex digits: an IPv6 address, perhaps. */
export const COLONS = 8;
/** Eighteen or more token characters in a row, not a UUID. */
export const RUN = 16;
export const PERCENT = 32;
/** `\u` or `\/`: the bytes are not what the string says; decode, then ask again. */
export const ESCAPED = 64;
/** Four dashes: a PEM marker, perhaps. */
export const ARMOUR = 128;
/** A word that announces a secret. */
export const WORDS = 256;
/** Characters that hide or disguise: zero-width, bidi, tags, full-width and other digits. */
export const UNICODE = 512;
/** Digits that need no words around them: long enough for a card, in groups, after a plus or right beside a label. */
export const NUMBER = 1024;
/** A run long enough for base64 that is worth decoding, or one line of it. */
export const TOKEN = 2048;
// The next three qualify DIGITS and RUN and are never alone (gate.ts).
export const EQUALS = 4096;
export const HIGH_BYTES = 8192;
/** Two letters and two digits at the start of a word. */
export const IBAN_START = 16384;
/** Set by who already knows that words stand in the document which make weak flags count. */
export const CONTEXT = 32768;

const PLAIN = 0;
const DIGIT = 1;
const BREAK = 2;
const LETTER = 3;
const DOT = 4;
const COLON = 5;
const DASH = 6;
const SIGN_AT = 7;
const SIGN_PERCENT = 8;
const BACKSLASH = 9;
const HIGH = 10;
const EQUAL = 11;

/** The shortest thing in question is the header of an unsigned JWT with 19; `structuredContent` has 17. */
const LONG_RUN = 18;
/** nested.ts decodes no shorter run. */
const BASE64_RUN = 24;
/** The shortest card number. */
const CARD_DIGITS = 12;

const CLASS = new Uint8Array(256).fill(BREAK);
const HEX = new Uint8Array(256);
const SEPARATOR = new Uint8Array(256);
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_+/=') CLASS[char.charCodeAt(0)] = PLAIN;
for (const char of '0123456789') CLASS[char.charCodeAt(0)] = DIGIT;
for (const char of 'KPCWZkpcwz') CLASS[char.charCodeAt(0)] = LETTER;
for (const char of '0123456789ABCDEFabcdef') HEX[char.charCodeAt(0)] = 1;
for (const char of ' -.()/+') SEPARATOR[char.charCodeAt(0)] = 1;
for (let byte = 0x80; byte < 256; byte++) {
  CLASS[byte] = HIGH;
  SEPARATOR[byte] = 1;
}
CLASS[0x2e] = DOT;
CLASS[0x3a] = COLON;
CLASS[0x2d] = DASH;
CLASS[0x40] = SIGN_AT;
CLASS[0x25] = SIGN_PERCENT;
CLASS[0x5c] = BACKSLASH;
CLASS[0x1b] = HIGH;
CLASS[0x3d] = EQUAL;

/** Flags of what bytes[start, end) may hold; 0 means: nothing a detector could find. */
export function features(bytes: Uint8Array, start: number, end: number): number {
  let flags = 0;
  let runStart = start;
  let lastDigit = -10;
  let digits = 0;
  let lastDot = -10;
  let dots = 0;
  let lastColon = -10;
  let colons = 0;
  let grouped = false;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    switch (CLASS[byte]) {
      case PLAIN:
        continue;
      case DIGIT: {
        const gap = i - lastDigit;
        lastDigit = i;
        if (gap === 1) {
          digits++;
          if (digits === 2 && isIbanStart(bytes, i)) flags |= IBAN_START;
        } else if (gap <= 4 && SEPARATOR[bytes[i - 1]!] === 1) {
          digits++;
          grouped = true;
        } else {
          digits = 1;
          grouped = false;
          continue;
        }
        if (digits < 7) continue;
        if (digits === 7 && isDate(bytes, i, end)) {
          digits = -100;
          continue;
        }
        flags |= DIGITS;
        if (grouped || digits >= CARD_DIGITS || (digits === 7 && isMarked(bytes, i - 6, start, end))) flags |= NUMBER;
        // 4.1e15 is a card number written as a float.
        else if ((bytes[i + 1]! | 0x20) === 0x65) flags |= NUMBER;
        continue;
      }
      case EQUAL:
        flags |= EQUALS;
        continue;
      case LETTER:
        if ((flags & WORDS) === 0 && announcesSecret(bytes, i)) flags |= WORDS;
        continue;
      case DASH:
        if (bytes[i + 1] === 0x2d && bytes[i + 2] === 0x2d && bytes[i + 3] === 0x2d) flags |= ARMOUR;
        continue;
      case DOT:
        if (i - lastDigit === 1 && CLASS[bytes[i + 1]!] === DIGIT) {
          dots = i - lastDot <= 4 ? dots + 1 : 1;
          lastDot = i;
          if (dots >= 3) flags |= DOTTED;
        }
        break;
      case COLON:
        if (bytes[i + 1] === 0x3a) {
          if (HEX[bytes[i - 1]!] === 1 || HEX[bytes[i + 2]!] === 1) flags |= COLONS;
        } else if (HEX[bytes[i - 1]!] === 1 && HEX[bytes[i + 1]!] === 1) {
          colons = i - lastColon <= 5 ? colons + 1 : 1;
          lastColon = i;
          if (colons >= 6) flags |= COLONS;
        }
        break;
      case SIGN_AT:
        flags |= AT;
        break;
      case SIGN_PERCENT:
        if (HEX[bytes[i + 1]!] === 1 && HEX[bytes[i + 2]!] === 1) flags |= PERCENT;
        break;
      case BACKSLASH:
        if (disguises(bytes, i)) flags |= ESCAPED;
        if (i - runStart >= LONG_RUN) flags |= runFlags(bytes, runStart, i);
        i++;
        runStart = i + 1;
        continue;
      case HIGH:
        flags |= HIGH_BYTES;
        if ((flags & UNICODE) === 0 && isDisguise(bytes, i)) flags |= UNICODE;
        break;
    }
    if (i - runStart >= LONG_RUN) flags |= runFlags(bytes, runStart, i);
    runStart = i + 1;
  }
  if (end - runStart >= LONG_RUN) flags |= runFlags(bytes, runStart, end);
  return (flags & (DIGITS | RUN)) === 0 ? flags & ~(EQUALS | HIGH_BYTES | IBAN_START) : flags;
}

function runFlags(bytes: Uint8Array, start: number, end: number): number {
  if (isUuid(bytes, start, end)) return 0;
  return end - start >= BASE64_RUN || isLine(bytes, start, end) ? RUN | TOKEN : RUN;
}

/** A line break on either side, written out or as an escape: base64 may be broken into short lines. */
function isLine(bytes: Uint8Array, start: number, end: number): boolean {
  return isBreak(bytes, end) || (bytes[end] === 0x5c && isBreak(bytes, end + 1)) || isBreak(bytes, start - 1);
}

/** A line feed or carriage return, or the letter of its escape. */
function isBreak(bytes: Uint8Array, at: number): boolean {
  const byte = bytes[at]!;
  return byte === 0x0a || byte === 0x0d || ((byte === 0x6e || byte === 0x72) && bytes[at - 1] === 0x5c);
}

function isIbanStart(bytes: Uint8Array, at: number): boolean {
  if (!isLetter(bytes[at - 2]!) || !isLetter(bytes[at - 3]!)) return false;
  // The n of `\n` before it is no letter of the word.
  const before = bytes[at - 4]!;
  return !(isLetter(before) || CLASS[before] === DIGIT) || bytes[at - 5] === 0x5c;
}

function isLetter(byte: number): boolean {
  return (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
}

/** How far context.ts looks back. */
const LABEL_REACH = 48;

/**
 * A bare number that begins here: does what stands right beside it make it a telephone number, without any of the words
 * that gate.ts looks for? A plus, a label as in `office: 5551234`, the `at` of `contact us at`, `5551234 (home)`.
 */
function isMarked(bytes: Uint8Array, first: number, start: number, end: number): boolean {
  let at = first - 1;
  // Part of a word: nothing takes it for a number, unless the letter is that of an escape.
  if ((isLetter(bytes[at]!) || bytes[at] === 0x5f) && bytes[at - 1] !== 0x5c) return false;
  const bound = Math.max(start, first - LABEL_REACH);
  for (; at >= bound && !isLetter(bytes[at]!) && bytes[at] !== 0x22; at--) {
    const byte = bytes[at]!;
    if (byte === 0x2b || byte === 0x5c || byte >= 0x80) return true;
    if (CLASS[byte] === DIGIT) break;
  }
  if (at >= bound && isLetter(bytes[at]!) && (bytes[at - 1] === 0x5c || endsLabel(bytes, at))) return true;
  let after = first + 7;
  while (after < end && CLASS[bytes[after]!] === DIGIT) after++;
  const stop = Math.min(end, after + 4);
  for (; after < stop && !isLetter(bytes[after]!) && bytes[after] !== 0x22; after++) {
    if (bytes[after] === 0x5c || bytes[after]! >= 0x80) return true;
  }
  return after < stop && beginsLabel(bytes, after);
}

/** Words of PHONE_LABELS, and those that end PHONE_PHRASE. */
const LABELS = 'at to on number line office desk contact home work direct main assistant'
  .split(' ')
  .map((word) => Buffer.from(word));
/** First letters of office, home, work, desk; the other words of PHONE_WORDS_AFTER count anywhere. */
const LABELS_AFTER = ['off', 'hom', 'wor', 'des'].map((word) => Buffer.from(word));

function endsLabel(bytes: Uint8Array, at: number): boolean {
  return LABELS.some((word) => isWordAt(bytes, at + 1 - word.length, word));
}

function beginsLabel(bytes: Uint8Array, at: number): boolean {
  return LABELS_AFTER.some((word) => isWordAt(bytes, at, word));
}

function isWordAt(bytes: Uint8Array, at: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) if ((bytes[at + i]! | 0x20) !== word[i]) return false;
  return true;
}

/** `2026-11-22` and no digit after it: dates are in every answer and no detector wants one. */
function isDate(bytes: Uint8Array, at: number, end: number): boolean {
  // `at` stands on the first digit of the day.
  if (bytes[at - 1] !== 0x2d || bytes[at - 4] !== 0x2d) return false;
  for (let i = at - 8; i <= at - 5; i++) if (CLASS[bytes[i]!] !== DIGIT) return false;
  if (CLASS[bytes[at + 1]!] !== DIGIT || at + 2 > end) return false;
  const after = bytes[at + 2]!;
  return at + 2 === end || (CLASS[after] !== DIGIT && SEPARATOR[after] === 0);
}

function isUuid(bytes: Uint8Array, start: number, end: number): boolean {
  return (
    end - start === 36 &&
    bytes[start + 8] === 0x2d &&
    bytes[start + 13] === 0x2d &&
    bytes[start + 18] === 0x2d &&
    bytes[start + 23] === 0x2d
  );
}

/** `\u`, `\/`, and the same once more inside a JSON text that is itself a string. */
function disguises(bytes: Uint8Array, at: number): boolean {
  let next = bytes[at + 1];
  if (next === 0x5c) next = bytes[at + 2];
  return next === 0x75 || next === 0x2f;
}

/** Rare letters of pass, token, key, secret, credential, pwd, authorization, kennwort, and their neighbours. */
function announcesSecret(bytes: Uint8Array, at: number): boolean {
  const before = bytes[at - 1]! | 0x20;
  const next = bytes[at + 1]! | 0x20;
  switch (bytes[at]! | 0x20) {
    case 0x70: // p-ass
      return next === 0x61 && (bytes[at + 2]! | 0x20) === 0x73 && (bytes[at + 3]! | 0x20) === 0x73;
    case 0x6b: // to-k, k-ey, k-ennw
      return (
        (before === 0x6f && (bytes[at - 2]! | 0x20) === 0x74) ||
        (next === 0x65 && ((bytes[at + 2]! | 0x20) === 0x79 || (bytes[at + 4]! | 0x20) === 0x77))
      );
    case 0x63: // c-ret, c-rede, c-ontr
      return (
        (next === 0x72 && (bytes[at + 2]! | 0x20) === 0x65 && endsSecretWord(bytes, at + 3)) ||
        (next === 0x6f && (bytes[at + 3]! | 0x20) === 0x74 && (bytes[at + 4]! | 0x20) === 0x72)
      );
    case 0x77: // p-w
      return before === 0x70;
    default: // ori-z, oris is left to RUN
      return before === 0x69 && (bytes[at - 2]! | 0x20) === 0x72;
  }
}

/** The rest of secret or of credential: `create` is in every second answer. */
function endsSecretWord(bytes: Uint8Array, at: number): boolean {
  const letter = bytes[at]! | 0x20;
  return letter === 0x74 || (letter === 0x64 && (bytes[at + 1]! | 0x20) === 0x65);
}

function isDisguise(bytes: Uint8Array, at: number): boolean {
  const second = bytes[at + 1]!;
  const third = bytes[at + 2]!;
  switch (bytes[at]) {
    case 0x1b: // a terminal escape; only in text that is no JSON
      return true;
    case 0xc2: // C1 controls, no-break space, soft hyphen
      return second <= 0xa0 || second === 0xad;
    case 0xcd: // combining grapheme joiner
      return second === 0x8f;
    case 0xd8: // Arabic letter mark
      return second === 0x9c;
    case 0xd9:
    case 0xdb:
    case 0xdf:
    case 0xe0:
    case 0xe1: // digits of other scripts, and scripts too rare to sort out here
      return true;
    case 0xe2:
      if (second === 0x80) {
        if (third === 0x93 || third === 0x94) return CLASS[bytes[at + 3]!] === DIGIT;
        return third <= 0x92 || third === 0x95 || (third >= 0xa8 && third <= 0xaf);
      }
      return (second === 0x81 && third >= 0x9f && third <= 0xaf) || (second === 0x88 && third === 0x92);
    case 0xe3: // ideographic space, Hangul filler
      return (second === 0x80 && third === 0x80) || (second === 0x85 && third === 0xa4);
    case 0xea: // Vai, Saurashtra and other digits
      return true;
    case 0xef:
      return second >= 0xb8;
    case 0xf0: // mathematical and segmented digits, digits of historic scripts
      return second !== 0x9f || third === 0xaf;
    case 0xf3:
      return true;
    default:
      return false;
  }
}
