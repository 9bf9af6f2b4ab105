import type { Now } from '../../../core/call.ts';
import type { Log } from '../../../core/log.ts';
import type { Follower } from '../follower.ts';

/** What one kind of follower (a sink, a witness, the roll-up) does; when it is asked to is not its business. */
export interface Carrier {
  /** Brings over what is signed and not there yet; resolves when the other side holds it. Rejects: tried again, unless with SinkBroken. */
  carry(signal: AbortSignal): Promise<void>;
  close?(): Promise<void> | void;
}

/** Trying again would not help: what stands on the other side is not what this log says. For the operator. */
export class SinkBroken extends Error {}

/** The other side has said when to come again. */
export class TryLater extends Error {
  readonly afterMs: number;

  constructor(message: string, afterMs: number) {
    super(message);
    this.afterMs = afterMs;
  }
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 60_000;
const LONGEST_ASKED_MS = 600_000;
const CLOSING_MS = 15_000;

interface FollowingOptions {
  /** With what it is: `sink second-disk`, `witness example.org/w1`. */
  readonly name: string;
  readonly required: boolean;
  readonly deadlineMs: number;
  /** Least time between the beginnings of two runs, ms. */
  readonly everyMs: number;
  readonly clock: () => Now;
  readonly log: Log;
  readonly carrier: Carrier;
}

/** Runs a carrier behind the log: one run at a time, pauses that grow while it fails, and the deadline of a required one. */
export class Following implements Follower {
  readonly name: string;
  readonly #options: FollowingOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #again = false;
  #failures = 0;
  /** Asked for by the other side, ms. */
  #asked = 0;
  #broken: string | null = null;
  #closing = false;
  /** Since when something may be signed that the other side does not hold, monotonic ms; null: it holds everything. */
  #waitingSince: number | null;
  /** The same for what was signed after the running run began. */
  #laterSince: number | null = null;

  constructor(options: FollowingOptions) {
    this.name = options.name;
    this.#options = options;
    // Until it has answered once nothing is known of it.
    this.#waitingSince = options.clock().mono;
  }

  published(): void {
    if (this.#closing || this.#broken !== null) return;
    const { mono } = this.#options.clock();
    this.#waitingSince ??= mono;
    if (this.#running) this.#laterSince ??= mono;
    if (this.#running || this.#timer) this.#again = true;
    else this.#begin();
  }

  behind({ mono }: Now): string | null {
    const { required, deadlineMs } = this.#options;
    if (!required) return null;
    if (this.#broken !== null) return `the required ${this.name}: ${this.#broken}`;
    if (this.#waitingSince === null || mono - this.#waitingSince <= deadlineMs) return null;
    return `the required ${this.name} does not keep up`;
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#timer) clearTimeout(this.#timer);
    const { carrier, deadlineMs } = this.#options;
    const late = setTimeout(() => this.#stop.abort(), Math.min(deadlineMs, CLOSING_MS));
    const stopped = new Promise((resolve) => this.#stop.signal.addEventListener('abort', resolve));
    try {
      // What hangs is left hanging: the carrier gives its connections back.
      await Promise.race([this.#running, stopped]);
      if (this.#broken === null && !this.#stop.signal.aborted) await Promise.race([this.#run(), stopped]);
    } finally {
      clearTimeout(late);
      await carrier.close?.();
    }
  }

  #begin(): void {
    this.#again = false;
    const began = performance.now();
    this.#running = this.#run().then((good) => {
      this.#running = null;
      if (this.#closing || this.#broken !== null) return;
      const pause = good ? this.#options.everyMs - (performance.now() - began) : this.#pause();
      if (good && !this.#again && pause <= 0) return;
      this.#timer = setTimeout(
        () => {
          this.#timer = null;
          if (this.#again || !good) this.#begin();
        },
        Math.max(0, pause),
      );
      this.#timer.unref();
    });
  }

  /** Never rejects. */
  async #run(): Promise<boolean> {
    const { carrier, log } = this.#options;
    this.#laterSince = null;
    try {
      await carrier.carry(this.#stop.signal);
      if (this.#failures > 0) log.info('what the audit log signed is taken again', { evidence: this.name });
      this.#failures = 0;
      this.#asked = 0;
      this.#waitingSince = this.#laterSince;
      return true;
    } catch (cause) {
      this.#asked = cause instanceof TryLater ? Math.min(LONGEST_ASKED_MS, cause.afterMs) : 0;
      if (cause instanceof SinkBroken) {
        this.#broken = cause.message;
        log.error('what the audit log signed is not brought there any more', {
          evidence: this.name,
          reason: cause.message,
        });
      } else if (this.#failures++ === 0 && !this.#stop.signal.aborted) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        log.warn('what the audit log signed is not taken; trying again', { evidence: this.name, reason });
      }
      return false;
    }
  }

  #pause(): number {
    const own = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(10, this.#failures - 1));
    return Math.max(own, this.#asked);
  }
}
