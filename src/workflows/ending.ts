import type { Call, Now, Reply } from '../core/call.ts';
import { type AnyStage, type Clock, runStages } from '../core/flow.ts';
import { treeOf } from '../core/mcp/tree.ts';
import { Answer, type FinalStage, Refusal, type Stage } from '../core/stage.ts';

/** What every call ends with, whichever flow it took: its reply or refusal recorded, then released. */
export interface EndingStages {
  readonly reply: Stage<'principal' | 'scrubbed', 'reply'>;
  readonly outcome: FinalStage<'receipt'>;
}

/** Either there is a reply and its outcome is durable, or there is a refusal. */
export type Ending = { readonly reply: Reply } | { readonly refusal: Refusal };

/**
 * Takes a call through the rest of a flow and to its end: an answer made by a stage goes to redaction, everything goes
 * to the outcome record, and nothing is released before that record is durable (architecture.md section 4).
 */
export async function endCall(
  call: Call,
  ended: Refusal | Answer | null,
  stages: EndingStages,
  clock: Clock,
): Promise<Ending> {
  let refusal = ended instanceof Refusal ? ended : null;
  if (ended instanceof Answer) refusal = await redactAnswer(call, ended, stages, clock);
  if (refusal) call.refusal = refusal;
  const now = clock();
  try {
    let receipt = stages.outcome.run(call, now);
    if (receipt instanceof Promise) receipt = await receipt;
    if (receipt instanceof Refusal) refusal = refusal ?? receipt;
    else call.receipt = receipt;
  } catch (cause) {
    refusal ??= new Refusal('audit.outcome_unknown', { evidence: 'the outcome stage threw', cause });
  }
  let unsettled = settle(call, refusal, clock());
  if (unsettled instanceof Promise) unsettled = await unsettled;
  refusal = unsettled ?? refusal;
  call.lease?.release();
  // Nobody learned the question, or what to bring back with the answers.
  if (refusal || call.signal.aborted) call.unwanted?.();
  if (refusal) {
    call.refusal = refusal;
    return { refusal };
  }
  return { reply: call.reply! };
}

async function redactAnswer(call: Call, answer: Answer, stages: EndingStages, clock: Clock): Promise<Refusal | null> {
  const { result } = answer;
  call.scrubbed = {
    kind: 'result',
    bytes: result,
    view: () => JSON.parse(Buffer.from(result).toString('utf8')),
    diagnostics: null,
    ...(isTask(result) ? { task: true as const } : {}),
  };
  const left = await runStages([stages.reply as unknown as AnyStage], call, clock);
  return left instanceof Refusal ? left : null;
}

/** The stored outcome of a call that ended in a task: its id is ours, and must come out as it was. */
function isTask(result: Uint8Array): boolean {
  const bytes = Buffer.from(result.buffer, result.byteOffset, result.length);
  return (
    bytes.includes('"taskId"') && (treeOf(bytes.toString('utf8')) as { resultType?: unknown }).resultType === 'task'
  );
}

/** An approval that was used up learns how its call ended; when that cannot be stored, it stays "unknown": never run again. */
function settle(call: Call, refusal: Refusal | null, now: Now): Refusal | null | Promise<Refusal | null> {
  if (!call.consumed) return null;
  const failed = (cause: unknown) =>
    refusal ? null : new Refusal('audit.outcome_unknown', { evidence: 'the approval could not be settled', cause });
  try {
    const settled = call.consumed.settle(refusal ? null : (call.reply ?? null), now);
    return settled instanceof Promise ? settled.then(() => null, failed) : null;
  } catch (cause) {
    return failed(cause);
  }
}
