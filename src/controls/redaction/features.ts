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
/** A run long enough for base64 that is worth decoding, or one line of it; never without RUN. */
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
const COLON = 3;
const DASH = 4;
const SIGN_AT = 5;
const SIGN_PERCENT = 6;
const BACKSLASH = 7;
const HIGH = 8;
const EQUAL = 9;
const WORD_BEGINS = 10;
const WORD_ENDS = 11;

/** The shortest thing in question is the header of an unsigned JWT with 19; `structuredContent` has 17. */
const LONG_RUN = 18;
/** nested.ts decodes no shorter run. */
const BASE64_RUN = 24;
/** The shortest card number. */
const CARD_DIGITS = 12;

/** Characters of a run: no other may stand in a token. */
const TOKEN_CHARACTER = new Uint8Array(256);
const CLASS = new Uint8Array(256);
const HEX = new Uint8Array(256);
const SEPARATOR = new Uint8Array(256);
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+/=-')
  TOKEN_CHARACTER[char.charCodeAt(0)] = 1;
for (const char of '0123456789') CLASS[char.charCodeAt(0)] = DIGIT;
for (const char of '0123456789ABCDEFabcdef') HEX[char.charCodeAt(0)] = 1;
for (const char of ' -.()/+') SEPARATOR[char.charCodeAt(0)] = 1;
for (let byte = 0x80; byte < 256; byte++) {
  CLASS[byte] = HIGH;
  SEPARATOR[byte] = 1;
}
CLASS[0x3a] = COLON;
CLASS[0x40] = SIGN_AT;
CLASS[0x25] = SIGN_PERCENT;
CLASS[0x5c] = BACKSLASH;
CLASS[0x1b] = HIGH;
CLASS[0x3d] = EQUAL;

/**
 * What a byte is behind the low five bits of the byte before it, so that most bytes cost one table read and one branch:
 * its class, or that announcesSecret() has to judge it (WORD_ENDS) or the byte before it (WORD_BEGINS). A dash counts only
 * behind another.
 */
const BEHIND = new Uint8Array(32 * 256);
for (let last = 0; last < 32; last++) BEHIND.set(CLASS, last << 8);
note('--', DASH);
for (const pair of ['ok', 'pw', 'iz']) note(pair, WORD_ENDS);
for (const pair of ['pa', 'ke', 'cr', 'co']) note(pair, WORD_BEGINS);

function note(pair: string, what: number): void {
  for (const second of [pair[1]!, pair[1]!.toUpperCase()])
    BEHIND[((pair.charCodeAt(0) & 31) << 8) | second.charCodeAt(0)] = what;
}

/** Flags of what bytes[start, end) may hold; 0 means: nothing a detector could find. */
export function features(bytes: Uint8Array, start: number, end: number): number {
  let flags = runs(bytes, start, end);
  let last = 0;
  let lastDigit = -10;
  let digits = 0;
  let lastDotted = -10;
  let dots = 0;
  let lastColon = -10;
  let colons = 0;
  let grouped = false;
  let glued = false;
  for (let i = start; i < end; i++) {
    let kind = BEHIND[((last & 31) << 8) | bytes[i]!]!;
    last = bytes[i]!;
    // A loop of its own, because it needs next to nothing of all the rest.
    while (kind === PLAIN && ++i < end) {
      kind = BEHIND[((last & 31) << 8) | bytes[i]!]!;
      last = bytes[i]!;
    }
    switch (kind) {
      case WORD_BEGINS:
        if ((flags & WORDS) === 0 && announcesSecret(bytes, i - 1)) flags |= WORDS;
        continue;
      case WORD_ENDS:
        if ((flags & WORDS) === 0 && announcesSecret(bytes, i)) flags |= WORDS;
        continue;
      case DIGIT: {
        const first = i;
        while (i + 1 < end && CLASS[bytes[i + 1]!] === DIGIT) i++;
        last = bytes[i]!;
        const gap = first - lastDigit;
        if (gap === 2 && bytes[first - 1] === 0x2e) {
          dots = first - lastDotted <= 4 ? dots + 1 : 1;
          lastDotted = first;
          if (dots >= 3) flags |= DOTTED;
        }
        lastDigit = i;
        const near = gap <= 4 && areSeparators(bytes, first + 1 - gap, first);
        // What no detector takes began before this group; behind anything but a joint it may begin something else.
        grouped = near && !(glued && !(gap === 2 && isJoint(bytes[first - 1]!)));
        if (!grouped) {
          digits = 0;
          glued = !near && isPartOfWord(bytes, first - 1);
          if (i > first && isIbanStart(bytes, first + 1)) {
            flags |= IBAN_START;
            glued = false;
          }
        }
        const before = digits;
        digits += i + 1 - first;
        if (digits < 7 || glued) continue;
        if (before < 7 && isDate(bytes, first + 6 - before, end)) {
          digits = 0;
          continue;
        }
        flags |= DIGITS;
        // 4.1e15 is a card number written as a float.
        if (grouped || digits >= CARD_DIGITS || (bytes[i + 1]! | 0x20) === 0x65 || isMarked(bytes, first, start, end))
          flags |= NUMBER;
        continue;
      }
      case EQUAL:
        flags |= EQUALS;
        continue;
      case DASH:
        if (bytes[i - 1] === 0x2d && bytes[i + 1] === 0x2d && bytes[i + 2] === 0x2d) flags |= ARMOUR;
        continue;
      case COLON:
        if (bytes[i + 1] === 0x3a) {
          if (HEX[bytes[i - 1]!] === 1 || HEX[bytes[i + 2]!] === 1) flags |= COLONS;
        } else if (HEX[bytes[i - 1]!] === 1 && HEX[bytes[i + 1]!] === 1) {
          colons = i - lastColon <= 5 ? colons + 1 : 1;
          lastColon = i;
          if (colons >= 6) flags |= COLONS;
        }
        continue;
      case SIGN_AT:
        flags |= AT;
        continue;
      case SIGN_PERCENT:
        if (HEX[bytes[i + 1]!] === 1 && HEX[bytes[i + 2]!] === 1) flags |= PERCENT;
        continue;
      case BACKSLASH:
        if (disguises(bytes, i)) flags |= ESCAPED;
        continue;
      case HIGH:
        flags |= HIGH_BYTES;
        if ((flags & UNICODE) === 0 && isDisguise(bytes, i)) flags |= UNICODE;
        continue;
    }
  }
  return (flags & (DIGITS | RUN)) === 0 ? flags & ~(EQUALS | HIGH_BYTES | IBAN_START) : flags;
}

/**
 * Flags of the long runs. What breaks runs among the next LONG_RUN bytes, looked for from behind, says where the next long
 * one may begin at the earliest: few bytes are looked at.
 */
function runs(bytes: Uint8Array, start: number, end: number): number {
  let flags = 0;
  let first = start;
  for (let last = first + LONG_RUN - 1; last < end; last = first + LONG_RUN - 1) {
    let at = last;
    while (at >= first && TOKEN_CHARACTER[bytes[at]!] === 1) at--;
    if (at >= first) {
      first = at + 1;
      continue;
    }
    let after = last + 1;
    while (after < end && TOKEN_CHARACTER[bytes[after]!] === 1) after++;
    flags |= runFlags(bytes, first, after);
    first = after + 1;
  }
  return flags;
}

/** Dash and dot right between two groups of digits: no number begins behind them (standsAlone, startsAlone, joinedTo). */
function isJoint(byte: number): boolean {
  return byte === 0x2d || byte === 0x2e;
}

function areSeparators(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (SEPARATOR[bytes[i]!] === 0) return false;
  return true;
}

/** What stands behind this byte belongs to a word or identifier, and no detector takes it for a number. */
function isPartOfWord(bytes: Uint8Array, at: number): boolean {
  // The letter of an escape is no part of a word.
  return (isLetter(bytes[at]!) || bytes[at] === 0x5f) && bytes[at - 1] !== 0x5c;
}

function runFlags(bytes: Uint8Array, start: number, end: number): number {
  // The letter of an escape before it counts as part of the run: in plain text it may be.
  if (isUuid(bytes, start, end) || (bytes[start - 1] === 0x5c && isUuid(bytes, start + 1, end))) return 0;
  return end - start >= BASE64_RUN || isLine(bytes, start, end) ? RUN | TOKEN : RUN;
}

/** A line break on either side, written out or as an escape: base64 may be broken into short lines. */
function isLine(bytes: Uint8Array, start: number, end: number): boolean {
  return (
    isBreak(bytes, end) ||
    (bytes[end] === 0x5c && isBreak(bytes, end + 1)) ||
    isBreak(bytes, start - 1) ||
    isBreak(bytes, start)
  );
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
  if (isPartOfWord(bytes, at)) return false;
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
