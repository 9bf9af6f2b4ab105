import type { Span } from '../call.ts';
import { InternalError } from '../internal-error.ts';
import { patch } from './patch.ts';

/**
 * Walks the leaves of JSON bytes without building a tree, and edits them without re-serialising the rest
 * (dlp.md section 5.2). The bytes MUST already be one valid JSON text: the strict scanner decides that, not this.
 */
export const LEAF_KINDS = ['string', 'number', 'key'] as const;
export type LeafKind = (typeof LEAF_KINDS)[number];

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A cursor over strings, numbers and object keys, in document order. `next()` moves it; the fields describe where it stands. */
export class LeafWalk {
  readonly bytes: Buffer;
  kind: LeafKind = 'string';
  /** Half-open span of the leaf in `bytes`, the quotes of a string included. */
  start = 0;
  end = 0;
  /** The string holds a backslash escape. */
  escaped = false;
  /** Serial number of the container the leaf stands in; 0 is the top. */
  container = 0;

  #at = 0;
  #depth = 0;
  #serial = 0;
  #expectKey = false;
  #highBytes = false;
  // One entry per open container: is it an object, its serial, the index in an array, the span of the latest key and its text.
  readonly #objects: boolean[] = [false];
  readonly #serials: number[] = [0];
  readonly #indexes: number[] = [0];
  readonly #keyStarts: number[] = [0];
  readonly #keyEnds: number[] = [0];
  /** That key decoded, once it was asked for: a long one may stand over very many leaves. */
  readonly #keyTexts: (string | null)[] = [null];

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Moves to the next leaf; false at the end. */
  next(): boolean {
    const bytes = this.bytes;
    const length = bytes.length;
    let i = this.#at;
    while (i < length) {
      const byte = bytes[i]!;
      if (byte === QUOTE) {
        this.#takeString(i);
        return true;
      }
      if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) {
        this.#takeNumber(i);
        return true;
      }
      if (byte === 0x7b || byte === 0x5b) this.#open(byte === 0x7b);
      else if (byte === 0x7d || byte === 0x5d) this.#close();
      else if (byte === 0x2c) {
        const depth = this.#depth;
        if (this.#objects[depth]!) this.#expectKey = true;
        else this.#indexes[depth] = this.#indexes[depth]! + 1;
      } else if (byte === 0x3a) this.#expectKey = false;
      i++;
    }
    this.#at = i;
    return false;
  }

  /** The decoded string or key without quotes; of a number its text. */
  text(): string {
    if (this.kind === 'number') return this.bytes.toString('latin1', this.start, this.end);
    return decode(this.bytes, this.start, this.end, this.escaped, this.#highBytes);
  }

  /** Names of the nearest enclosing object members, outermost first; a key leaf counts itself. */
  keys(most: number): string[] {
    const keys: string[] = [];
    for (let depth = this.#depth; depth > 0 && keys.length < most; depth--) {
      if (this.#objects[depth]!) keys.unshift(this.#keyAt(depth));
    }
    return keys;
  }

  /** Members and array indexes from the root to the leaf; a key leaf ends with its own name. */
  segments(): (string | number)[] {
    const segments: (string | number)[] = [];
    for (let depth = 1; depth <= this.#depth; depth++) {
      segments.push(this.#objects[depth]! ? this.#keyAt(depth) : this.#indexes[depth]!);
    }
    return segments;
  }

  /** How many containers the leaf stands in. */
  level(): number {
    return this.#depth;
  }

  /** The nearest enclosing member's name as bytes with quotes, or none. */
  nearestKeySpan(): Span {
    for (let depth = this.#depth; depth > 0; depth--) {
      if (this.#objects[depth]!) return { start: this.#keyStarts[depth]!, end: this.#keyEnds[depth]! };
    }
    return { start: -1, end: -1 };
  }

  #keyAt(depth: number): string {
    const known = this.#keyTexts[depth]!;
    if (known !== null) return known;
    const start = this.#keyStarts[depth]!;
    const end = this.#keyEnds[depth]!;
    const name = this.bytes.toString('utf8', start + 1, end - 1);
    const text = name.includes('\\') ? (JSON.parse(`"${name}"`) as string) : name;
    this.#keyTexts[depth] = text;
    return text;
  }

  #takeString(start: number): void {
    const bytes = this.bytes;
    const length = bytes.length;
    let escaped = false;
    let high = 0;
    let i = start + 1;
    for (; i < length; i++) {
      const byte = bytes[i]!;
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) {
        escaped = true;
        i++;
      } else high |= byte;
    }
    if (i >= length) throw new InternalError('leaves.not_json', 'Leaves were walked on bytes nobody had validated.');
    this.start = start;
    this.end = i + 1;
    this.escaped = escaped;
    this.#highBytes = high > 0x7f;
    this.#at = i + 1;
    const depth = this.#depth;
    this.container = this.#serials[depth]!;
    if (this.#expectKey) {
      this.kind = 'key';
      this.#keyStarts[depth] = start;
      this.#keyEnds[depth] = i + 1;
      this.#keyTexts[depth] = null;
    } else this.kind = 'string';
  }

  #takeNumber(start: number): void {
    const bytes = this.bytes;
    let i = start + 1;
    for (; i < bytes.length; i++) {
      const byte = bytes[i]!;
      const part = (byte >= 0x30 && byte <= 0x39) || byte === 0x2e || byte === 0x2d || byte === 0x2b;
      if (!part && byte !== 0x65 && byte !== 0x45) break;
    }
    this.kind = 'number';
    this.start = start;
    this.end = i;
    this.escaped = false;
    this.#highBytes = false;
    this.container = this.#serials[this.#depth]!;
    this.#at = i;
  }

  #open(object: boolean): void {
    const depth = ++this.#depth;
    this.#objects[depth] = object;
    this.#serials[depth] = ++this.#serial;
    this.#indexes[depth] = 0;
    this.#keyStarts[depth] = -1;
    this.#keyEnds[depth] = -1;
    this.#keyTexts[depth] = null;
    this.#expectKey = object;
  }

  #close(): void {
    if (this.#depth === 0) throw new InternalError('leaves.not_json', 'Leaves were walked on bytes nobody validated.');
    this.#depth--;
    this.#expectKey = false;
  }
}

function decode(bytes: Buffer, start: number, end: number, escaped: boolean, high: boolean): string {
  if (escaped) return JSON.parse(bytes.toString('utf8', start, end)) as string;
  return high ? bytes.toString('utf8', start + 1, end - 1) : bytes.toString('latin1', start + 1, end - 1);
}

/** Puts a JSON text in the place of a leaf. Spans come from a walk; a number may become a string. */
export interface LeafEdit {
  readonly span: Span;
  /** A string value: it is escaped here. */
  readonly value: string;
}

/**
 * One copy with the leaves replaced: parse(edited) = edit(parse(original)). Without edits the same bytes object.
 * @param edits not overlapping
 */
export function editLeaves(bytes: Uint8Array, edits: readonly LeafEdit[]): Uint8Array {
  return patch(
    bytes,
    edits.map(({ span, value }) => ({ span, replacement: Buffer.from(JSON.stringify(value)) })),
  );
}

/** RFC 6901 pointer. */
export function pointer(segments: readonly (string | number)[]): string {
  let path = '';
  for (const segment of segments) path += `/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`;
  return path;
}
