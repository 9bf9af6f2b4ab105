/** Why a person cannot judge a text by looking at it. */
export const MARKS = ['control', 'bidi', 'invisible', 'confusable', 'truncated'] as const;
export type Mark = (typeof MARKS)[number];

export interface InertText {
  /** Printable characters and `\…` escapes only; different texts never look the same here. */
  readonly text: string;
  readonly marks: readonly Mark[];
}

const NAMED = new Map([
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\t', '\\t'],
]);
/** Blank without being a space: the braille blank has its own category and is drawn as nothing. */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|[^\S ]/u;
const BIDI = /\p{Bidi_Control}/u;
const CONTROL = /\p{Cc}/u;
const WORD = /[\p{L}\p{M}]+/gu;
const LATIN = /\p{Script=Latin}/u;
/** Scripts with letters drawn like Latin ones. */
const ALIKE = /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}]/u;
/** Letters and digits drawn like plain ones: mathematical, full-width. */
const STYLED = /[\u{1D400}-\u{1D7FF}\uFF01-\uFF5E]/u;

/**
 * Attacker-controlled text for the eyes of the person who decides. Whatever could hide, reorder or forge is written
 * as an escape and marked; a line break or tab is written as an escape and not marked, since texts have them.
 */
export function inertText(value: string): InertText {
  const marks = new Set<Mark>();
  let text = '';
  for (const char of value) {
    const named = NAMED.get(char);
    if (named !== undefined) text += named;
    else if (UNSEEN.test(char)) {
      marks.add(BIDI.test(char) ? 'bidi' : CONTROL.test(char) ? 'control' : 'invisible');
      text += `\\u{${char.codePointAt(0)!.toString(16)}}`;
    } else text += char;
  }
  if (STYLED.test(value) || mixesScripts(value)) marks.add('confusable');
  return { text, marks: MARKS.filter((mark) => marks.has(mark)) };
}

/** A word with Latin letters and with letters of a script that looks like it. */
function mixesScripts(value: string): boolean {
  for (const [word] of value.matchAll(WORD)) if (LATIN.test(word) && ALIKE.test(word)) return true;
  return false;
}
