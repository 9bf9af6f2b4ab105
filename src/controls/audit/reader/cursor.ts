import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { claimedLength, FRAME_HEAD_BYTES, type Frame, MAX_FRAME_BYTES, peekFrame, readFrame } from '../format/frame.ts';
import { listSegments, SegmentReader, segmentName } from '../format/segments.ts';

/** Where a frame stands, and what its first bytes say of it: not yet checked. */
export interface FrameAt {
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
  /** Journal index. */
  readonly index: number;
  /** Tenant tag, hex, and the record's leaf in that tenant's tree. */
  readonly tag: string;
  readonly leaf: number;
}

/** Where reading can go on: the next frame, and how many leaves each tree has before it. */
export interface Place {
  readonly segment: number;
  readonly offset: number;
  readonly index: number;
  readonly leaves: ReadonlyMap<string, number>;
}

const WINDOW_BYTES = 1024 * 1024;

/** The beginning of the segment that holds a journal index; null when the log begins behind it, or has no segment. */
export function segmentOf(folder: string, index: number): Place | null {
  for (const number of listSegments(folder).numbers.reverse()) {
    const place = beginningOf(folder, number);
    if (place && place.index <= index) return place;
  }
  return null;
}

/** One whole frame whose place is known; null when none of that length stands there. */
export function frameAt(
  folder: string,
  { segment, offset, length }: Pick<FrameAt, 'segment' | 'offset' | 'length'>,
): Frame | null {
  const path = join(folder, segmentName(segment));
  if (length > MAX_FRAME_BYTES || !existsSync(path)) return null;
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.allocUnsafe(length);
    return readFully(fd, bytes, offset) === length ? readFrame(bytes, 0) : null;
  } finally {
    closeSync(fd);
  }
}

/** The place of the first frame of a segment; null when its header is not whole. */
export function beginningOf(folder: string, segment: number): Place | null {
  const reader = new SegmentReader(folder, segment);
  try {
    const header = reader.header()?.header;
    if (header?.segment !== segment) return null;
    const leaves = new Map(Object.entries(header.trees));
    return { segment, offset: reader.offset, index: header.first, leaves };
  } finally {
    reader.close();
  }
}

/**
 * Walks over the frames of a journal by their heads, from segment to segment: a frame that nobody wants costs no checksum
 * and no memory. Ends where no frame begins: at the end of what is there, or at damage. Attacker-controlled.
 */
export class JournalCursor {
  readonly #folder: string;
  readonly #leaves: Map<string, number>;
  readonly #window = Buffer.allocUnsafe(WINDOW_BYTES);
  #segment: number;
  #offset: number;
  #index: number;
  #fd: number;
  #base = 0;
  #filled = 0;

  constructor(folder: string, place: Place) {
    this.#folder = folder;
    this.#segment = place.segment;
    this.#offset = place.offset;
    this.#index = place.index;
    this.#leaves = new Map(place.leaves);
    this.#fd = openSync(join(folder, segmentName(place.segment)), 'r');
  }

  /** Journal index of the next frame. */
  get index(): number {
    return this.#index;
  }

  next(): FrameAt | null {
    let at = this.#head(this.#offset);
    while (at < 0 && this.#nextSegment()) at = this.#head(this.#offset);
    if (at < 0) return null;
    const length = claimedLength(this.#window, at);
    const { index, tag } = peekFrame(this.#window, at);
    if (length === 0 || index !== this.#index) return null;
    const name = tag.toString('hex');
    const leaf = this.#leaves.get(name) ?? 0;
    const found = { segment: this.#segment, offset: this.#offset, length, index, tag: name, leaf };
    this.#leaves.set(name, leaf + 1);
    this.#index++;
    this.#offset += length;
    return found;
  }

  /** The whole frame, as views that hold until the next call; null when it is not there whole. */
  frame({ segment, offset, length }: Pick<FrameAt, 'segment' | 'offset' | 'length'>): Frame | null {
    if (segment !== this.#segment) return null;
    if (offset >= this.#base && offset + length <= this.#base + this.#filled)
      return readFrame(this.#window.subarray(0, this.#filled), offset - this.#base);
    if (length <= WINDOW_BYTES) {
      this.#fill(offset);
      return readFrame(this.#window.subarray(0, this.#filled), 0);
    }
    return frameAt(this.#folder, { segment, offset, length });
  }

  place(): Place {
    return { segment: this.#segment, offset: this.#offset, index: this.#index, leaves: new Map(this.#leaves) };
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Where in the window the head at an offset stands; -1 when none is there. */
  #head(offset: number): number {
    if (offset < this.#base || offset + FRAME_HEAD_BYTES > this.#base + this.#filled) this.#fill(offset);
    const at = offset - this.#base;
    return at + FRAME_HEAD_BYTES <= this.#filled && claimedLength(this.#window.subarray(0, this.#filled), at) > 0
      ? at
      : -1;
  }

  #fill(offset: number): void {
    this.#base = offset;
    this.#filled = readFully(this.#fd, this.#window, offset);
  }

  /** The following segment, when it begins with the record that comes next. */
  #nextSegment(): boolean {
    const following = this.#segment + 1;
    if (!existsSync(join(this.#folder, segmentName(following)))) return false;
    const place = beginningOf(this.#folder, following);
    if (place?.index !== this.#index) return false;
    const fd = openSync(join(this.#folder, segmentName(following)), 'r');
    closeSync(this.#fd);
    this.#fd = fd;
    this.#segment = following;
    this.#offset = place.offset;
    this.#filled = 0;
    return true;
  }
}

function readFully(fd: number, into: Buffer, from: number): number {
  let filled = 0;
  while (filled < into.length) {
    const read = readSync(fd, into, filled, into.length - filled, from + filled);
    if (read === 0) break;
    filled += read;
  }
  return filled;
}
