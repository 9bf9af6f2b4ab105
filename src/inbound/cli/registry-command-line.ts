/** Blanks separate, quotes join; nothing is expanded. Null when a quote stays open. */
export function splitCommand(line: string): string[] | null {
  const words = [...line.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replace(/"([^"]*)"|'([^']*)'/g, '$1$2'),
  );
  return /^(?:[^"']|"[^"]*"|'[^']*')*$/.test(line) ? words : null;
}
