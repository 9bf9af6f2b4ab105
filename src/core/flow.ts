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

/** What ended a call early; null: every stage has left its slot. */
export type Ended = Refusal | Answer | null;

/**
 * Runs stages in order and says what ended it. Whatever is thrown ends as a refusal: fail shut. No promise is made as long
 * as stages answer at once; after that there is one for all the rest.
 */
export function runStages(stages: readonly AnyStage[], call: Call, clock: Clock): Ended | Promise<Ended> {
  // One reading serves all stages that answer at once; after a wait time has passed.
  const now = clock();
  for (let i = 0; i < stages.length; i++) {
    const left = runStage(stages[i]!, call, now);
    if (left instanceof Promise) return goOn(stages, i, left, call, clock);
    const ended = keep(stages[i]!, call, left);
    if (ended !== null) return ended;
  }
  return null;
}

async function goOn(
  stages: readonly AnyStage[],
  from: number,
  waiting: Promise<Left>,
  call: Call,
  clock: Clock,
): Promise<Ended> {
  let left: Left | Promise<Left> = waiting;
  let now: Now | null = null;
  for (let i = from; ; ) {
    if (left instanceof Promise) {
      try {
        left = await left;
      } catch (cause) {
        return thrown(stages[i]!, cause);
      }
      now = clock();
    }
    const ended = keep(stages[i]!, call, left);
    if (ended !== null || ++i === stages.length) return ended;
    left = runStage(stages[i]!, call, now!);
  }
}

type Left = Outcome<Slots[SlotName]>;

function runStage(stage: AnyStage, call: Call, now: Now): Left | Promise<Left> {
  // Once the call has run there is nothing left to cancel: the record must say what it came to, and an approval must
  // keep its outcome for the repeat of a client that lost the answer.
  if (call.signal.aborted && call.result === undefined)
    return new Refusal('upstream.cancelled', { evidence: `client left before ${stage.name}` });
  try {
    return stage.run(call, now) as Left | Promise<Left>;
  } catch (cause) {
    return thrown(stage, cause);
  }
}

/** Puts what a stage left in its slot, or says that it ended the call. */
function keep(stage: AnyStage, call: Call, left: Left): Ended {
  if (left instanceof Refusal || left instanceof Answer) return left;
  if (left === undefined || left === null)
    return thrown(stage, new InternalError('pipeline.nothing_left', `stage ${stage.name} left nothing`));
  (LEAVE[stage.leaves] as (call: Call, left: Slots[SlotName]) => void)(call, left);
  return null;
}

function thrown(stage: AnyStage, cause: unknown): Refusal {
  return new Refusal('errors.internal', { evidence: `stage ${stage.name} threw`, cause });
}
