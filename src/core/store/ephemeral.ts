/** How much a window holds, and what one taking weighs. Rules are fixed objects: make them once, not per call. */
export interface WindowRule {
  /** Sum of costs accepted in any interval of `windowMs`. */
  readonly limit: number;
  readonly windowMs: number;
  readonly cost: number;
}

export interface Taken {
  readonly accepted: boolean;
  /** What is left of the limit after this taking. */
  readonly remaining: number;
  /** 0 when accepted; else milliseconds after which the same taking fits, if nobody else takes. */
  readonly retryAfterMs: number;
}

export interface BackoffRule {
  /** Failures that cost nothing but being counted. */
  readonly freeFailures: number;
  /** Wait after the first failure that is not free, ms; doubles with each further one. */
  readonly baseMs: number;
  readonly capMs: number;
  /** A streak is forgotten when this long has passed since its last failure; at least `capMs`. */
  readonly forgetMs: number;
}

export interface Backoff {
  /** Length of the streak. */
  readonly failures: number;
  /** Milliseconds still to wait; 0 when none. */
  readonly waitMs: number;
}

/** `full`: the driver cannot remember more. The caller MUST refuse: what was not remembered could come twice. */
export type OnceAnswer = 'stored' | 'exists' | 'full';

/**
 * The ephemeral port (architecture.md section 5): windows, back-off, replay memory. Tables are fixed words of the
 * code; keys bear the tenant where there is one. `now` is monotonic ms (`Now.mono`): wall-clock jumps open no window.
 * A driver shared by several processes uses its own clock instead and says so.
 *
 * A driver MUST bound its memory, MUST NOT make room by forgetting what still refuses somebody (a stranger would
 * reset his own state by flooding), and MUST reject rather than guess when it cannot be reached. Drivers in memory
 * answer with a plain value; callers MUST NOT await what is not a promise (hot path). One contract suite runs on all.
 */
export interface Ephemeral {
  /** Takes from the window of `key`. Never accepts more than `limit` in ANY interval of `windowMs`; a refusal takes nothing. */
  take(table: string, key: string, rule: WindowRule, now: number): Taken | Promise<Taken>;
  /** Remembers `key` for `ttlMs`: `stored` for the first caller, `exists` for everybody else until then. */
  once(table: string, key: string, ttlMs: number, now: number): OnceAnswer | Promise<OnceAnswer>;
  /** Counts one failure and answers with the wait it leads to. */
  failed(table: string, key: string, rule: BackoffRule, now: number): Backoff | Promise<Backoff>;
  /** What `key` has to wait now; changes nothing. */
  backoff(table: string, key: string, rule: BackoffRule, now: number): Backoff | Promise<Backoff>;
  close(): void | Promise<void>;
}
