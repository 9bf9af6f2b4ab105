import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { claimedLength, MAX_FRAME_BYTES, TAG_BYTES } from '../format/frame.ts';
import { segmentName } from '../format/segments.ts';

/** One read; parsed without a pause, so that calls wait for a fraction of a millisecond at most. */
const WINDOW_BYTES = 256 * 1024;
const SEGMENT_HEAD_BYTES = 16;
const SEGMENT_MAGIC = 'GWSEG01\n';
const FRAME_HEAD_BYTES = 12;

/** A place between two records. */
export interface FeedPosition {
  readonly segment: number;
  /** 0: before the segment's header. */
  readonly offset: number;
  /** Journal index of the record that begins there. */
  readonly index: number;
}

/** Bytes of one segment, whole records (and the header before the first); the caller's to keep. */
export interface Block {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: Buffer;
  /** Trees its records belong to. */
  readonly tags: ReadonlySet<string>;
  /** Where reading goes on behind it. */
  readonly next: FeedPosition;
}

/**
 * Reads the journal from a place on, up to the record `size`, which a checkpoint covers: no byte that may still be cut
 * off by a recovery is given away. One window of memory.
 * @throws Error when the journal does not hold what is covered
 */
export async function* blocksUntil(folder: string, from: FeedPosition, size: number): AsyncGenerator<Block> {
  let at = from;
  while (at.index < size) {
    const path = join(folder, segmentName(at.segment));
    for await (const block of blocksOfSegment(folder, at, size)) {
      at = block.next;
      yield block;
    }
    if (at.index >= size) return;
    if ((await stat(path)).size !== at.offset)
      throw new Error(`${path} is damaged at byte ${at.offset}; run audit verify`);
    at = { segment: at.segment + 1, offset: 0, index: at.index };
  }
}

/** The same within one segment, whose bytes from `end` on are not looked at; ends where no whole record follows. */
export async function* blocksOfSegment(
  folder: string,
  from: FeedPosition,
  size: number,
  end = Number.MAX_SAFE_INTEGER,
): AsyncGenerator<Block> {
  let at = from;
  const file = await open(join(folder, segmentName(at.segment)), 'r');
  try {
    for (let block = await readBlock(file, at, size, end); block; block = await readBlock(file, at, size, end)) {
      at = block.next;
      yield block;
      if (at.index >= size) return;
    }
  } finally {
    await file.close();
  }
}

/** Null at the end of the segment, and where no whole record follows. */
async function readBlock(file: FileHandle, at: FeedPosition, size: number, end: number): Promise<Block | null> {
  const read = (length: number) => readAt(file, at.offset, Math.min(length, end - at.offset));
  let window = await read(WINDOW_BYTES);
  let head = 0;
  if (at.offset === 0) {
    if (window.length < SEGMENT_HEAD_BYTES || window.toString('latin1', 0, 8) !== SEGMENT_MAGIC) return null;
    head = SEGMENT_HEAD_BYTES + window.readUInt32LE(12);
    if (head > MAX_FRAME_BYTES) return null;
    if (head + FRAME_HEAD_BYTES > window.length) window = await read(head + WINDOW_BYTES);
    if (head > window.length) return null;
  }
  const first = claimedLength(window, head);
  if (head + first > window.length) window = await read(head + first);
  const tags = new Set<string>();
  let whole = head;
  let { index } = at;
  while (index < size) {
    const length = claimedLength(window, whole);
    if (length === 0 || whole + length > window.length) break;
    const body = whole + FRAME_HEAD_BYTES;
    if (window.readUInt32LE(body) + window.readUInt32LE(body + 4) * 2 ** 32 !== index) break;
    tags.add(window.toString('hex', body + 8, body + 8 + TAG_BYTES));
    whole += length;
    index++;
  }
  if (whole === 0) return null;
  const next = { segment: at.segment, offset: at.offset + whole, index };
  return { segment: at.segment, offset: at.offset, bytes: window.subarray(0, whole), tags, next };
}

/** Fewer bytes where the file ends. */
export async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
