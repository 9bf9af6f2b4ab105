import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson } from '../../../core/crypto/jcs.ts';
import { crc32c } from './crc32c.ts';
import { claimedLength, FRAME_MAGIC, type Frame, MAX_FRAME_BYTES, readFrame } from './frame.ts';

/**
 * A segment file: magic (8) ‖ CRC-32C (4) ‖ length (4) ‖ header (canonical JSON), then frames. Every byte of the header
 * follows from the segments before it, so a reader compares it whole.
 */
const SEGMENT_MAGIC = Buffer.from('GWSEG01\n');
const HEAD_BYTES = 16;
const MAX_HEADER_BYTES = 16 * 1024 * 1024;
const WINDOW_BYTES = 1024 * 1024;

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

export function encodeHeader(header: SegmentHeader): Buffer {
  const json = Buffer.from(canonicalJson({ v: 1, ...header }));
  const bytes = Buffer.concat([SEGMENT_MAGIC, Buffer.alloc(8), json]);
  bytes.writeUInt32LE(json.length, 12);
  bytes.writeUInt32LE(crc32c(bytes, 12, bytes.length), 8);
  return bytes;
}

/**
 * Reads a segment in order with one window of memory. `next` gives views that hold until the following `next`; after
 * it gave null, `offset` is where whole frames end and `size` where the file ends: equal when nothing is left over.
 */
export class SegmentReader {
  readonly path: string;
  readonly #fd: number;
  #window: Buffer;
  #filled = 0;
  #at = 0;
  #base = 0;

  constructor(folder: string, segment: number) {
    this.path = join(folder, segmentName(segment));
    this.#fd = openSync(this.path, 'r');
    this.#window = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, Math.max(HEAD_BYTES, this.size)));
  }

  get offset(): number {
    return this.#base + this.#at;
  }

  get size(): number {
    return fstatSync(this.#fd).size;
  }

  /** The header and its bytes as they stand; null when they are not whole. MUST be called first, once. */
  header(): { header: SegmentHeader; bytes: Buffer } | null {
    if (!this.#have(HEAD_BYTES) || this.#window.compare(SEGMENT_MAGIC, 0, 8, 0, 8) !== 0) return null;
    const length = this.#window.readUInt32LE(12);
    if (length > MAX_HEADER_BYTES || !this.#have(HEAD_BYTES + length)) return null;
    const bytes = Buffer.from(this.#window.subarray(0, HEAD_BYTES + length));
    if (bytes.readUInt32LE(8) !== crc32c(bytes, 12, bytes.length)) return null;
    this.#at = bytes.length;
    const header = parseHeader(bytes.subarray(HEAD_BYTES));
    return header ? { header, bytes } : null;
  }

  next(): Frame | null {
    if (!this.#have(HEAD_BYTES)) return null;
    const length = claimedLength(this.#window.subarray(0, this.#filled), this.#at);
    if (length === 0 || !this.#have(length)) return null;
    const frame = readFrame(this.#window.subarray(0, this.#filled), this.#at);
    if (frame) this.#at += frame.length;
    return frame;
  }

  /** Is there a whole frame anywhere behind `offset`? Moves the reader. */
  findLater(): boolean {
    this.#at += 1;
    while (this.#have(HEAD_BYTES)) {
      const found = this.#window.subarray(0, this.#filled).indexOf(FRAME_MAGIC, this.#at);
      if (found < 0) {
        this.#at = Math.max(this.#at + 1, this.#filled - FRAME_MAGIC.length + 1);
        continue;
      }
      this.#at = found;
      if (this.next()) return true;
      this.#at += 1;
    }
    return false;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Brings `count` bytes from the current place into the window. */
  #have(count: number): boolean {
    if (this.#filled - this.#at >= count) return true;
    if (this.#at > 0) {
      this.#window.copyWithin(0, this.#at, this.#filled);
      this.#base += this.#at;
      this.#filled -= this.#at;
      this.#at = 0;
    }
    if (count > this.#window.length) {
      if (count > MAX_FRAME_BYTES || this.#base + count > this.size) return false;
      const wider = Buffer.allocUnsafe(count);
      this.#window.copy(wider, 0, 0, this.#filled);
      this.#window = wider;
    }
    while (this.#filled < count) {
      const room = this.#window.length - this.#filled;
      const read = readSync(this.#fd, this.#window, this.#filled, room, this.#base + this.#filled);
      if (read === 0) return false;
      this.#filled += read;
    }
    return true;
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
  for (const [tag, count] of Object.entries(trees)) if (!/^[0-9a-f]{32}$/.test(tag) || !isCount(count)) return null;
  return { segment, first, trees: trees as Record<string, number> };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
