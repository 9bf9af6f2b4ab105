import type { CallWith, Now, SlotName, Slots } from '../../core/call.ts';
import type { RefusalCode } from '../../core/mcp/refusals.ts';
import { type Outcome, Refusal, type Stage } from '../../core/stage.ts';
import { claimedClient } from './claimed.ts';
import type { Door } from './door.ts';

/**
 * Failures that are a guess or a misuse. Not: no credential (how sign-in begins), an expired one (it was ours once, and
 * its 401 is how a client learns to renew it: a wait in its place would lock good clients out), an outage of ours.
 */
const COUNTED: ReadonlySet<RefusalCode> = new Set<RefusalCode>([
  'authentication.invalid',
  'authentication.wrong_audience',
]);

/** The same stage; its failures are counted, and answered with the wait once their source has to wait. */
export function countedFailures<Needs extends SlotName>(
  stage: Stage<Needs, 'principal'>,
  door: Door,
): Stage<Needs, 'principal'> {
  const judge = (outcome: Outcome<Slots['principal']>, call: CallWith<Needs>, now: Now) => {
    if (!(outcome instanceof Refusal) || !COUNTED.has(outcome.code)) return outcome;
    const wait = door.failed(call.head.address, now, claimedClient(call));
    return wait instanceof Promise ? wait.then((late) => instead(late, outcome)) : instead(wait, outcome);
  };
  return {
    name: stage.name,
    leaves: 'principal',
    run(call, now) {
      const outcome = stage.run(call, now);
      return outcome instanceof Promise ? outcome.then((late) => judge(late, call, now)) : judge(outcome, call, now);
    },
  };
}

/** The caller learns of the wait alone; the record keeps what was wrong with the credential. */
function instead(wait: Refusal | null, failure: Refusal): Refusal {
  if (wait === null) return failure;
  const evidence = [wait.facts.evidence, failure.code, failure.facts.evidence].filter((part) => part !== undefined);
  return new Refusal(wait.code, { ...wait.facts, evidence: evidence.join('; ') });
}
