import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c } from './crc32c.ts';
import { claimedLength, FRAME_MAGIC, type Frame, readFrame } from './frame.ts';

/**
 * A segment file: magic (8) ‖ CRC-32C (4) ‖ length (4) ‖ header (canonical JSON), then frames. Every byte of the header
 * follows from the segments before it, so a reader compares it whole.
 */
const SEGMENT_MAGIC = Buffer.from('GWSEG01\n');
const HEAD_BYTES = 16;
const MAX_HEADER_BYTES = 16 * 1024 * 1024;
export const WINDOW_BYTES = 1024 * 1024;

export interface SegmentHeader {
  /** Number of the file, from 1. */
  readonly segment: number;
  /** Journal index of the first record. */
  readonly first: number;
  /** Leaves of each tree (by tag, hex) before this segment. */
  readonly trees: Readonly<Record<string, number>>;
}

export function segmentName(segment: number): string {
  return `${String(segment).padStart(8, '0')}.seg`;
}

/** Numbers of the segment files in a folder, ascending, and the names that are none. */
export function listSegments(folder: string): { numbers: number[]; strangers: string[] } {
  const numbers: number[] = [];
  const strangers: string[] = [];
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    if (/^[0-9]{8}\.seg$/.test(name) && Number(name.slice(0, 8)) > 0) numbers.push(Number(name.slice(0, 8)));
    else strangers.push(name);
  }
  return { numbers: numbers.sort((a, b) => a - b), strangers };
}

/** Tags are hexadecimal: this template, in the order of RFC 8785, stands for the canonicaliser (a test compares). */
export function encodeHeader({ segment, first, trees }: SegmentHeader): Buffer {
  const counts = Object.keys(trees).sort();
  const list = counts.map((tag) => `"${tag}":${trees[tag]}`).join(',');
  const json = Buffer.from(`{"first":${first},"segment":${segment},"trees":{${list}},"v":1}`);
  const bytes = Buffer.concat([SEGMENT_MAGIC, Buffer.alloc(8), json]);
  bytes.writeUInt32LE(json.length, 12);
  bytes.writeUInt32LE(crc32c(bytes, 12, bytes.length), 8);
  return bytes;
}

/**
 * Reads the bytes of a segment, however they come: it is fed a window at a time and does not wait. `header` and `next`
 * give null when more bytes are `wanted`, and when what stands there is not whole or not ours (then `wanted` is 0).
 */
export class SegmentWindow {
  /** How many bytes there must be from `offset` on to say more; 0: no more bytes would help. */
  wanted = 0;
  #window: Buffer = Buffer.alloc(0);
  #at = 0;
  #base = 0;

  /** Where in the file the next frame begins. */
  get offset(): number {
    return this.#base + this.#at;
  }

  /** Where in the file the bytes to be fed next begin. */
  get end(): number {
    return this.#base + this.#window.length;
  }

  /** Adds what follows. Frames given before stay good: they are views of the window they were read in. */
  feed(bytes: Buffer): void {
    this.#base += this.#at;
    this.#window = this.#at === this.#window.length ? bytes : Buffer.concat([this.#window.subarray(this.#at), bytes]);
    this.#at = 0;
  }

  /** The header and its bytes as they stand. MUST be called first, once it has given something not again. */
  header(): { header: SegmentHeader; bytes: Buffer } | null {
    if (!this.#have(HEAD_BYTES)) return null;
    this.wanted = 0;
    if (this.#window.compare(SEGMENT_MAGIC, 0, 8, 0, 8) !== 0) return null;
    const length = this.#window.readUInt32LE(12);
    if (length > MAX_HEADER_BYTES || !this.#have(HEAD_BYTES + length)) return null;
    this.wanted = 0;
    const bytes = Buffer.from(this.#window.subarray(0, HEAD_BYTES + length));
    if (bytes.readUInt32LE(8) !== crc32c(bytes, 12, bytes.length)) return null;
    const header = parseHeader(bytes.subarray(HEAD_BYTES));
    if (!header) return null;
    this.#at = bytes.length;
    return { header, bytes };
  }

  /** Goes over bytes that are known without being read. */
  skip(count: number): void {
    this.#at = Math.min(this.#at + count, this.#window.length);
  }

  next(): Frame | null {
    if (!this.#have(HEAD_BYTES)) return null;
    this.wanted = 0;
    const length = claimedLength(this.#window, this.#at);
    if (length === 0 || !this.#have(length)) return null;
    this.wanted = 0;
    const frame = readFrame(this.#window, this.#at);
    if (frame) this.#at += frame.length;
    return frame;
  }

  /** Goes on to the next place behind `offset` where a frame may begin; false when there is none in this window. */
  seek(): boolean {
    this.wanted = HEAD_BYTES;
    const found = this.#window.indexOf(FRAME_MAGIC, this.#at + 1);
    // A magic may be cut by the end of the window: its first bytes are looked at again with the next one.
    this.#at = found < 0 ? Math.max(this.#at, this.#window.length - FRAME_MAGIC.length) : found;
    return found >= 0;
  }

  #have(count: number): boolean {
    if (this.#window.length - this.#at >= count) return true;
    this.wanted = count;
    return false;
  }
}

/**
 * Reads a segment file in order with one window of memory. `next` gives views that hold until the following `next`;
 * after it gave null, `offset` is where whole frames end and `size` where the file ends: equal when nothing is left over.
 */
export class SegmentReader {
  readonly path: string;
  readonly #fd: number;
  readonly #window = new SegmentWindow();

  constructor(folder: string, segment: number) {
    this.path = join(folder, segmentName(segment));
    this.#fd = openSync(this.path, 'r');
  }

  get offset(): number {
    return this.#window.offset;
  }

  get size(): number {
    return fstatSync(this.#fd).size;
  }

  /** The header and its bytes as they stand; null when they are not whole. MUST be called first, once. */
  header(): { header: SegmentHeader; bytes: Buffer } | null {
    for (;;) {
      const found = this.#window.header();
      if (found || !this.#fill()) return found;
    }
  }

  next(): Frame | null {
    for (;;) {
      const frame = this.#window.next();
      if (frame || !this.#fill()) return frame;
    }
  }

  /** Is there a whole frame anywhere behind `offset`? Moves the reader. */
  findLater(): boolean {
    for (;;) {
      if (this.#window.seek()) {
        if (this.next()) return true;
      } else if (!this.#fill()) return false;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Reads on, when more is wanted and there is as much. */
  #fill(): boolean {
    const { wanted, offset, end } = this.#window;
    const left = this.size - end;
    if (wanted === 0 || offset + wanted > end + left) return false;
    const bytes = Buffer.allocUnsafeSlow(Math.min(left, Math.max(WINDOW_BYTES, wanted)));
    let filled = 0;
    while (filled < bytes.length) {
      const read = readSync(this.#fd, bytes, filled, bytes.length - filled, end + filled);
      if (read === 0) break;
      filled += read;
    }
    this.#window.feed(bytes.subarray(0, filled));
    return filled > 0;
  }
}

function parseHeader(json: Buffer): SegmentHeader | null {
  let raw: unknown;
  try {
    raw = JSON.parse(json.toString());
  } catch {
    // Attacker-controlled: what is no JSON is no header.
    return null;
  }
  const { v, segment, first, trees } = (raw ?? {}) as Record<string, unknown>;
  if (v !== 1 || !isCount(segment) || !isCount(first) || typeof trees !== 'object' || trees === null) return null;
  let leaves = 0;
  for (const [tag, count] of Object.entries(trees)) {
    if (!/^[0-9a-f]{32}$/.test(tag) || !isCount(count)) return null;
    leaves += count;
  }
  // Every record is a leaf of one tree. A header that forgets a tree would have it begun, and signed, a second time.
  if (leaves !== first) return null;
  return { segment, first, trees: trees as Record<string, number> };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
