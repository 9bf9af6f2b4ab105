import type { Backoff, BackoffRule } from './ephemeral.ts';

interface Streak {
  failures: number;
  /** Monotonic ms of the last failure. */
  last: number;
}

const NONE: Backoff = Object.freeze({ failures: 0, waitMs: 0 });

/** Wait that follows the n-th failure of a streak, ms: 0 for the free ones, then base, 2 base, 4 base … cap. */
function delayAfter(failures: number, rule: BackoffRule): number {
  const doublings = failures - rule.freeFailures - 1;
  if (doublings < 0) return 0;
  return Math.min(rule.capMs, rule.baseMs * 2 ** Math.min(doublings, 50));
}

/**
 * Streaks of failures, bounded. Who floods the table to be forgotten gains nothing: a streak that makes somebody wait
 * is never dropped before its time. Room is made from streaks that are over, then from those that are still free,
 * oldest first; when everything left makes somebody wait, all further strangers share one streak.
 */
export class BackoffTable {
  readonly #maxKeys: number;
  /** Both in the order of the last failure, which is also the order of their ends. */
  readonly #free = new Map<string, Streak>();
  readonly #waiting = new Map<string, Streak>();
  readonly #overflow: Streak = { failures: 0, last: Number.NEGATIVE_INFINITY };

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#free.size + this.#waiting.size;
  }

  failed(key: string, rule: BackoffRule, now: number): Backoff {
    dropOver(this.#waiting, rule, now);
    dropOver(this.#free, rule, now);
    const streak = this.#known(key) ?? this.#begin(key);
    if (isOver(streak, rule, now)) streak.failures = 0;
    streak.failures += 1;
    streak.last = Math.max(streak.last, now);
    if (streak !== this.#overflow) this.#file(key, streak, rule);
    return stateOf(streak, rule, now);
  }

  state(key: string, rule: BackoffRule, now: number): Backoff {
    const streak = this.#known(key) ?? (this.#waiting.size >= this.#maxKeys ? this.#overflow : undefined);
    return streak === undefined ? NONE : stateOf(streak, rule, now);
  }

  #known(key: string): Streak | undefined {
    return this.#waiting.get(key) ?? this.#free.get(key);
  }

  #begin(key: string): Streak {
    if (this.size >= this.#maxKeys) {
      const oldest = this.#free.keys().next();
      if (oldest.done) return this.#overflow;
      this.#free.delete(oldest.value);
    }
    const streak = { failures: 0, last: Number.NEGATIVE_INFINITY };
    this.#free.set(key, streak);
    return streak;
  }

  #file(key: string, streak: Streak, rule: BackoffRule): void {
    this.#free.delete(key);
    this.#waiting.delete(key);
    (delayAfter(streak.failures, rule) > 0 ? this.#waiting : this.#free).set(key, streak);
  }
}

function stateOf(streak: Streak, rule: BackoffRule, now: number): Backoff {
  if (isOver(streak, rule, now)) return NONE;
  const waitMs = streak.last + delayAfter(streak.failures, rule) - now;
  return { failures: streak.failures, waitMs: Math.max(waitMs, 0) };
}

function isOver(streak: Streak, rule: BackoffRule, now: number): boolean {
  return now - streak.last >= Math.max(rule.forgetMs, rule.capMs);
}

/** A few from the old end per failure: more than come in, so ended streaks never pile up. */
function dropOver(streaks: Map<string, Streak>, rule: BackoffRule, now: number): void {
  let looked = 0;
  for (const [key, streak] of streaks) {
    if (looked++ === 4 || !isOver(streak, rule, now)) return;
    streaks.delete(key);
  }
}
