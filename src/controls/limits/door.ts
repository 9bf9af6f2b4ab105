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
  readonly #forStrangers: number;

  constructor(settings: LimitsSettings, ephemeral: Ephemeral, facts: DoorFacts) {
    this.#ephemeral = ephemeral;
    this.#facts = facts;
    this.#backoff = settings.backoff;
    this.#trials = { limit: settings.backoff.trialsPerSecond, windowMs: 1_000, cost: 1 };
    this.#maxInFlight = settings.maxInFlight;
    // One at least: everybody is a stranger once.
    this.#forStrangers = Math.max(1, settings.maxInFlight * STRANGERS_SHARE);
  }

  enter(call: Call, now: Now): { address: string } | Refusal | Promise<{ address: string } | Refusal> {
    const inFlight = this.#facts.inFlight();
    if (inFlight > this.#forStrangers) {
      if (inFlight > this.#maxInFlight) return new Refusal('limits.overloaded', { retryAfterMs: 1_000 });
      // The last quarter is for those who are known: strangers must not be what keeps them out.
      if (!this.#facts.verified(call)) return new Refusal('limits.overloaded', STRANGER);
    }
    const source = sourceOf(call.head.address);
    const state = this.#ephemeral.backoff(TABLE, source, this.#backoff, now.mono);
    if (state instanceof Promise) return this.#later(state, call, source, now);
    return state.waitMs === 0 ? { address: source } : this.#inBackoff(state, call, source, now);
  }

  /**
   * Counts a credential that was presented and refused (not a missing one), by address and by the client it claimed to
   * be of: who guesses for one client from many addresses is told to wait like who guesses from one. A claim is worth
   * nothing, so it lengthens this answer alone and keeps nobody out at the door.
   * @param claimed key of that client (claimed.ts), or null
   * @returns the refusal to answer with instead, when the source has to wait now
   */
  failed(address: string, now: Now, claimed: string | null = null): Refusal | null | Promise<Refusal | null> {
    const state = this.#ephemeral.failed(TABLE, sourceOf(address), this.#backoff, now.mono);
    const other = claimed === null ? null : this.#ephemeral.failed(CLIENTS, claimed, this.#backoff, now.mono);
    if (state instanceof Promise || other instanceof Promise)
      return Promise.all([state, other]).then(
        ([one, two]) => waitOrNull(longer(one, two)),
        (cause) => new Refusal('limits.unavailable', { cause }),
      );
    return waitOrNull(longer(state, other));
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
const CLIENTS = 'limits.backoff.client';
/** Of maxInFlight: above it only credentials verified before are taken on. */
const STRANGERS_SHARE = 0.75;
const STRANGER = Object.freeze({ retryAfterMs: 1_000, evidence: 'not verified before, and load is high' });

function longer(one: Backoff, two: Backoff | null): Backoff {
  return two !== null && two.waitMs > one.waitMs ? two : one;
}

function waitOrNull(state: Backoff): Refusal | null {
  return state.waitMs > 0 ? wait(state) : null;
}

function wait(state: Backoff): Refusal {
  return new Refusal('limits.backoff', { retryAfterMs: state.waitMs, evidence: `${state.failures} failures in a row` });
}
