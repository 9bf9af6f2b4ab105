import { setTimeout as pause } from 'node:timers/promises';

const WAIT_MS = [1_000, 2_000, 5_000, 15_000, 30_000];
/** A stream that stood this long was a good one: the next break counts as the first. */
const CALM_MS = 30_000;

/**
 * Opens a stream again and again until it is not wanted any more, with growing waits where it keeps breaking.
 * @param once resolves when the stream has ended, with whether it makes sense to try again
 */
export async function keepOpen(once: () => Promise<boolean>, signal: AbortSignal, mono: () => number): Promise<void> {
  for (let breaks = 0; !signal.aborted; breaks++) {
    const since = mono();
    // What is thrown is a break like any other: the next try shows whether it stays.
    const again = await once().catch(() => true);
    if (!again || signal.aborted) return;
    if (mono() - since > CALM_MS) breaks = 0;
    const wait = WAIT_MS[Math.min(breaks, WAIT_MS.length - 1)];
    // Rejects only when it is not wanted any more, which the loop sees by itself.
    await pause(wait, undefined, { signal, ref: false }).catch(() => {});
  }
}
