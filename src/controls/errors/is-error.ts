const KEY = Buffer.from('"isError"');
const ESCAPE = Buffer.from('\\u00');
/** Of the name, and of an escape. */
const CAPITAL_E = 0x45;
const BACKSLASH = 0x5c;
const FALSE = Buffer.from('false');

/**
 * False when a JSON object surely has no member `isError` other than `false`: found by looking at bytes, so that a
 * good result is not parsed for this. The name may be spelled with escapes, so bytes that hold any count as maybe.
 */
export function maySayIsError(json: Uint8Array): boolean {
  const bytes = Buffer.isBuffer(json) ? json : Buffer.from(json.buffer, json.byteOffset, json.byteLength);
  // One byte is found many times faster than a word, and in most results there is neither of these two.
  const named = bytes.indexOf(CAPITAL_E) !== -1 && saysIsError(bytes);
  return named || (bytes.indexOf(BACKSLASH) !== -1 && bytes.includes(ESCAPE));
}

function saysIsError(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(KEY); at !== -1; at = bytes.indexOf(KEY, at + KEY.length)) {
    const colon = skipBlanks(bytes, at + KEY.length);
    if (bytes[colon] !== 0x3a) continue; // a string of that text, not a member name
    const value = skipBlanks(bytes, colon + 1);
    if (bytes.compare(FALSE, 0, FALSE.length, value, Math.min(value + FALSE.length, bytes.length)) !== 0) return true;
  }
  return false;
}

function skipBlanks(bytes: Buffer, at: number): number {
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++;
  return at;
}
