import type { Found } from './types.ts';

/** Text a person does not see but a model reads (threats.md T-hidden; dlp.md section 5): cut out or only reported. */
const TAGS = /[\u{E0000}-\u{E007F}]+/gu;
/** The three flags of Unicode that are written with tags: England, Scotland, Wales. */
const FLAGS = new Set(['gbeng', 'gbsct', 'gbwls']);
/** CSI and OSC sequences and lone C1 introducers; bounded, so that a start without an end costs little. */
export const ANSI =
  /(?:\u001B\[|\u009B)[0-?]{0,32}[ -/]{0,8}[@-~]|(?:\u001B\]|\u009D)[^\u0007\u001B\u009C]{0,2048}(?:\u0007|\u001B\\|\u009C)|\u001B[ -/]{0,4}[0-~]|[\u001B\u009B\u009D]/gu;
const BIDI = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]+/gu;
const ZERO_WIDTH = /[\u00AD\u200B\u2060-\u2064\uFEFF]+|(?<=[!-~])[\u200C\u200D]+(?=[!-~])|[\u{E0100}-\u{E01EF}]+/gu;
const ANY = /[\u001B\u009B\u009D\u00AD\u061C\u200B-\u200F\u202A-\u202E\u2060-\u2069\uFEFF\u{E0000}-\u{E01EF}]/u;

/** @param cutAll cut out zero-width and bidi controls too; else they are only reported */
export function findHiddenText(text: string, cutAll: boolean): Found[] {
  if (!ANY.test(text)) return [];
  const found: Found[] = [];
  for (const match of text.matchAll(TAGS)) {
    if (!isFlag(text, match.index, match[0])) found.push(hidden('tags', match, false));
  }
  for (const match of text.matchAll(ANSI)) found.push(hidden('ansi', match, false));
  for (const match of text.matchAll(BIDI)) found.push(hidden('bidi', match, !cutAll));
  for (const match of text.matchAll(ZERO_WIDTH)) found.push(hidden('zero_width', match, !cutAll));
  return found;
}

function hidden(name: string, match: RegExpExecArray, quiet: boolean): Found {
  const start = match.index;
  const rule = `hidden_text.${name}`;
  return { type: 'HIDDEN_TEXT', start, end: start + match[0].length, rule, value: '', replacement: '', quiet };
}

function isFlag(text: string, at: number, tags: string): boolean {
  if (text.slice(at - 2, at) !== '\u{1F3F4}' || !tags.endsWith('\u{E007F}')) return false;
  let name = '';
  for (const tag of tags.slice(0, -2)) name += String.fromCharCode(tag.codePointAt(0)! - 0xe0000);
  return FLAGS.has(name);
}
