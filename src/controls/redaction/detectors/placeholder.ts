/** Values that stand where a secret would: masks, templates, types, absent values, and our own tokens and markers. */
const PLACEHOLDER =
  /^(?:[*•x.…-]{3,}|<[^>]{0,80}>|\$\{[^}]{0,80}\}|\$\([^)]{0,80}\)|\$[A-Z_][A-Z0-9_]*|\{\{?[^}]{0,80}\}?\}|%\w+%?|\[[^\]]{0,80}\]|(?:env|file|vault|secret|op|arn):.{0,200}|process\.env\..{0,80})$/i;
const WORDS = new Set(
  'null none nil undefined true false string number boolean object array any password passwd secret token required optional hidden redacted masked encrypted unset empty missing invalid expired unknown default example your-password yourpassword your_password your-token your_token your-api-key your_api_key n/a text bearer basic'.split(
    ' ',
  ),
);

export function isPlaceholder(value: string): boolean {
  return PLACEHOLDER.test(value) || WORDS.has(value.toLowerCase());
}

const OURS = /^\[[A-Z_]{2,20}(?: removed|:[A-Z2-7]{16})\]$/;

/** One of our own tokens or markers, whole. */
export function isOurs(value: string): boolean {
  return OURS.test(value);
}

/** One of our own tokens or markers stands at this offset. */
export function isOursAt(text: string, start: number): boolean {
  return /^\[[A-Z_]{2,20}(?: removed|:[A-Z2-7]{16})\](?![A-Za-z0-9])/.test(text.slice(start, start + 48));
}

/** Shannon entropy, bits per character. */
export function entropy(value: string): number {
  const counts = new Map<string, number>();
  for (const char of value) counts.set(char, (counts.get(char) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / value.length) * Math.log2(count / value.length);
  return bits;
}
