/** Inside strings only: what some readers take for the end of a line, and the escape that means the same. */
const SEPARATORS = [
  ['\u0085', '\\u0085'],
  ['\u2028', '\\u2028'],
  ['\u2029', '\\u2029'],
].map(([raw, same]) => ({ raw: Buffer.from(raw!), same: Buffer.from(same!) }));

/**
 * One message, one line, for every reader: behind a reader that ends lines at U+2028 (node:readline does), an argument
 * could hold a second message that nobody judged. Outside strings JSON may hold line breaks as blanks; inside they are
 * escaped already, so every raw one may become a space.
 */
export function oneLine(bytes: Uint8Array): Buffer {
  const line = Buffer.allocUnsafe(bytes.length + 1);
  let high = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    line[i] = byte === LF || byte === CR ? BLANK : byte;
    high ||= byte === 0xc2 || byte === 0xe2;
  }
  line[bytes.length] = LF;
  return high ? escaped(line) : line;
}
const LF = 0x0a;
const CR = 0x0d;
const BLANK = 0x20;

function escaped(line: Buffer): Buffer {
  let whole = line;
  for (const { raw, same } of SEPARATORS) {
    if (!whole.includes(raw)) continue;
    const parts: Buffer[] = [];
    let from = 0;
    for (let at = whole.indexOf(raw); at !== -1; at = whole.indexOf(raw, from)) {
      parts.push(whole.subarray(from, at), same);
      from = at + raw.length;
    }
    whole = Buffer.concat([...parts, whole.subarray(from)]);
  }
  return whole;
}
