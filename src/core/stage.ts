import type { Call, CallWith, Now, SlotName, Slots } from './call.ts';
import type { RefusalCode } from './mcp/refusals.ts';
import { Refusal } from './refusal.ts';

export { Refusal };

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
  /** A property, not a method: methods are compared both ways, and a stage that needs more than is there would compile. */
  readonly run: (call: CallWith<Needs>, now: Now) => Outcome<Slots[Leaves]> | Promise<Outcome<Slots[Leaves]>>;
}

/** A stage that always runs at the end, for refusals and answers too. */
export interface FinalStage<Leaves extends SlotName> {
  readonly name: string;
  readonly leaves: Leaves;
  run(call: Call, now: Now): Slots[Leaves] | Refusal | Promise<Slots[Leaves] | Refusal>;
}

/** A judged event or message that is not a call of its own. */
export type Verdict = { readonly pass: Uint8Array } | { readonly drop: RefusalCode };
