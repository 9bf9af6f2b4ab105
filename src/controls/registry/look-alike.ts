/**
 * Which names a hurried reader, or a model, takes for each other. A small table beside NFKC, which already folds
 * full-width, mathematical and circled letters; letters of Unicode TR39 that occur in tool names and words.
 */
const CYRILLIC = 'аa вb еe кk мm нh оo рp сc тt уy хx ѕs іi јj ԁd ԛq ԝw һh ӏl ѵv ёe пn';
const GREEK = 'αa βb εe ηn ιi κk νv οo ρp τt υu χx ωw σo γy';
const OTHER = 'ıi ɑa ɡg ɩi ʟl օo սu ոn ցg հh ȷj ℓl';
const LETTERS: ReadonlyMap<string, string> = new Map(
  `${CYRILLIC} ${GREEK} ${OTHER}`.split(' ').map((pair) => {
    const [from, ...to] = [...pair];
    return [from!, to.join('')];
  }),
);

/** Lower case of a compatible form: names that differ only by case, width or style are one. */
export function folded(name: string): string {
  return name.normalize('NFKC').toLowerCase();
}

/** The text with look-alike letters written as the Latin letter they are taken for; lower case, without accents. */
export function latinized(text: string): string {
  let out = '';
  for (const char of text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()) out += LETTERS.get(char) ?? char;
  return out;
}

/** What remains when look-alike characters are written as one: `read0nly` and `readonly` have the same skeleton. */
export function skeleton(name: string): string {
  const letters = latinized(name.normalize('NFKD').replace(/[I1|]/g, 'l').replace(/0/g, 'o'));
  return letters
    .replace(/[-_.\s\u2010-\u2015\u2212]/g, '_')
    .replace(/rn/g, 'm')
    .replace(/vv/g, 'w');
}

/** True when a word mixes Latin letters with Cyrillic or Greek ones: nobody writes so who does not want to deceive. */
export function mixesScripts(text: string): boolean {
  return /\p{Script=Latin}[\p{Script=Cyrillic}\p{Script=Greek}]|[\p{Script=Cyrillic}\p{Script=Greek}]\p{Script=Latin}/u.test(
    text,
  );
}
