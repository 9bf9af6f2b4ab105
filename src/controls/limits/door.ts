import type { Call, Now } from '../../core/call.ts';
import { Refusal } from '../../core/stage.ts';
import type { Backoff, BackoffRule, Ephemeral, WindowRule } from '../../core/store/ephemeral.ts';
import { sourceOf } from './address.ts';
import type { LimitsSettings } from './settings.ts';

/** Facts the door asks for; the composition root knows who can answer. */
export interface DoorFacts {
  /** Whether exactly this credential has been verified before and still stands (authentication's cache of verified tokens). */
  verified(call: Call): boolean;
  /** Calls this process works on now, this one included. */
  inFlight(): number;
}

/**
 * Back-off on failed authentication. The rule in one sentence: while a source waits, credentials verified before pass,
 * at most `trialsPerSecond` others are still looked at, and every failure is answered with the growing wait.
 *
 * Many good clients may stand behind one address (a proxy, an office, loopback). Turning everybody away there would
 * hand strangers a switch that locks those clients out; so a wait costs guessers their answer and their rate, never a
 * good credential its service. A request without any credential costs nothing to refuse and is left to authentication.
 */
export class Door {
  readonly #ephemeral: Ephemeral;
  readonly #facts: DoorFacts;
  readonly #backoff: BackoffRule;
  readonly #trials: WindowRule;
  readonly #maxInFlight: number;

  constructor(settings: LimitsSettings, ephemeral: Ephemeral, facts: DoorFacts) {
    this.#ephemeral = ephemeral;
    this.#facts = facts;
    this.#backoff = settings.backoff;
    this.#trials = { limit: settings.backoff.trialsPerSecond, windowMs: 1_000, cost: 1 };
    this.#maxInFlight = settings.maxInFlight;
  }

  enter(call: Call, now: Now): { address: string } | Refusal | Promise<{ address: string } | Refusal> {
    if (this.#facts.inFlight() > this.#maxInFlight) return new Refusal('limits.overloaded', { retryAfterMs: 1_000 });
    const source = sourceOf(call.head.address);
    const state = this.#ephemeral.backoff(TABLE, source, this.#backoff, now.mono);
    if (state instanceof Promise) return this.#later(state, call, source, now);
    return state.waitMs === 0 ? { address: source } : this.#inBackoff(state, call, source, now);
  }

  /**
   * Counts a credential that was presented and refused (not a missing one).
   * @returns the refusal to answer with instead, when the source has to wait now
   */
  failed(address: string, now: Now): Refusal | null | Promise<Refusal | null> {
    const state = this.#ephemeral.failed(TABLE, sourceOf(address), this.#backoff, now.mono);
    return state instanceof Promise
      ? state.then(waitOrNull, (cause) => new Refusal('limits.unavailable', { cause }))
      : waitOrNull(state);
  }

  #inBackoff(state: Backoff, call: Call, source: string, now: Now) {
    if (call.head.headers['authorization'] === undefined && call.head.certificate === null) return { address: source };
    if (this.#facts.verified(call)) return { address: source };
    const trial = this.#ephemeral.take('limits.trials', source, this.#trials, now.mono);
    const judge = (accepted: boolean) => (accepted ? { address: source } : wait(state));
    return trial instanceof Promise ? trial.then((taken) => judge(taken.accepted)) : judge(trial.accepted);
  }

  async #later(pending: Promise<Backoff>, call: Call, source: string, now: Now) {
    try {
      const state = await pending;
      return state.waitMs === 0 ? { address: source } : await this.#inBackoff(state, call, source, now);
    } catch (cause) {
      return new Refusal('limits.unavailable', { cause });
    }
  }
}

const TABLE = 'limits.backoff';

function waitOrNull(state: Backoff): Refusal | null {
  return state.waitMs > 0 ? wait(state) : null;
}

function wait(state: Backoff): Refusal {
  return new Refusal('limits.backoff', { retryAfterMs: state.waitMs, evidence: `${state.failures} failures in a row` });
}
