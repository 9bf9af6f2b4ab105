import type { FileHandle } from 'node:fs/promises';

const TAIL_BYTES = 64 * 1024;
const LINE_FEED = 0x0a;

/** A line that a write left half goes: its record comes again, as the cursor never passed it. The file MUST be open to read, too. */
export async function cutTornLine(file: FileHandle): Promise<void> {
  const { size } = await file.stat();
  const tail = Buffer.alloc(TAIL_BYTES);
  for (let end = size; end > 0; end -= TAIL_BYTES) {
    const from = Math.max(0, end - TAIL_BYTES);
    const { bytesRead } = await file.read(tail, 0, end - from, from);
    const at = tail.subarray(0, bytesRead).lastIndexOf(LINE_FEED);
    if (at < 0 && from > 0) continue;
    const whole = at < 0 ? 0 : from + at + 1;
    if (whole < size) await file.truncate(whole);
    return;
  }
}
