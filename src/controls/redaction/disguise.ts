import { ANSI } from './hidden-text.ts';

/**
 * Undoes what hides a value from detectors but not from a reader: zero-width characters inside it, full-width and
 * other scripts' digits, typographic dashes and spaces, percent-encoding. Works on a copy with offsets back into the text.
 */
export interface View {
  readonly text: string;
  /** Range of the original text that units [start, end) of `text` stand for. */
  range(start: number, end: number): { start: number; end: number };
}

/** Characters without width or meaning inside a value, bidi controls, variation selectors and tags among them. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;
/** Begins a terminal escape: colours stand inside and around values. */
const ESCAPE = /[\u001B\u009B\u009D]/u;
const SPACE = /[\u00A0\u2000-\u200A\u202F\u205F\u3000]/u;
const DASH = /[\u2010-\u2015\u2212\uFE58\uFE63\uFF0D]/u;
const COMPATIBLE = /[\uFE50-\uFE6B\uFF01-\uFF5E]|(?![0-9])\p{Nd}/u;
const ANY = new RegExp([INVISIBLE, SPACE, DASH, COMPATIBLE].map((part) => part.source).join('|'), 'u');

/** The text as a reader sees it; null when that is the text itself. */
export function undisguise(text: string): View | null {
  if (!ANY.test(text) && !ESCAPE.test(text)) return null;
  const escapes = ESCAPE.test(text) ? [...text.matchAll(ANSI)] : [];
  let cut = 0;
  let out = '';
  const starts: number[] = [];
  const ends: number[] = [];
  for (let at = 0; at < text.length; ) {
    const escaped = escapes[cut];
    if (escaped !== undefined && at >= escaped.index) {
      at = escaped.index + escaped[0].length;
      cut++;
      continue;
    }
    const point = text.codePointAt(at)!;
    const width = point > 0xffff ? 2 : 1;
    const plain = point < 0x80 ? text[at]! : plainForm(text.slice(at, at + width), point);
    for (let unit = 0; unit < plain.length; unit++) {
      starts.push(at);
      ends.push(at + width);
    }
    out += plain;
    at += width;
  }
  return mapped(out, starts, ends);
}

function plainForm(char: string, point: number): string {
  if (INVISIBLE.test(char)) return '';
  if (SPACE.test(char)) return ' ';
  if (DASH.test(char)) return '-';
  if (!COMPATIBLE.test(char)) return char;
  const folded = char.normalize('NFKC');
  return folded.codePointAt(0)! < 0x80 ? folded : String(digitOf(point));
}

/** Decimal digits come in Unicode in runs of ten that begin with zero. */
function digitOf(point: number): number {
  let zero = point;
  while (point - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero--;
  // Mathematical digits stand in five runs without a gap; their start is known.
  if (point >= 0x1d7ce && point <= 0x1d7ff) return (point - 0x1d7ce) % 10;
  return (point - zero) % 10;
}

/** Percent-encoding of printable ASCII decoded once; null when there is none. */
export function percentDecoded(text: string): View | null {
  return decoded(text, /%([2-7][0-9A-Fa-f])/g);
}

/** Escapes of JSON decoded once, in text that shows JSON and is none as a whole: lines of it, or a sentence before it. */
export function unescaped(text: string): View | null {
  return decoded(text, /\\(?:u([0-9A-Fa-f]{4})|\/)/g);
}

/** @param pattern what stands for one unit, its number in hex as the group; without a group it stands for a slash */
function decoded(text: string, pattern: RegExp): View | null {
  let match = pattern.exec(text);
  if (match === null) return null;
  let out = '';
  const starts: number[] = [];
  const ends: number[] = [];
  let at = 0;
  const copy = (until: number) => {
    out += text.slice(at, until);
    for (; at < until; at++) {
      starts.push(at);
      ends.push(at + 1);
    }
  };
  for (; match !== null; match = pattern.exec(text)) {
    copy(match.index);
    out += match[1] === undefined ? '/' : String.fromCharCode(Number.parseInt(match[1], 16));
    starts.push(at);
    at += match[0].length;
    ends.push(at);
  }
  copy(text.length);
  return mapped(out, starts, ends);
}

function mapped(text: string, starts: readonly number[], ends: readonly number[]): View {
  return {
    text,
    range: (start, end) => ({ start: starts[start] ?? 0, end: ends[end - 1] ?? starts[start] ?? 0 }),
  };
}
