import { closeSync, openSync, readSync } from 'node:fs';

const CHUNK_BYTES = 1024 * 1024;

/** How often each needle stands in a file, counted up to `most`. Blocks the loop: about half a second for a gigabyte. */
export function copiesIn(path: string, needles: readonly Buffer[], most: number): number[] {
  const counts = needles.map(() => 0);
  const overlap = Math.max(...needles.map((needle) => needle.length)) - 1;
  const chunk = Buffer.allocUnsafe(overlap + CHUNK_BYTES);
  const file = openSync(path, 'r');
  try {
    // What was read before goes along as far as a needle may reach back into it.
    for (let kept = 0; ; ) {
      const read = readSync(file, chunk, kept, CHUNK_BYTES, null);
      if (read === 0) return counts;
      const filled = kept + read;
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
  } finally {
    closeSync(file);
  }
}
