import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Into } from '../../../core/crypto/digest.ts';
import type { NodeAt } from '../../../core/crypto/merkle.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Frame } from '../format/frame.ts';
import { listSegments, SegmentReader, segmentName } from '../format/segments.ts';
import { type Files, makeFolder, syncFolder, writeWhole } from './files.ts';

const COPY_BYTES = 1024 * 1024;

/** Bytes after the last whole record that nobody was ever told are durable; copied away before they are cut off. */
export interface TornTail {
  readonly segment: number;
  readonly offset: number;
  /** base64url */
  readonly sha256: string;
  /** Name of the copy; `.torn` until a `recovery` record about it is durable. */
  readonly copy: string;
}

export interface Replayed {
  /** Number for the next segment, index for the next record, bytes on disk. */
  readonly segment: number;
  readonly next: number;
  readonly bytes: number;
  /** Records of each tree, by tag. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Hears every record that stands at or after the start of the segment that holds record `size`. What it hears is good until it returns. */
export type Visitor = (frame: Frame, tag: string, leaf: Buffer, position: number) => void;

/**
 * Reads the journal from the segment that holds record `size` (the last signed one) to its end, by the rule of audit.md
 * 3.4: what is bad with nothing whole after it, and was never signed, is a torn tail and gives way; anything else is
 * corruption or tampering, and the start is refused.
 * @throws InternalError `audit.corrupt`
 */
export function replay(options: {
  readonly files: Files;
  readonly folder: string;
  readonly quarantine: string;
  readonly size: number;
  readonly utc: number;
  /** Leaf hashes of the signed journal tree. */
  readonly signed: NodeAt | null;
  readonly leafOf: (index: number, tag: Buffer, leaf: Uint8Array) => Uint8Array;
  readonly visit: Visitor;
}): Replayed {
  const { folder, size, signed } = options;
  const { numbers } = listSegments(folder);
  numbers.forEach((number, i) => {
    if (number !== i + 1) throw corrupt(`${segmentName(i + 1)} is missing`);
  });
  let bytes = numbers.reduce((sum, number) => sum + statSync(join(folder, segmentName(number))).size, 0);
  let next = 0;
  let counts = new Map<string, number>();
  const leaf = Buffer.alloc(32);
  let last = numbers.length;
  for (let number = firstToRead(folder, numbers, size); number <= last; number++) {
    const reader = new SegmentReader(folder, number);
    try {
      const head = reader.header();
      const isLast = number === last;
      if (!head) {
        // A file whose header never became whole holds nothing that was acknowledged.
        if (!isLast || next < size || reader.findLater())
          throw corrupt(`the header of ${segmentName(number)} is damaged`);
        bytes -= tearOff(options, number, 0);
        last--;
        break;
      }
      if (head.header.segment !== number || (counts.size > 0 && head.header.first !== next))
        throw corrupt(`${segmentName(number)} does not follow the segment before it`);
      next = head.header.first;
      counts = new Map(Object.entries(head.header.trees));
      for (let frame = reader.next(); frame; frame = reader.next()) {
        if (frame.index !== next) throw corrupt(`record ${next} of ${segmentName(number)} is out of order`);
        sha256Into(frame.leaf, leaf, 0);
        if (next < size && signed && Buffer.compare(options.leafOf(next, frame.tag, leaf), signed(0, next)) !== 0)
          throw corrupt(`record ${next} of ${segmentName(number)} is not the one that was signed`);
        const tag = frame.tag.toString('hex');
        const position = counts.get(tag) ?? 0;
        options.visit(frame, tag, leaf, position);
        counts.set(tag, position + 1);
        next++;
      }
      const { offset } = reader;
      if (offset === reader.size) continue;
      if (!isLast || next < size || reader.findLater())
        throw corrupt(`record ${next} of ${segmentName(number)} (byte ${offset}) is damaged`);
      bytes -= tearOff(options, number, offset);
    } finally {
      reader.close();
    }
  }
  if (next < size) throw corrupt(`it ends at record ${next}, but ${size} were signed`);
  return { segment: last + 1, next, bytes, counts };
}

/** The last segment that begins at or before record `size`. */
function firstToRead(folder: string, numbers: readonly number[], size: number): number {
  for (let number = numbers.length; number > 1; number--) {
    const reader = new SegmentReader(folder, number);
    try {
      const head = reader.header();
      if (head && head.header.first <= size) return number;
    } finally {
      reader.close();
    }
  }
  return 1;
}

/** Copies what is behind `offset` away, durably, then cuts it off. Returns how many bytes that were. */
function tearOff(
  { files, folder, quarantine, utc }: { files: Files; folder: string; quarantine: string; utc: number },
  segment: number,
  offset: number,
): number {
  const path = join(folder, segmentName(segment));
  makeFolder(files, quarantine);
  // Another name until it is whole: a start that was interrupted must not take half a copy for the copy.
  const begun = join(quarantine, 'begun');
  const { length, sha256 } = copyTail(files, path, offset, begun);
  files.renameSync(begun, join(quarantine, `${utc}-${segment}-${offset}-${sha256}.torn`));
  syncFolder(files, quarantine);
  if (offset === 0) {
    files.unlinkSync(path);
    syncFolder(files, folder);
  } else {
    const fd = files.openSync(path, 'r+');
    try {
      files.ftruncateSync(fd, offset);
      files.fsyncSync(fd);
    } finally {
      files.closeSync(fd);
    }
  }
  return length;
}

/** A tail may be a whole segment of garbage: one window of memory. */
function copyTail(files: Files, path: string, offset: number, into: string): { length: number; sha256: string } {
  const digest = createHash('sha256');
  const window = Buffer.allocUnsafe(COPY_BYTES);
  const from = openSync(path, 'r');
  const to = files.openSync(into, 'w', 0o600);
  try {
    let length = 0;
    for (;;) {
      const read = readSync(from, window, 0, window.length, offset + length);
      if (read === 0) break;
      const bytes = window.subarray(0, read);
      digest.update(bytes);
      writeWhole(files, to, bytes, length);
      length += read;
    }
    files.fsyncSync(to);
    return { length, sha256: digest.digest('base64url') };
  } finally {
    closeSync(from);
    files.closeSync(to);
  }
}

/** Copies in quarantine that no `recovery` record speaks of yet, an interrupted start's included. */
export function unreported(names: readonly string[]): TornTail[] {
  const list: TornTail[] = [];
  for (const name of names) {
    const match = /^[0-9]+-([0-9]+)-([0-9]+)-([A-Za-z0-9_-]{43})\.torn$/.exec(name);
    if (match) list.push({ segment: Number(match[1]), offset: Number(match[2]), sha256: match[3]!, copy: name });
  }
  return list;
}

function corrupt(what: string): InternalError {
  return new InternalError(
    'audit.corrupt',
    `the audit log was damaged or tampered with: ${what}; keep the folder, run audit verify, and restore it`,
    { kind: 'outage' },
  );
}
