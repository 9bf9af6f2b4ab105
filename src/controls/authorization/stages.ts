import type { Target, TargetKind } from '../../core/call.ts';
import { Refusal, type Stage } from '../../core/stage.ts';
import type { Judge } from './judge.ts';

export interface AuthorizationStages {
  readonly visible: Stage<'principal' | 'message' | 'candidate', 'target'>;
  readonly decide: Stage<'principal' | 'message' | 'target' | 'arguments', 'decision'>;
}

/** One object for "does not exist" and "hidden from you": nothing later can tell them apart. */
const UNKNOWN = Object.freeze(new Refusal('authorization.unknown', Object.freeze({})));

/** @param current the judge of the policy that holds now; asked once per stage, so a reload changes between, not within */
export function stagesOf(current: () => Judge): AuthorizationStages {
  return {
    visible: {
      name: 'authorization.visible',
      leaves: 'target',
      run({ principal, message, candidate }) {
        const decoy = decoyFor(message.method);
        const seen = current().visibilityOfNamed(principal, candidate.target, decoy);
        return candidate.target === null || seen === 'hidden' ? UNKNOWN : candidate.target;
      },
    },
    decide: {
      name: 'authorization.decide',
      leaves: 'decision',
      run({ principal, target, candidate, arguments: args }, now) {
        const task = candidate?.task;
        return task
          ? current().decideTask(principal, target, task, now)
          : current().decide(principal, target, args, now);
      },
    },
  };
}

const KIND_OF_METHOD: ReadonlyMap<string, TargetKind> = new Map([
  ['tools/call', 'tool'],
  ['prompts/get', 'prompt'],
  ['resources/read', 'resource'],
  ['resources/subscribe', 'resource'],
  ['resources/unsubscribe', 'resource'],
  ['completion/complete', 'prompt'],
  ['admin/call', 'admin'],
]);
const DECOYS = new Map<TargetKind, Target>(
  (['tool', 'prompt', 'resource', 'admin'] as const).map((kind) => [kind, decoy(kind)]),
);

/** The target that is judged when there is none, so that a name nobody has costs what a hidden one costs. */
function decoyFor(method: string): Target {
  return DECOYS.get(KIND_OF_METHOD.get(method) ?? 'tool')!;
}

function decoy(kind: TargetKind): Target {
  return Object.freeze({
    kind,
    tenant: 'no such tenant',
    server: 'no-such-server',
    name: 'no_such_name',
    exposed: 'no-such-server__no_such_name',
    key: 'no-such-server/no_such_name',
    digest: '',
    manifest: '',
    effect: 'read',
    scopes: Object.freeze(['no:such:scope']),
    definition: Object.freeze({}),
    limits: Object.freeze({ cost: 1, maxArgumentBytes: 0, maxResultBytes: 0, maxConcurrent: 1, timeoutMs: 1 }),
    errors: 'generic',
  });
}
