import { writeSync } from 'node:fs';

/**
 * Poisson arrivals, from a process of their own, so that a busy log cannot hold them up: writes the moment at which each
 * was due (ms of the machine's monotonic clock, 8 bytes) to stdout when it is due.
 *   node arrivals.ts PER_SECOND SECONDS
 */
const [perSecond = 1, seconds = 1] = process.argv.slice(2).map(Number);
const nothing = new Int32Array(new SharedArrayBuffer(4));
const now = () => Number(process.hrtime.bigint()) / 1e6;
const end = now() + seconds * 1_000;
let due = now();
const batch = Buffer.alloc(8 * 4_096);

for (;;) {
  // Timers of the event loop know whole milliseconds only; this wait knows microseconds.
  const early = due - now();
  if (early > 0) Atomics.wait(nothing, 0, 0, early);
  let count = 0;
  for (const moment = now(); due <= moment && due < end && count < 4_096; count++) {
    batch.writeDoubleLE(due, 8 * count);
    due += (-Math.log(1 - Math.random()) * 1_000) / perSecond;
  }
  for (let at = 0; at < 8 * count; ) at += write(batch.subarray(at, 8 * count));
  if (due >= end) break;
}

function write(bytes: Buffer): number {
  try {
    return writeSync(1, bytes);
  } catch (error) {
    // The pipe is full: the log reads nothing at all. What is late counts as late, it is not left out.
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    Atomics.wait(nothing, 0, 0, 1);
    return 0;
  }
}
