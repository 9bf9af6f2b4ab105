import type { Call, CallWith, Now, SlotName, Slots } from './call.ts';
import { InternalError } from './internal-error.ts';
import { Answer, type Outcome, Refusal, type Stage } from './stage.ts';

export type Clock = () => Now;

export type AnyStage = { readonly name: string; readonly leaves: SlotName; run(call: Call, now: Now): unknown };

/**
 * Stages in an order the compiler checked: `stage()` takes only a stage whose needs have been left by those before
 * it. A flow is immutable; two flows may share a beginning.
 */
export class Flow<Has extends SlotName> {
  readonly stages: readonly AnyStage[];

  private constructor(stages: readonly AnyStage[]) {
    this.stages = stages;
  }

  static begin(): Flow<never> {
    return new Flow<never>([]);
  }

  stage<Needs extends Has, Leaves extends SlotName>(stage: Stage<Needs, Leaves>): Flow<Has | Leaves> {
    return new Flow<Has | Leaves>([...this.stages, stage as unknown as AnyStage]);
  }

  /** Names of the stages in order: what `check` and the docs print. */
  names(): readonly string[] {
    return this.stages.map((stage) => stage.name);
  }

  /** A typed view of a call that has come through this flow. */
  reached(call: Call): CallWith<Has> {
    return call as CallWith<Has>;
  }
}

/**
 * Leaves a slot under its own name. Through a computed name the engine would turn every call into a hash table half way
 * (V8, more than a dozen properties), and whatever reads a call afterwards would pay for it.
 */
const LEAVE: { readonly [K in SlotName]: (call: Call, left: Slots[K]) => void } = {
  endpoint: (call, left) => {
    call.endpoint = left;
  },
  door: (call, left) => {
    call.door = left;
  },
  principal: (call, left) => {
    call.principal = left;
  },
  budget: (call, left) => {
    call.budget = left;
  },
  body: (call, left) => {
    call.body = left;
  },
  message: (call, left) => {
    call.message = left;
  },
  client: (call, left) => {
    call.client = left;
  },
  candidate: (call, left) => {
    call.candidate = left;
  },
  target: (call, left) => {
    call.target = left;
  },
  lease: (call, left) => {
    call.lease = left;
  },
  arguments: (call, left) => {
    call.arguments = left;
  },
  round: (call, left) => {
    call.round = left;
  },
  decision: (call, left) => {
    call.decision = left;
  },
  findings: (call, left) => {
    call.findings = left;
  },
  approval: (call, left) => {
    call.approval = left;
  },
  intent: (call, left) => {
    call.intent = left;
  },
  consumed: (call, left) => {
    call.consumed = left;
  },
  result: (call, left) => {
    call.result = left;
  },
  scrubbed: (call, left) => {
    call.scrubbed = left;
  },
  reply: (call, left) => {
    call.reply = left;
  },
  receipt: (call, left) => {
    call.receipt = left;
  },
};

/**
 * Runs stages in order. Resolves with null when every stage has left its slot, or with the refusal or answer that ended it.
 * Whatever is thrown ends as a refusal: fail shut. No promise is made for a stage that answered at once.
 */
export async function runStages(
  stages: readonly AnyStage[],
  call: Call,
  clock: Clock,
): Promise<Refusal | Answer | null> {
  // One reading serves all stages that answer at once; after a wait time has passed.
  let now = clock();
  for (const stage of stages) {
    // Once the call has run there is nothing left to cancel: the record must say what it came to, and an approval must
    // keep its outcome for the repeat of a client that lost the answer.
    if (call.signal.aborted && call.result === undefined)
      return new Refusal('upstream.cancelled', { evidence: `client left before ${stage.name}` });
    try {
      let left = stage.run(call, now) as Outcome<Slots[SlotName]> | Promise<Outcome<Slots[SlotName]>>;
      if (left instanceof Promise) {
        left = await left;
        now = clock();
      }
      if (left instanceof Refusal || left instanceof Answer) return left;
      if (left === undefined || left === null)
        throw new InternalError('pipeline.nothing_left', `stage ${stage.name} left nothing`);
      (LEAVE[stage.leaves] as (call: Call, left: Slots[SlotName]) => void)(call, left);
    } catch (cause) {
      return new Refusal('errors.internal', { evidence: `stage ${stage.name} threw`, cause });
    }
  }
  return null;
}
