import type { Call, CallWith, Now, Reply, SlotName, Slots } from './call.ts';
import type { RefusalCode } from './mcp/refusals.ts';

/** Facts that go with a refusal. Only `text`, `path`, `scopes`, `retryAfterMs`, `approval` and `data` may reach the caller. */
export interface RefusalFacts {
  /** Public sentence for the caller, when the table's default says too little. Never a value of the call. */
  readonly text?: string;
  /** JSON path of the offending argument, e.g. `/sql`. Never a value. */
  readonly path?: string;
  /** All scopes this operation needs, for the challenge. */
  readonly scopes?: readonly string[];
  readonly retryAfterMs?: number;
  readonly approval?: { readonly id: string; readonly expiresAt: number };
  /** Member `data` of a JSON-RPC error where the specification defines one. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** For the record and the operator's log only: the reason in full. Must hold no value of the call in clear. */
  readonly evidence?: string;
  /** The thrown thing behind it, for the operator's log only. */
  readonly cause?: unknown;
}

/** An expected "no", returned, never thrown. `code` is `control.reason` from the closed table in core/mcp/refusals.ts. */
export class Refusal {
  readonly code: RefusalCode;
  readonly facts: RefusalFacts;
  constructor(code: RefusalCode, facts: RefusalFacts = {}) {
    this.code = code;
    this.facts = facts;
  }
}

/** An answer made by a stage itself (a list from pins, a stored outcome): goes straight to redaction and outcome. */
export class Answer {
  readonly result: Uint8Array;
  constructor(result: Uint8Array) {
    this.result = result;
  }
}

export type Outcome<Left> = Left | Refusal | Answer;

/**
 * One judgement on the way of a call. `needs` and `leaves` are in the type: `pipeline.ts` does not compile when a
 * stage stands before the one that leaves what it needs. MUST return a value where no promise is needed (hot path).
 */
export interface Stage<Needs extends SlotName, Leaves extends SlotName> {
  readonly name: string;
  readonly leaves: Leaves;
  run(call: CallWith<Needs>, now: Now): Outcome<Slots[Leaves]> | Promise<Outcome<Slots[Leaves]>>;
}

/** A stage that always runs at the end, for refusals and answers too. */
export interface FinalStage<Leaves extends SlotName> {
  readonly name: string;
  readonly leaves: Leaves;
  run(call: Call, now: Now): Slots[Leaves] | Refusal | Promise<Slots[Leaves] | Refusal>;
}

/** A judged event or message that is not a call of its own. */
export type Verdict = { readonly pass: Uint8Array } | { readonly drop: RefusalCode };

export type { Reply };
