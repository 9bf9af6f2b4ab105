import { existsSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { claimedLength, FRAME_MAGIC, MAX_FRAME_BYTES, readFrame } from '../format/frame.ts';
import { listSegments, SegmentReader, segmentName } from '../format/segments.ts';
import { SinkBroken } from './following.ts';
import { type Block, blocksOfSegment, type FeedPosition, readAt } from './segment-feed.ts';

/**
 * Where copying goes on in a copy made earlier. Its last segment is compared byte by byte. What an interrupted write
 * left behind, no whole record, is cut off; a copy that holds anything else than the log does is evidence, and not
 * touched.
 * @param local,copy folders of segments
 * @throws SinkBroken
 */
export async function adoptCopy(local: string, copy: string): Promise<FeedPosition> {
  const { numbers } = listSegments(copy);
  const last = numbers.length;
  if (last === 0) return { segment: 1, offset: 0, index: 0 };
  if (numbers.some((number, i) => number !== i + 1)) throw new SinkBroken(`a segment is missing in ${copy}`);
  for (let number = 1; number < last; number++) {
    const [here, there] = await Promise.all([sizeOf(local, number), sizeOf(copy, number)]);
    if (here !== there) throw forked(copy, number, `it has ${there} bytes, the log ${here ?? 'no such segment'}`);
  }
  return adoptLast(local, copy, last);
}

async function adoptLast(local: string, copy: string, segment: number): Promise<FeedPosition> {
  const path = join(copy, segmentName(segment));
  const first = existsSync(join(local, segmentName(segment))) ? firstOf(local, segment) : null;
  if (first === null) throw forked(copy, segment, 'the log has no such segment');
  let at: FeedPosition = { segment, offset: 0, index: first };
  const file = await open(path, 'r+');
  try {
    for await (const block of blocksOfSegment(local, at, Number.MAX_SAFE_INTEGER)) {
      const there = await readAt(file, block.offset, block.bytes.length);
      at = there.equals(block.bytes) ? block.next : lastCommon(block, there, at);
      if (at !== block.next) break;
    }
    await cutTornTail(file, at, copy);
  } finally {
    await file.close();
  }
  return at;
}

/** The last boundary of records up to which both are the same. */
function lastCommon(block: Block, there: Buffer, at: FeedPosition): FeedPosition {
  let { offset, index } = at;
  for (let from = 0; from < block.bytes.length; ) {
    const length = claimedLength(block.bytes, from) || headerLength(block.bytes);
    const to = from + length;
    if (to > there.length || block.bytes.compare(there, from, to, from, to) !== 0) break;
    if (claimedLength(block.bytes, from) > 0) index++;
    offset += length;
    from = to;
  }
  return { ...at, offset, index };
}

function headerLength(bytes: Buffer): number {
  return 16 + bytes.readUInt32LE(12);
}

/** A tail that holds no whole record within the length of the largest was torn. */
async function cutTornTail(file: FileHandle, at: FeedPosition, copy: string): Promise<void> {
  const { size } = await file.stat();
  if (size === at.offset) return;
  const tail = await readAt(file, at.offset, Math.min(size - at.offset, MAX_FRAME_BYTES));
  for (let found = tail.indexOf(FRAME_MAGIC); found >= 0; found = tail.indexOf(FRAME_MAGIC, found + 1)) {
    if (readFrame(tail, found))
      throw forked(copy, at.segment, `from byte ${at.offset} on it holds records that the log does not`);
  }
  await file.truncate(at.offset);
  await file.datasync();
}

function firstOf(folder: string, segment: number): number | null {
  const reader = new SegmentReader(folder, segment);
  try {
    return reader.header()?.header.first ?? null;
  } finally {
    reader.close();
  }
}

async function sizeOf(folder: string, segment: number): Promise<number | null> {
  const path = join(folder, segmentName(segment));
  return existsSync(path) ? (await stat(path)).size : null;
}

function forked(copy: string, segment: number, how: string): SinkBroken {
  return new SinkBroken(
    `${join(copy, segmentName(segment))} is not a copy of this log: ${how}; compare both with audit verify`,
  );
}
