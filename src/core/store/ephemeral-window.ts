import type { Taken, WindowRule } from './ephemeral.ts';

/**
 * A sliding window that never accepts more than its limit in any interval of one window, so there is no edge to wait
 * for. Time is cut into slots of a sixteenth of the window, and the sum is taken over the current slot and the sixteen
 * before it: every interval of one window lies within such seventeen slots. The price is known and on the safe side:
 * what was taken counts for up to 17/16 of the window (a steady caller gets at least 94 % of the limit).
 * Two weighted buckets, the usual way, accept up to one and a half times the limit around an edge.
 */
export interface SlidingWindow {
  /** Slot width in ms. */
  width: number;
  /** Number of the newest slot, counted from the zero of the clock. */
  slot: number;
  sum: number;
  /** Ring: slot number modulo its length. */
  readonly counts: number[];
}

const SLOTS = 16;
const RING = SLOTS + 1;

export function slidingWindow(rule: WindowRule, now: number): SlidingWindow {
  const width = Math.max(1, Math.ceil(rule.windowMs / SLOTS));
  return { width, slot: Math.floor(now / width), sum: 0, counts: new Array<number>(RING).fill(0) };
}

/** True when nothing in it counts any more: forgetting it changes no answer. */
export function windowIsOver(window: SlidingWindow, now: number): boolean {
  return Math.floor(now / window.width) - window.slot >= RING || window.sum === 0;
}

export function takeFromWindow(window: SlidingWindow, rule: WindowRule, now: number): Taken {
  const width = Math.max(1, Math.ceil(rule.windowMs / SLOTS));
  if (width !== window.width) changeWidth(window, width, now);
  advance(window, now);
  const { limit, cost } = rule;
  // Written so that NaN, a negative cost or an infinite one is refused.
  if (cost >= 0 && window.sum + cost <= limit) {
    window.sum += cost;
    window.counts[window.slot % RING]! += cost;
    return { accepted: true, remaining: limit - window.sum, retryAfterMs: 0 };
  }
  return { accepted: false, remaining: Math.max(0, limit - window.sum), retryAfterMs: fitsIn(window, rule, now) };
}

function advance(window: SlidingWindow, now: number): void {
  const slot = Math.floor(now / window.width);
  // A monotonic clock does not go back; should it, what was taken stays taken.
  if (slot <= window.slot) return;
  if (slot - window.slot >= RING) {
    window.counts.fill(0);
    window.sum = 0;
  } else {
    for (let passed = window.slot + 1; passed <= slot; passed++) {
      const index = passed % RING;
      window.sum -= window.counts[index]!;
      window.counts[index] = 0;
    }
  }
  window.slot = slot;
}

/** The rule was changed by a reload: everything counted so far is kept as if it had been taken now. */
function changeWidth(window: SlidingWindow, width: number, now: number): void {
  advance(window, now);
  window.width = width;
  window.slot = Math.floor(now / width);
  window.counts.fill(0);
  window.counts[window.slot % RING] = window.sum;
}

function fitsIn(window: SlidingWindow, { limit, cost, windowMs }: WindowRule, now: number): number {
  let excess = window.sum + cost - limit;
  for (let slot = window.slot - SLOTS; slot <= window.slot; slot++) {
    if (slot < 0) continue;
    excess -= window.counts[slot % RING]!;
    if (excess <= 0) return Math.max(1, Math.ceil((slot + RING) * window.width - now));
  }
  // The cost alone is above the limit: no waiting helps, but an honest number is better than none.
  return windowMs;
}
