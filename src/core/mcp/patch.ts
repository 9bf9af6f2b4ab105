import type { Span } from '../call.ts';
import { InternalError } from '../internal-error.ts';

/** What stands in `span` gives way to `replacement`. An empty span inserts. */
export interface Edit {
  readonly span: Span;
  readonly replacement: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/**
 * The original bytes with named spans replaced, in one copy; every other byte stays as it was sent. Edits at the same
 * place keep the order in which they were given.
 * @throws InternalError when spans overlap or lie outside: a fault of ours, never of the caller
 */
export function patch(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  if (edits.length === 0) return bytes;
  const ordered =
    edits.length === 1 ? edits : [...edits].sort((a, b) => a.span.start - b.span.start || a.span.end - b.span.end);
  let length = bytes.length;
  let last = 0;
  for (const { span, replacement } of ordered) {
    if (span.start < last || span.end < span.start || span.end > bytes.length) {
      throw new InternalError('mcp.patch_overlap', 'edits of a message overlap or lie outside of it; report this');
    }
    length += replacement.length - (span.end - span.start);
    last = span.end;
  }
  const patched = Buffer.allocUnsafe(length);
  let from = 0;
  let to = 0;
  for (const { span, replacement } of ordered) {
    patched.set(bytes.subarray(from, span.start), to);
    to += span.start - from;
    patched.set(replacement, to);
    to += replacement.length;
    from = span.end;
  }
  patched.set(bytes.subarray(from), to);
  return patched;
}

export interface NewMember {
  readonly name: string;
  /** One JSON value. */
  readonly value: Uint8Array;
}

/**
 * Edits that take members out of a scanned object and put new ones in. Commas come out right whatever goes.
 * @param object span of the object
 * @param changes `remove`: value spans of its members; `insert`: members it does not have (or that are removed here)
 */
export function objectEdits(
  bytes: Uint8Array,
  object: Span,
  changes: { readonly remove?: readonly Span[]; readonly insert?: readonly NewMember[] },
): Edit[] {
  const inside = object.start + 1;
  const runs = joinNeighbours(bytes, changes.remove ?? []);
  const edits: Edit[] = [];
  let empty = bytes[skipForward(bytes, inside)] === CLOSE_OBJECT;
  for (const run of runs) {
    const before = skipBack(bytes, run.start);
    const after = skipForward(bytes, run.end);
    if (bytes[after] === COMMA) {
      edits.push({ span: { start: run.start, end: skipForward(bytes, after + 1) }, replacement: NOTHING });
    } else if (bytes[before - 1] === COMMA) {
      edits.push({ span: { start: before - 1, end: run.end }, replacement: NOTHING });
    } else {
      edits.push({ span: run, replacement: NOTHING });
      empty = true;
    }
  }
  const insert = changes.insert ?? [];
  if (insert.length > 0)
    edits.unshift({ span: { start: inside, end: inside }, replacement: encodeMembers(insert, empty) });
  return edits;
}

function encodeMembers(members: readonly NewMember[], last: boolean): Uint8Array {
  const parts: Uint8Array[] = [];
  members.forEach((member, index) => {
    parts.push(Buffer.from(`${index === 0 ? '' : ','}${JSON.stringify(member.name)}:`), member.value);
  });
  if (!last) parts.push(Buffer.from(','));
  return Buffer.concat(parts);
}

const COMMA = 0x2c;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const CLOSE_OBJECT = 0x7d;

/** Whole members (key to end of value), neighbours joined into one run. */
function joinNeighbours(bytes: Uint8Array, values: readonly Span[]): Span[] {
  const ordered = values.map((value) => ({ start: keyStart(bytes, value.start), end: value.end }));
  ordered.sort((a, b) => a.start - b.start);
  const runs: { start: number; end: number }[] = [];
  for (const member of ordered) {
    const last = runs.at(-1);
    if (last && nextMember(bytes, last.end) === member.start) last.end = member.end;
    else runs.push({ ...member });
  }
  return runs;
}

function nextMember(bytes: Uint8Array, end: number): number {
  const comma = skipForward(bytes, end);
  return bytes[comma] === COMMA ? skipForward(bytes, comma + 1) : -1;
}

/** Start of the key before a member's value. Reading backwards is safe in scanned bytes: only an opening quote has an even run of backslashes before it. */
function keyStart(bytes: Uint8Array, valueStart: number): number {
  const colon = skipBack(bytes, valueStart) - 1;
  let i = skipBack(bytes, colon) - 2;
  for (;;) {
    while (bytes[i] !== QUOTE) i--;
    let slashes = 0;
    while (bytes[i - 1 - slashes] === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return i;
    i--;
  }
}

/** First index at or behind `i` that is no blank. */
function skipForward(bytes: Uint8Array, i: number): number {
  while (isBlank(bytes[i])) i++;
  return i;
}

/** Smallest index such that only blanks lie between it and `i`. */
function skipBack(bytes: Uint8Array, i: number): number {
  while (i > 0 && isBlank(bytes[i - 1])) i--;
  return i;
}

function isBlank(c: number | undefined): boolean {
  return c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;
}
