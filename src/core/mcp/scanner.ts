import { isUtf8 } from 'node:buffer';
import type { Span } from '../call.ts';
import { disguised, hashOfKey, KNOWN_NAMES } from './key-names.ts';
import { Members } from './members.ts';
import { treeOf } from './tree.ts';

/**
 * The one strict reader of JSON: RFC 8259 to the letter, and then no text that two readers could take for two
 * things. It makes no tree; it says where the members lie that others cut, replace or parse
 * (docs/decisions/strict-scanner.md). Every byte here is attacker-controlled.
 */

/** Why a text was refused. `not_object` and `batch` only come from `scanMessage`, and only for valid JSON. */
export const SCAN_FAULTS = [
  'encoding',
  'json',
  'duplicate_key',
  'folded_key',
  'bounds',
  'batch',
  'not_object',
] as const;
export type ScanFault = (typeof SCAN_FAULTS)[number];

export interface ScanLimits {
  /** Nesting of objects and arrays. */
  readonly maxDepth: number;
  /** Members of all objects together. */
  readonly maxMembers: number;
  /** Bytes of one string between its quotes, keys included. */
  readonly maxStringBytes: number;
  /** Bytes of one number. */
  readonly maxNumberBytes: number;
}

export const DEFAULT_SCAN_LIMITS: ScanLimits = {
  maxDepth: 64,
  maxMembers: 100_000,
  maxStringBytes: 16 * 1024 * 1024,
  maxNumberBytes: 256,
};

/** For what was scanned before, whatever the bounds were by then: a second look may not refuse what the first let through. */
export const NO_BOUNDS: ScanLimits = {
  maxDepth: 512,
  maxMembers: Number.MAX_SAFE_INTEGER,
  maxStringBytes: Number.MAX_SAFE_INTEGER,
  maxNumberBytes: Number.MAX_SAFE_INTEGER,
};

/** Value spans of a JSON-RPC message. Whether the parts are of the right type is for the caller to judge. */
export interface MessageSpans {
  jsonrpc: Span | null;
  id: Span | null;
  method: Span | null;
  params: Span | null;
  result: Span | null;
  error: Span | null;
  /** True when the envelope holds a member that JSON-RPC does not define. */
  unknown: boolean;
  /** True when a name anywhere in the message holds an escape (tree.ts says why that matters). */
  escapedNames: boolean;
  /** Members of `params` by name; empty when params is absent or no object. */
  readonly paramsMembers: ReadonlyMap<string, Span>;
  /** Members of `params._meta` by name. */
  readonly metaMembers: ReadonlyMap<string, Span>;
}

export interface DocumentSpans {
  readonly root: 'object' | 'array' | 'scalar';
  /** The value itself, without surrounding blanks. */
  readonly value: Span;
  /** Members of the root object by name; null when the root is no object. */
  readonly members: ReadonlyMap<string, Span> | null;
}

/**
 * Scans one JSON-RPC message: request, notification or response.
 * @returns byte spans, or the first fault met
 */
export function scanMessage(bytes: Uint8Array, limits: ScanLimits = DEFAULT_SCAN_LIMITS): MessageSpans | ScanFault {
  const spans = new MessageCollector();
  const fault = scan(bytes, limits, WATCH_ENVELOPE, spans);
  if (fault !== null) return fault;
  if (bytes[spans.start] === OPEN_OBJECT) return spans;
  return bytes[spans.start] === OPEN_ARRAY ? 'batch' : 'not_object';
}

/**
 * Scans one JSON value of any type.
 * @returns byte spans of the value and, for an object, of its members; or the first fault met
 */
export function scanDocument(bytes: Uint8Array, limits: ScanLimits = DEFAULT_SCAN_LIMITS): DocumentSpans | ScanFault {
  const spans = new DocumentCollector();
  const fault = scan(bytes, limits, WATCH_DOCUMENT, spans);
  if (fault !== null) return fault;
  const first = bytes[spans.start];
  const root = first === OPEN_OBJECT ? 'object' : first === OPEN_ARRAY ? 'array' : 'scalar';
  return {
    root,
    value: { start: spans.start, end: spans.end },
    members: root === 'object' ? spans.members : null,
  };
}

const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;

const WATCH_NOTHING = 0;
const WATCH_ENVELOPE = 1;
const WATCH_PARAMS = 2;
const WATCH_META = 3;
const WATCH_DOCUMENT = 4;

/** Objects up to this size compare their keys pairwise; larger ones use a Set, whose hash strangers cannot predict. */
const PAIRWISE = 24;

interface Collector {
  start: number;
  end: number;
  escapedNames: boolean;
  put(watch: number, name: string, start: number, end: number): void;
}

class MessageCollector implements MessageSpans, Collector {
  jsonrpc: Span | null = null;
  id: Span | null = null;
  method: Span | null = null;
  params: Span | null = null;
  result: Span | null = null;
  error: Span | null = null;
  unknown = false;
  escapedNames = false;
  readonly paramsMembers = new Members();
  readonly metaMembers = new Members();
  start = 0;
  end = 0;

  put(watch: number, name: string, start: number, end: number): void {
    if (watch === WATCH_PARAMS) this.paramsMembers.add(name, start, end);
    else if (watch === WATCH_META) this.metaMembers.add(name, start, end);
    else if (name === 'id') this.id = { start, end };
    else if (name === 'method') this.method = { start, end };
    else if (name === 'params') this.params = { start, end };
    else if (name === 'jsonrpc') this.jsonrpc = { start, end };
    else if (name === 'result') this.result = { start, end };
    else if (name === 'error') this.error = { start, end };
    else this.unknown = true;
  }
}

class DocumentCollector implements Collector {
  readonly members = new Members();
  escapedNames = false;
  start = 0;
  end = 0;

  put(_watch: number, name: string, start: number, end: number): void {
    this.members.add(name, start, end);
  }
}

/** Working memory, reused: a scan is synchronous and calls nothing that scans. It holds offsets, never content. */
interface Scratch {
  readonly depth: number;
  readonly startAt: Int32Array;
  readonly isObject: Uint8Array;
  readonly watch: Uint8Array;
  /** First entry of the object at this depth in the three key columns. */
  readonly keysFrom: Int32Array;
  readonly keyHash: Int32Array;
  readonly keyStart: Int32Array;
  readonly keyEnd: Int32Array;
}

function makeScratch(depth: number): Scratch {
  return {
    depth,
    startAt: new Int32Array(depth + 1),
    isObject: new Uint8Array(depth + 1),
    watch: new Uint8Array(depth + 1),
    keysFrom: new Int32Array(depth + 1),
    keyHash: new Int32Array((depth + 1) * PAIRWISE),
    keyStart: new Int32Array((depth + 1) * PAIRWISE),
    keyEnd: new Int32Array((depth + 1) * PAIRWISE),
  };
}

let scratch = makeScratch(DEFAULT_SCAN_LIMITS.maxDepth);

/** The grammar as one loop without recursion: before a key, before a value, after a value. */
function scan(bytes: Uint8Array, limits: ScanLimits, rootWatch: number, out: Collector): ScanFault | null {
  if (!isUtf8(bytes)) return 'encoding';
  const n = bytes.length;
  if (n >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'encoding';
  const { maxDepth, maxMembers, maxStringBytes, maxNumberBytes } = limits;
  if (maxDepth > scratch.depth) scratch = makeScratch(maxDepth);
  const { startAt, isObject, watch, keysFrom, keyHash, keyStart, keyEnd } = scratch;
  let wide: (Set<string> | undefined)[] | null = null;
  let words: DataView | null = null;
  let envelopeName = '';
  let paramsName = '';
  let metaName = '';

  let i = 0;
  let depth = 0;
  let keysTop = 0;
  let members = 0;
  let beforeKey = false;

  for (;;) {
    if (beforeKey) {
      // The quote stands at i. Reads the key, refuses a repeated one, and stops behind the colon.
      if (++members > maxMembers) return 'bounds';
      const start = ++i;
      let escaped = false;
      for (;;) {
        while (i < n && STOPS[bytes[i]!] === 0) i++;
        if (i >= n) return 'json';
        const c = bytes[i]!;
        if (c === QUOTE) break;
        if (c !== BACKSLASH) return 'json';
        escaped = true;
        i = afterEscape(bytes, i, n);
        if (i < 0) return 'json';
      }
      const end = i++;
      if (end - start > maxStringBytes) return 'bounds';
      if (escaped) out.escapedNames = true;
      const hash = hashOfKey(bytes, start, end);
      const from = keysFrom[depth]!;
      let set: Set<string> | undefined = wide?.[depth];
      if (set === undefined && !escaped && keysTop - from < PAIRWISE) {
        for (let k = from; k < keysTop; k++) {
          if (keyHash[k] === hash && sameRange(bytes, keyStart[k]!, keyEnd[k]!, start, end)) return 'duplicate_key';
        }
        keyHash[keysTop] = hash;
        keyStart[keysTop] = start;
        keyEnd[keysTop] = end;
        keysTop++;
      } else {
        if (set === undefined) {
          set = new Set();
          for (let k = from; k < keysTop; k++) set.add(decodeKey(bytes, keyStart[k]!, keyEnd[k]!, false));
          wide ??= [];
          wide[depth] = set;
        }
        const size = set.size;
        set.add(decodeKey(bytes, start, end, escaped));
        if (set.size === size) return 'duplicate_key';
      }
      const level = watch[depth]!;
      if (level !== WATCH_NOTHING) {
        const known = escaped ? null : KNOWN_NAMES[level - 1]!.find(bytes, start, end, hash);
        const name = known ?? decodeKey(bytes, start, end, escaped);
        if (level === WATCH_PARAMS) paramsName = name;
        else if (level === WATCH_META) metaName = name;
        else envelopeName = name;
        if (known === null && level !== WATCH_DOCUMENT && disguised(level - 1, name)) return 'folded_key';
      }
      while (i < n && isBlank(bytes[i]!)) i++;
      if (i >= n || bytes[i] !== COLON) return 'json';
      i++;
      beforeKey = false;
    }

    while (i < n && isBlank(bytes[i]!)) i++;
    if (i >= n) return 'json';
    let start = i;
    const c = bytes[i]!;
    if (c === QUOTE) {
      i++;
      for (;;) {
        const near = Math.min(i + NEAR, n);
        while (i < near && STOPS[bytes[i]!] === 0) i++;
        if (i === near && i < n) {
          words ??= new DataView(bytes.buffer, bytes.byteOffset, n);
          i = afterPlain(words, i, n);
          while (i < n && STOPS[bytes[i]!] === 0) i++;
        }
        if (i >= n) return 'json';
        const s = bytes[i]!;
        if (s === QUOTE) break;
        if (s !== BACKSLASH) return 'json';
        i = afterEscape(bytes, i, n);
        if (i < 0) return 'json';
      }
      if (i - start - 1 > maxStringBytes) return 'bounds';
      i++;
    } else if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
      if (depth >= maxDepth) return 'bounds';
      const outer = depth === 0 ? WATCH_NOTHING : watch[depth]!;
      depth++;
      startAt[depth] = i;
      isObject[depth] = c === OPEN_OBJECT ? 1 : 0;
      keysFrom[depth] = keysTop;
      i++;
      while (i < n && isBlank(bytes[i]!)) i++;
      if (i >= n) return 'json';
      if (c === OPEN_OBJECT) {
        watch[depth] =
          depth === 1
            ? rootWatch
            : outer === WATCH_ENVELOPE && envelopeName === 'params'
              ? WATCH_PARAMS
              : outer === WATCH_PARAMS && paramsName === '_meta'
                ? WATCH_META
                : WATCH_NOTHING;
        if (bytes[i] === QUOTE) {
          beforeKey = true;
          continue;
        }
        if (bytes[i] !== CLOSE_OBJECT) return 'json';
      } else {
        watch[depth] = WATCH_NOTHING;
        if (bytes[i] !== CLOSE_ARRAY) continue;
      }
      // An empty container: left to the loop below, which meets its closing bracket.
      start = -1;
    } else if (c === MINUS || (c >= 0x30 && c <= 0x39)) {
      i = afterNumber(bytes, i, n);
      if (i < 0) return 'json';
      if (i - start > maxNumberBytes || !finite(bytes, start, i)) return 'bounds';
    } else {
      i = afterLiteral(bytes, i, n, c);
      if (i < 0) return 'json';
    }

    // After a value that lies in [start, i), or (start < 0) before the bracket that closes an empty container.
    for (;;) {
      if (start >= 0) {
        if (depth === 0) {
          out.start = start;
          out.end = i;
          while (i < n && isBlank(bytes[i]!)) i++;
          return i === n ? null : 'json';
        }
        const level = watch[depth]!;
        if (level !== WATCH_NOTHING) {
          out.put(
            level,
            level === WATCH_PARAMS ? paramsName : level === WATCH_META ? metaName : envelopeName,
            start,
            i,
          );
        }
        while (i < n && isBlank(bytes[i]!)) i++;
        if (i >= n) return 'json';
        if (bytes[i] === COMMA) {
          i++;
          if (isObject[depth] === 0) break;
          while (i < n && isBlank(bytes[i]!)) i++;
          if (i >= n || bytes[i] !== QUOTE) return 'json';
          beforeKey = true;
          break;
        }
      }
      if (bytes[i] !== (isObject[depth] === 1 ? CLOSE_OBJECT : CLOSE_ARRAY)) return 'json';
      i++;
      start = startAt[depth]!;
      keysTop = keysFrom[depth]!;
      if (wide !== null) wide[depth] = undefined;
      depth--;
    }
  }
}

function isBlank(c: number): boolean {
  return c <= 0x20 && (c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09);
}

/** Bytes at which a string may not simply go on: the quote, the backslash, and controls. */
const STOPS = new Uint8Array(256);
for (let c = 0; c < 256; c++) STOPS[c] = c < 0x20 || c === QUOTE || c === BACKSLASH ? 1 : 0;

/** Bytes of a string that are looked at one by one: most strings are over by then. */
const NEAR = 16;

/** Index at or before the first stop from `i` on, eight bytes at a step. */
function afterPlain(words: DataView, i: number, n: number): number {
  const last = n - 8;
  while (i <= last && (stopsIn(words.getInt32(i, true)) | stopsIn(words.getInt32(i + 4, true))) === 0) i += 8;
  return i;
}

/** Not 0 when one of the four bytes is a stop: each difference borrows into the high bit of a byte that was too small. */
function stopsIn(four: number): number {
  const quote = (four ^ 0x22222222) - 0x01010101;
  const backslash = (four ^ 0x5c5c5c5c) - 0x01010101;
  return (quote | backslash | (four - 0x20202020)) & ~four & 0x80808080;
}

/** Index behind the escape that begins at `i`, or -1. A lone surrogate is refused: no reader agrees on what it is. */
function afterEscape(bytes: Uint8Array, i: number, n: number): number {
  if (i + 1 >= n) return -1;
  switch (bytes[i + 1]) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return i + 2;
    case 0x75: {
      const unit = hex4(bytes, i + 2, n);
      if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff)) return -1;
      if (unit < 0xd800 || unit > 0xdbff) return i + 6;
      if (i + 7 >= n || bytes[i + 6] !== BACKSLASH || bytes[i + 7] !== 0x75) return -1;
      const low = hex4(bytes, i + 8, n);
      return low >= 0xdc00 && low <= 0xdfff ? i + 12 : -1;
    }
    default:
      return -1;
  }
}

function hex4(bytes: Uint8Array, i: number, n: number): number {
  if (i + 4 > n) return -1;
  let value = 0;
  for (let k = i; k < i + 4; k++) {
    const c = bytes[k]!;
    const digit = c >= 0x30 && c <= 0x39 ? c - 0x30 : (c | 0x20) >= 0x61 && (c | 0x20) <= 0x66 ? (c | 0x20) - 0x57 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

function afterDigits(bytes: Uint8Array, i: number, n: number): number {
  const from = i;
  while (i < n && bytes[i]! >= 0x30 && bytes[i]! <= 0x39) i++;
  return i === from ? -1 : i;
}

function afterNumber(bytes: Uint8Array, i: number, n: number): number {
  if (bytes[i] === MINUS) i++;
  if (i < n && bytes[i] === 0x30) i++;
  else i = afterDigits(bytes, i, n);
  if (i < 0) return -1;
  if (i < n && bytes[i] === 0x2e) {
    i = afterDigits(bytes, i + 1, n);
    if (i < 0) return -1;
  }
  if (i < n && (bytes[i]! | 0x20) === 0x65) {
    i++;
    if (i < n && (bytes[i] === 0x2b || bytes[i] === MINUS)) i++;
    i = afterDigits(bytes, i, n);
  }
  return i;
}

/** Only an exponent or more than 308 digits can overflow a double; the rest needs no conversion. */
function finite(bytes: Uint8Array, start: number, end: number): boolean {
  let exponent = end - start > 308;
  for (let k = start; k < end && !exponent; k++) exponent = (bytes[k]! | 0x20) === 0x65;
  return !exponent || Number.isFinite(Number(textOf(bytes, start, end)));
}

function afterLiteral(bytes: Uint8Array, i: number, n: number, first: number): number {
  const literal = first === 0x74 ? TRUE : first === 0x66 ? FALSE : first === 0x6e ? NULL : null;
  if (literal === null || i + literal.length > n) return -1;
  for (let k = 1; k < literal.length; k++) if (bytes[i + k] !== literal[k]) return -1;
  return i + literal.length;
}
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const NULL = Buffer.from('null');

function sameRange(bytes: Uint8Array, aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
  const length = aEnd - aStart;
  if (bEnd - bStart !== length) return false;
  for (let k = 0; k < length; k++) if (bytes[aStart + k] !== bytes[bStart + k]) return false;
  return true;
}

function decodeKey(bytes: Uint8Array, start: number, end: number, escaped: boolean): string {
  return escaped ? (JSON.parse(textOf(bytes, start - 1, end + 1)) as string) : textOf(bytes, start, end);
}

/** The text of a byte range that has been scanned. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString('utf8', start, end);
}

/**
 * The parsed tree of a scanned span. Only for bytes a scan has passed: this reader alone would take duplicates.
 * @param scanned what the scan said of them, where it is at hand: no name has to be searched for escapes again
 */
export function parseSpan(bytes: Uint8Array, span: Span, scanned?: Pick<MessageSpans, 'escapedNames'>): unknown {
  const text = textOf(bytes, span.start, span.end);
  return scanned?.escapedNames === false ? JSON.parse(text) : treeOf(text);
}

/** True when the scanned span holds an object. */
export function isObjectAt(bytes: Uint8Array, span: Span): boolean {
  return bytes[span.start] === OPEN_OBJECT;
}
