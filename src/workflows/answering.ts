import type { Call } from '../core/call.ts';
import { type AnyStage, type Clock, runStages } from '../core/flow.ts';
import type { InFlight } from '../core/in-flight.ts';
import type { Log } from '../core/log.ts';
import { challengeFor } from '../core/mcp/challenge.ts';
import { encodeRefusal, encodeReply, type WireAnswer } from '../core/mcp/wire.ts';
import { Refusal } from '../core/stage.ts';
import type { flowsOf } from '../pipeline.ts';
import { type BatchPorts, runBatch } from './batch.ts';
import { type EndingStages, endCall } from './ending.ts';

export interface Answered {
  readonly answer: WireAnswer;
  /** Value of `WWW-Authenticate`; empty when there is none. */
  readonly challenge: string;
}

export interface AnsweringParts {
  readonly flows: ReturnType<typeof flowsOf>;
  readonly ending: EndingStages;
  readonly session: BatchPorts['session'];
  /** Those a body is scanned with. */
  readonly limits: BatchPorts['limits'];
  readonly inFlight: InFlight;
  /** The resource a challenge names when the call did not get as far as one. */
  readonly resource: string;
  readonly clock: Clock;
  readonly log: Log;
}

const DRAINING_RETRY_MS = 1000;

/** Takes calls through their flows to their ends, until it is told to take no more. */
export class Answering {
  readonly #parts: AnsweringParts;
  readonly #batches: BatchPorts;
  #draining = false;

  constructor(parts: AnsweringParts) {
    this.#parts = parts;
    const { session, limits, clock, flows } = parts;
    const one: BatchPorts['one'] = async (call) => (await this.#take(call, flows.element, true)).answer;
    this.#batches = { session, limits, clock, one };
  }

  /** Never rejects. */
  handle(call: Call): Promise<Answered> {
    const { flows } = this.#parts;
    const bodiless = flows.bodiless(call);
    return this.#take(call, bodiless ?? flows.entry, bodiless === null);
  }

  /** Every call from now on is refused; those under way go on. */
  drain(): void {
    this.#draining = true;
  }

  /** @param more whether `beginning` ends where it is known what the message is */
  async #take(call: Call, beginning: readonly AnyStage[], more: boolean): Promise<Answered> {
    const { flows, ending, inFlight, clock } = this.#parts;
    inFlight.enter(call);
    try {
      let ended = this.#draining
        ? new Refusal('transport.draining', { retryAfterMs: DRAINING_RETRY_MS })
        : runStages(beginning, call, clock);
      if (ended instanceof Promise) ended = await ended;
      if (more && ended === null) ended = runStages(flows.of(call.message!), call, clock);
      if (ended instanceof Promise) ended = await ended;
      if (ended instanceof Refusal && ended.code === 'validation.batch' && beginning === flows.entry) {
        const batch = runBatch(call, ended, this.#batches);
        // Each of its messages has a record of its own.
        if (!(batch instanceof Refusal)) return { answer: await batch, challenge: '' };
        ended = batch;
      }
      const end = await endCall(call, ended, ending, clock);
      return 'reply' in end
        ? { answer: encodeReply(call, end.reply), challenge: '' }
        : this.#refused(call, end.refusal);
    } finally {
      inFlight.leave(call);
    }
  }

  #refused(call: Call, refusal: Refusal): Answered {
    logRefusal(this.#parts.log, call, refusal);
    return {
      answer: encodeRefusal(call, refusal),
      challenge: challengeFor(refusal, call.endpoint?.resource ?? this.#parts.resource) ?? '',
    };
  }
}

/** Refusals are ordinary; what was thrown inside is for the operator. Neither line holds a value of the call. */
function logRefusal(log: Log, call: Call, refusal: Refusal): void {
  const fields = {
    call: call.id,
    code: refusal.code,
    evidence: refusal.facts.evidence ?? null,
    target: call.target?.key ?? null,
  };
  if (refusal.facts.cause !== undefined) log.error('call failed inside', fields, refusal.facts.cause);
  else log.info('call refused', fields);
}
