import { openSync, readSync, statSync } from 'node:fs';

const CHUNK_BYTES = 1024 * 1024;

/**
 * Descriptors by device and inode, open for good: when a process closes one, all its POSIX locks on that file go, those
 * that SQLite holds through another one too (fcntl(2), sqlite.org/howtocorrupt.html 2.2).
 */
const opened = new Map<string, number>();

/**
 * How often each needle stands in a file that SQLite may have open, counted up to `most`. Blocks the loop: about half a
 * second for a gigabyte.
 */
export function copiesIn(path: string, needles: readonly Buffer[], most: number): number[] {
  const counts = needles.map(() => 0);
  const overlap = Math.max(...needles.map((needle) => needle.length)) - 1;
  const chunk = Buffer.allocUnsafe(overlap + CHUNK_BYTES);
  const file = descriptorOf(path);
  // What was read before goes along as far as a needle may reach back into it.
  for (let kept = 0, place = 0; ; ) {
    const read = readSync(file, chunk, kept, CHUNK_BYTES, place);
    if (read === 0) return counts;
    const filled = kept + read;
    place += read;
    for (const [i, needle] of needles.entries()) {
      const begun = Math.max(0, kept - needle.length + 1);
      for (let at = chunk.indexOf(needle, begun); at >= 0 && at + needle.length <= filled; ) {
        counts[i]!++;
        if (counts[i]! >= most) return counts;
        at = chunk.indexOf(needle, at + 1);
      }
    }
    kept = Math.min(overlap, filled);
    chunk.copy(chunk, 0, filled - kept, filled);
  }
}

function descriptorOf(path: string): number {
  const { dev, ino } = statSync(path);
  const id = `${dev}:${ino}`;
  const file = opened.get(id) ?? openSync(path, 'r');
  opened.set(id, file);
  return file;
}
