/**
 * Keeps a dead upstream from holding callers: after `failures` exchanges in a row that never reached it, calls are
 * refused at once for `pauseMs`, then one is let through to try. Time is the monotonic clock, passed in.
 */
export class Breaker {
  readonly #failures: number;
  readonly #pauseMs: number;
  #row = 0;
  #openUntil = 0;

  constructor(options: { failures: number; pauseMs: number }) {
    this.#failures = options.failures;
    this.#pauseMs = options.pauseMs;
  }

  /** Milliseconds until the next try, or 0 when a call may go. A trial call closes the door behind it. */
  waitMs(mono: number): number {
    if (this.#row < this.#failures) return 0;
    if (mono < this.#openUntil) return this.#openUntil - mono;
    this.#openUntil = mono + this.#pauseMs;
    return 0;
  }

  reached(): void {
    this.#row = 0;
  }

  unreached(mono: number): void {
    this.#row += 1;
    if (this.#row >= this.#failures) this.#openUntil = mono + this.#pauseMs;
  }
}
