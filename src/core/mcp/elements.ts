import type { Span } from '../call.ts';

const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/**
 * Where the elements of an array lie.
 * @param bytes scanned before (scanner.ts): this reader alone would take anything
 * @param at span of the array
 * @param max elements; more are not looked for
 * @returns spans without surrounding blanks, or null when there are more than `max`
 */
export function elementsOf(bytes: Uint8Array, at: Span, max: number): Span[] | null {
  const found: Span[] = [];
  let depth = 0;
  let start = -1;
  let end = -1;
  for (let i = at.start + 1; i < at.end; i++) {
    const c = bytes[i]!;
    if (c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09) continue;
    const last = depth === 0 && c === CLOSE_ARRAY;
    if (last || (depth === 0 && c === COMMA)) {
      // An empty array has no element before its end.
      if (start >= 0) {
        if (found.length === max) return null;
        found.push({ start, end });
      }
      if (last) break;
      start = -1;
      continue;
    }
    if (start < 0) start = i;
    if (c === OPEN_OBJECT || c === OPEN_ARRAY) depth++;
    else if (c === CLOSE_OBJECT || c === CLOSE_ARRAY) depth--;
    else if (c === QUOTE) i = closingQuote(bytes, i);
    end = i + 1;
  }
  return found;
}

function closingQuote(bytes: Uint8Array, from: number): number {
  let i = from + 1;
  while (bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
  return i;
}
