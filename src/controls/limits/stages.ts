import type { Target } from '../../core/call.ts';
import type { Stage } from '../../core/stage.ts';
import { Refusal } from '../../core/stage.ts';
import { sourceOf } from './address.ts';
import type { Allowance } from './allowance.ts';
import { Lease, type Running } from './concurrency.ts';
import type { Door } from './door.ts';
import type { LimitsSettings } from './settings.ts';

export function doorStage(door: Door): Stage<'endpoint', 'door'> {
  return { name: 'limits.door', leaves: 'door', run: (call, now) => door.enter(call, now) };
}

export function principalStage(allowance: Allowance): Stage<'principal', 'budget'> {
  const budget = (left: number | Refusal) => (left instanceof Refusal ? left : { remaining: left });
  return {
    name: 'limits.principal',
    leaves: 'budget',
    run(call, now) {
      const left = allowance.call(call.principal, call.door?.address ?? sourceOf(call.head.address), now);
      return left instanceof Promise ? left.then(budget) : budget(left);
    },
  };
}

export function targetStage(
  settings: LimitsSettings,
  allowance: Allowance,
  running: { readonly targets: Running; readonly principals: Running },
): Stage<'principal' | 'target', 'lease'> {
  return {
    name: 'limits.target',
    leaves: 'lease',
    run(call, now) {
      const { principal, target } = call;
      const ofTarget = running.targets.enter(nameOf(target), target.limits.maxConcurrent);
      if (ofTarget === null) return busy('target');
      const ofPrincipal = running.principals.enter(principal.key, settings.maxConcurrentPerPrincipal);
      if (ofPrincipal === null) {
        ofTarget.leave();
        return busy('principal');
      }
      const lease = new Lease(ofTarget, ofPrincipal);
      const left = allowance.target(principal, target, now);
      return left instanceof Promise ? left.then((late) => leaseOr(lease, late)) : leaseOr(lease, left);
    },
  };
}

function leaseOr(lease: Lease, left: number | Refusal): Lease | Refusal {
  if (!(left instanceof Refusal)) return lease;
  lease.release();
  return left;
}

/** Names by identity: the registry hands out the same pinned object until its snapshot changes. */
const names = new WeakMap<Target, string>();

function nameOf(target: Target): string {
  let name = names.get(target);
  if (name === undefined) {
    name = `${target.tenant}\0${target.key}`;
    names.set(target, name);
  }
  return name;
}

function busy(whose: 'target' | 'principal'): Refusal {
  const text =
    whose === 'target'
      ? 'Too many calls of this tool are running; wait and repeat the call.'
      : 'Too many calls of this caller are running; wait and repeat the call.';
  return new Refusal('limits.exceeded', { retryAfterMs: 1_000, text, evidence: `concurrency of the ${whose}` });
}
