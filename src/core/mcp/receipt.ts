import type { Span } from '../call.ts';
import { objectEdits, patch } from './patch.ts';
import { isObjectAt, NO_BOUNDS, scanDocument } from './scanner.ts';

/** Member of a result's `_meta` that names the record of the call to who runs the log; to everybody else it is 22 random characters. */
export const RECEIPT_MARK = 'gatewrit/receipt';
const MARK = `${JSON.stringify(RECEIPT_MARK)}:`;

const META = Buffer.from('"_meta"');
/** Every escape that can stand for a letter of `_meta` begins so. */
const ESCAPE = Buffer.from('\\u00');
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const SLASH = 0x2f;
const LOWER_T = 0x74;

/**
 * A result with the receipt in it, in pieces that stand one behind the other: it becomes the first member of `_meta`,
 * or `_meta` with it the first member of the result. Every other byte stays as it was when the outcome hashed it, but
 * for a mark by this name that somebody else put there: that is taken out. A result whose `_meta` is no object (none
 * of MCP), or that our reader does not read, stays without.
 * @param result a JSON object that was judged before
 * @param receipt of characters that stand in JSON as they are
 */
export function withReceipt(result: Uint8Array, receipt: string): readonly Uint8Array[] {
  const bytes = Buffer.from(result.buffer, result.byteOffset, result.length);
  if (bytes[0] !== OPEN_OBJECT) return [result];
  const meta = bytes.indexOf(ESCAPE) < 0 ? metaAt(bytes) : UNCLEAR;
  if (meta === UNCLEAR) return readAndSpliced(bytes, receipt);
  if (meta === NONE) return spliced(bytes, 1, `"_meta":{${MARK}"${receipt}"}`);
  return bytes[meta] === OPEN_OBJECT ? spliced(bytes, meta + 1, `${MARK}"${receipt}"`) : [result];
}

const NONE = -1;
const UNCLEAR = -2;

/**
 * Where the value of the result's own `_meta` begins; `NONE`, or `UNCLEAR` where a scan has to say. Looks from the end,
 * where it mostly stands: how deep a key lies is how many brackets are closed behind it. A reader of valid JSON without
 * escaped letters, a third of the price of the scanner.
 */
function metaAt(bytes: Buffer): number {
  let deep = 0;
  let end = bytes.length;
  for (let at = bytes.lastIndexOf(META); at > 0; at = bytes.lastIndexOf(META, at - 1)) {
    // A quotation mark inside a string is escaped; one before which an escaped backslash stands is left to the scanner.
    if (bytes[at - 1] === BACKSLASH) {
      if (bytes[at - 2] === BACKSLASH) return UNCLEAR;
      continue;
    }
    deep += closedBetween(bytes, at + META.length, end);
    end = at;
    const colon = afterBlanks(bytes, at + META.length);
    if (deep !== 1 || bytes[colon] !== COLON) continue;
    const value = afterBlanks(bytes, colon + 1);
    return mayHoldMark(bytes, value) ? UNCLEAR : value;
  }
  return NONE;
}

/** Brackets closed less those opened between two places outside of strings. */
function closedBetween(bytes: Buffer, from: number, to: number): number {
  let closed = 0;
  for (let i = from; i < to; i++) {
    const c = bytes[i]!;
    if (c === QUOTE) i = closingQuote(bytes, i);
    else if (c === CLOSE_OBJECT || c === CLOSE_ARRAY) closed++;
    else if (c === OPEN_OBJECT || c === OPEN_ARRAY) closed--;
  }
  return closed;
}

/** Could a name in this value end in `t/`, as all under our name would, whatever its case? */
function mayHoldMark(bytes: Buffer, from: number): boolean {
  for (let i = from, deep = 0; i < bytes.length; i++) {
    const c = bytes[i]!;
    if (c === OPEN_OBJECT || c === OPEN_ARRAY) deep++;
    else if (c === CLOSE_OBJECT || c === CLOSE_ARRAY) deep--;
    else if (c === BACKSLASH || (c === SLASH && (bytes[i - 1]! | 0x20) === LOWER_T)) return true;
    else if (c === QUOTE) {
      const end = closingQuote(bytes, i);
      for (i++; i < end; i++)
        if (bytes[i] === BACKSLASH || (bytes[i] === SLASH && (bytes[i - 1]! | 0x20) === LOWER_T)) return true;
    }
    if (deep <= 0) return false;
  }
  return false;
}

function closingQuote(bytes: Buffer, from: number): number {
  let i = from + 1;
  while (i < bytes.length && bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
  return i;
}

/** The same by the one strict reader: for escapes, and where a mark by our name may have to go. */
function readAndSpliced(bytes: Buffer, receipt: string): readonly Uint8Array[] {
  const members = membersAt(bytes, { start: 0, end: bytes.length });
  if (members === null) return [bytes];
  const meta = members.get('_meta');
  if (!meta) return spliced(bytes, 1, `"_meta":{${MARK}"${receipt}"}`);
  if (!isObjectAt(bytes, meta)) return [bytes];
  return spliced(patch(bytes, marksIn(bytes, meta)), meta.start + 1, `${MARK}"${receipt}"`);
}

/** Puts members first into the object that opens before `at`. */
function spliced(bytes: Uint8Array, at: number, members: string): readonly Uint8Array[] {
  const text = bytes[afterBlanks(bytes, at)] === CLOSE_OBJECT ? members : `${members},`;
  return [bytes.subarray(0, at), Buffer.from(text, 'latin1'), bytes.subarray(at)];
}

export interface Saved {
  /** What stands in `_meta`, attacker-controlled; null when there is no receipt. */
  readonly receipt: string | null;
  /**
   * What the result may have been before the receipt was put in, byte for byte: at most two readings, as an empty `_meta`
   * may have been there. None when it was written anew since.
   */
  readonly before: readonly Uint8Array[];
  /** The result without the receipt, whoever wrote it: good for its value, not for its bytes. */
  readonly without: Uint8Array;
}

/** Takes the receipt out of a result that somebody kept; null when it is no JSON object. All of it is attacker-controlled. */
export function takeReceipt(result: Uint8Array): Saved | null {
  const document = scanDocument(result, NO_BOUNDS);
  if (typeof document === 'string' || document.members === null) return null;
  const bytes = result.subarray(document.value.start, document.value.end);
  const root = { start: 0, end: bytes.length };
  const meta = membersAt(bytes, root)!.get('_meta');
  const inside = meta && membersAt(bytes, meta);
  const value = inside?.get(RECEIPT_MARK);
  if (!value) return { receipt: null, before: [bytes], without: bytes };
  const receipt: unknown = JSON.parse(text(bytes, value.start, value.end));
  const [object, member] = inside!.size === 1 ? [root, meta!] : [meta!, value];
  const without = patch(bytes, objectEdits(bytes, object, { remove: [member] }));
  if (typeof receipt !== 'string') return { receipt: null, before: [], without };
  const literal = `${MARK}"${receipt}"`;
  const before: Uint8Array[] = [];
  if (text(bytes, meta!.start + 1, meta!.start + 1 + literal.length) === literal) {
    before.push(cut(bytes, meta!.start + 1, literal.length));
    const whole = `"_meta":{${literal}}`;
    if (text(bytes, 1, 1 + whole.length) === whole) before.push(cut(bytes, 1, whole.length));
  }
  return { receipt, before, without };
}

/** The bytes without `length` of them at `at`, nor the comma that came with them. */
function cut(bytes: Uint8Array, at: number, length: number): Uint8Array {
  const comma = bytes[at + length] === 0x2c ? 1 : 0;
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length + comma)]);
}

/** Edits that take out of `_meta` what bears the name of a receipt, in whatever case. */
function marksIn(bytes: Uint8Array, meta: Span) {
  const remove = [...(membersAt(bytes, meta) ?? [])].flatMap(([name, span]) =>
    name.toLowerCase() === RECEIPT_MARK ? [span] : [],
  );
  return objectEdits(bytes, meta, { remove });
}

/** Members of the object at a place, by name; null when there is none that can be read. */
function membersAt(bytes: Uint8Array, at: Span): ReadonlyMap<string, Span> | null {
  const document = scanDocument(bytes.subarray(at.start, at.end), NO_BOUNDS);
  if (typeof document === 'string' || document.members === null) return null;
  const found = new Map<string, Span>();
  for (const [name, { start, end }] of document.members)
    found.set(name, { start: at.start + start, end: at.start + end });
  return found;
}

function text(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.min(to, bytes.length) - from).toString('utf8');
}

function afterBlanks(bytes: Uint8Array, from: number): number {
  let i = from;
  while (bytes[i] === 0x20 || bytes[i] === 0x0a || bytes[i] === 0x0d || bytes[i] === 0x09) i++;
  return i;
}
