import type { Approval, CallWith, Consumed, Now, Reply } from '../../core/call.ts';
import { InternalError } from '../../core/internal-error.ts';
import { isTaskMethod } from '../../core/mcp/tasks.ts';
import { Answer, type Outcome, Refusal, type Stage } from '../../core/stage.ts';
import { ask, askerOf, type NamedRule, required, termsOf } from './asking.ts';
import { type AskedCall, placeOf, subjectDigest } from './binding.ts';
import { carried, type Vote } from './entitled.ts';
import type { Header } from './header.ts';
import { unavailable } from './refusals.ts';
import { outcomeOf } from './replayed.ts';
import type { ApprovalRows, Held } from './rows.ts';
import { type ApprovalSettings, EXECUTION_WINDOW_MS, ruleOf, UNKNOWN_HOLD_MS } from './settings.ts';
import { standing } from './states.ts';
import type { Turns } from './turns.ts';

const NOT_NEEDED: Approval = Object.freeze({ use: 'none', id: null, approvers: [], stored: null, approved: null });
const NOTHING_USED: Consumed = Object.freeze({ id: null, settle: () => undefined });
/** A change over which two processes meet is tried again this often; then the caller is told to come back. */
const TRIES = 4;

type ConsumingCall = CallWith<'principal' | 'target' | 'arguments' | 'approval' | 'intent'>;

export interface ApprovalStages {
  readonly check: Stage<'principal' | 'message' | 'target' | 'arguments' | 'round' | 'decision', 'approval'>;
  readonly consume: Stage<'principal' | 'target' | 'arguments' | 'approval' | 'intent', 'consumed'>;
}

export function approvalStages(rows: ApprovalRows, settings: ApprovalSettings, turns: Turns): ApprovalStages {
  const checker = new Checker(rows, settings, turns);
  return {
    check: {
      name: 'approval.check',
      leaves: 'approval',
      run(call, now) {
        const name = call.decision.obligations.approval;
        // A task was approved when it was made, and is only asked after, answered and cancelled here.
        if (name === null || isTaskMethod(call.message.method)) return NOT_NEEDED;
        const { grant } = call.round;
        return shut(() =>
          grant === null ? checker.check(call, name, now) : checker.continued(call, name, grant, now),
        );
      },
    },
    consume: {
      name: 'approval.consume',
      leaves: 'consumed',
      run(call, now) {
        const { use, stored } = call.approval;
        if (use === 'none') return NOTHING_USED;
        // The stored outcome goes out as it is: nothing may run again.
        if (use === 'replay') return stored ? new Answer(stored) : unavailable('a replay without an outcome');
        return shut(() => checker.consume(call, now));
      },
    },
  };
}

/** Whatever is thrown in here ends as a no. */
async function shut<T>(act: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
  try {
    return await act();
  } catch (cause) {
    return unavailable(cause instanceof InternalError ? cause.code : 'approvals threw', cause);
  }
}

class Checker {
  readonly #rows: ApprovalRows;
  readonly #settings: ApprovalSettings;
  readonly #turns: Turns;
  /** What check found for an approval it left: consume takes no other, and over no other version. */
  readonly #found = new WeakMap<Approval, Held>();

  constructor(rows: ApprovalRows, settings: ApprovalSettings, turns: Turns) {
    this.#rows = rows;
    this.#settings = settings;
    this.#turns = turns;
  }

  async check(call: AskedCall, ruleName: string, now: Now): Promise<Outcome<Approval>> {
    const settings = ruleOf(this.#settings, ruleName);
    if (!settings) return unavailable(`policy names approval rule "${ruleName}", which settings do not have`);
    const rule = { name: ruleName, ...settings };
    const held = await this.#find(call, now);
    return (await this.#answer(call, rule, held, now)) ?? this.#change(call, rule, now);
  }

  /**
   * A later round of a call whose approval was used up in an earlier one: the grant came back in a state that was sealed
   * for this principal, target and arguments, once (validation.round). It still has to be the approval that stands here,
   * under the same policy and rule, its call not yet over; anything else would be a second use.
   */
  async continued(call: AskedCall, ruleName: string, grant: string, now: Now): Promise<Outcome<Approval>> {
    const settings = ruleOf(this.#settings, ruleName);
    if (!settings) return unavailable(`policy names approval rule "${ruleName}", which settings do not have`);
    const held = await this.#find(call, now);
    const begun =
      held !== null &&
      held.header.id === grant &&
      held.header.state === 'consumed' &&
      standing(held.header, now.utc, holdOf(call)) === 'used' &&
      this.#binds(call, { name: ruleName, ...settings }, held);
    if (!begun)
      return new Refusal('approval.consumed', { evidence: 'the approval of an earlier round stands no more' });
    const votes = await this.#rows.votes(held.header);
    return { use: 'none', id: grant, approvers: votes.map(nameOf), stored: null, approved: null };
  }

  /** The approval or refusal a repeat gets from a row as it stands; null where the row has to change first. */
  async #answer(call: AskedCall, rule: NamedRule, held: Held | null, now: Now): Promise<Outcome<Approval> | null> {
    if (!held) return null;
    const header = held.header;
    switch (standing(header, now.utc, holdOf(call))) {
      case 'waiting':
        return this.#binds(call, rule, held) ? required(header) : null;
      case 'changing':
        return new Refusal('approval.unavailable', { retryAfterMs: 1_000, evidence: 'an edge is being recorded' });
      case 'usable':
        return this.#binds(call, rule, held) ? this.#usable(call, rule, held, now) : null;
      case 'denied':
        return header.told ? new Refusal('approval.denied') : null;
      case 'used':
        return new Refusal('approval.consumed');
      case 'replay':
        return this.#replay(held, now);
      case 'lapsing':
      case 'lapsed':
      case 'over':
        return null;
    }
  }

  /** Is it this very call, under the same policy and the same rule, that was asked for? */
  #binds(call: AskedCall, rule: NamedRule, { header }: Held): boolean {
    return subjectDigest(call, termsOf(header, rule), this.#settings.volatileMeta) === header.digest;
  }

  async #usable(call: AskedCall, rule: NamedRule, held: Held, now: Now): Promise<Outcome<Approval> | null> {
    const votes = await this.#rows.votes(held.header);
    // The people who said yes must be people who may say yes by the rules of this moment.
    if (!carried(votes, { asker: askerOf(call), rule, owners: this.#settings.owners })) return null;
    const request = await this.#rows.request(held, now.utc);
    if (!request) return unavailable('the approved arguments cannot be opened');
    const approval: Approval = {
      use: 'consume',
      id: held.header.id,
      approvers: votes.map(nameOf),
      stored: null,
      approved: request.arguments,
    };
    this.#found.set(approval, held);
    return approval;
  }

  async #replay(held: Held, now: Now): Promise<Outcome<Approval>> {
    const stored = await this.#rows.outcome(held, now.utc);
    if (!stored) return new Refusal('approval.consumed', { evidence: 'the stored outcome cannot be opened' });
    const votes = await this.#rows.votes(held.header);
    return { use: 'replay', id: held.header.id, approvers: votes.map(nameOf), stored, approved: null };
  }

  /** Takes the edge a repeat brings about: expiry noticed, denial told, a new request. One at a time for one place. */
  async #change(call: AskedCall, rule: NamedRule, now: Now): Promise<Outcome<Approval>> {
    const place = placeOf(this.#rows.currentKey, call, this.#settings.volatileMeta);
    return this.#turns.run(place, async () => {
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const held = await this.#find(call, now);
        const done = (await this.#answer(call, rule, held, now)) ?? (await this.#move(call, rule, held, now));
        if (done) return done;
      }
      return new Refusal('approval.unavailable', {
        retryAfterMs: 1_000,
        evidence: 'others kept changing this request',
      });
    });
  }

  /** Null: somebody else changed the row first. */
  async #move(call: AskedCall, rule: NamedRule, held: Held | null, now: Now): Promise<Refusal | null> {
    const stands = held && standing(held.header, now.utc, holdOf(call));
    if (held && stands === 'denied') {
      return (await this.#rows.amend(held, { told: true }, now.utc)) && new Refusal('approval.denied');
    }
    if (held && stands === 'lapsed') {
      return (await this.#rows.amend(held, { told: true }, now.utc)) && new Refusal('approval.expired');
    }
    if (held && stands === 'lapsing') {
      const edge = await this.#rows.advance(held, { state: 'expired', told: true }, now.utc);
      return edge && new Refusal('approval.expired');
    }
    // Counted and created in one turn of the asker: else many at once would all find room. Its turn waits for no other.
    const { tenant, key } = call.principal;
    return this.#turns.run(JSON.stringify([tenant, key]), () =>
      ask(this.#rows, this.#settings, { call, rule, over: held, now }),
    );
  }

  async consume(call: ConsumingCall, now: Now): Promise<Outcome<Consumed>> {
    const held = this.#found.get(call.approval);
    if (!held || held.place !== placeOf(held.key, call, this.#settings.volatileMeta)) {
      return unavailable('this approval was not left by check for this call');
    }
    this.#found.delete(call.approval);
    const utc = now.utc;
    if (held.header.runBy === null || utc >= held.header.runBy) return new Refusal('approval.expired');
    // The one compare-and-set: of any number of repeats, in any number of processes, one gets past this line.
    const used = await this.#rows.amend(held, { state: 'consumed', since: utc, consumedAt: utc }, utc);
    if (!used) return new Refusal('approval.consumed');
    // From here on the approval is gone, whatever happens: a failure leaves the outcome unknown, never open.
    await this.#rows.record(used.header, { call: call.id, intent: call.intent.id, approvers: call.approval.approvers });
    return { id: used.header.id, settle: (reply, at) => this.#settle(used, reply, at.utc) };
  }

  async #settle(used: Held, reply: Reply | null, now: number): Promise<void> {
    const outcome = reply ? outcomeOf(reply) : null;
    // The call asks a question and is not over: the approval stays used up, and only the next round of this very call
    // may go on with it.
    if (outcome?.state === 'asking') return;
    const header: Header = {
      ...used.header,
      state: outcome?.state ?? 'unknown',
      since: now,
      settledAt: now,
      outcome: (outcome?.bytes ?? null) !== null,
    };
    await this.#rows.record(header);
    if (outcome?.bytes) await this.#rows.keepOutcome(used, outcome.bytes, now);
    await this.#rows.amend(used, header, now);
  }

  #find(call: AskedCall, now: Now): Promise<Held | null> {
    return this.#rows.find((key) => placeOf(key, call, this.#settings.volatileMeta), now.utc);
  }
}

/** How long an unknown outcome blocks the same call: never shorter than the call may still be running. */
function holdOf(call: AskedCall): number {
  return Math.max(UNKNOWN_HOLD_MS, call.target.limits.timeoutMs + EXECUTION_WINDOW_MS);
}

function nameOf(vote: Vote): string {
  return `${vote.issuer}#${vote.subject}`;
}
