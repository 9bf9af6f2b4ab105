import type { Principal, Target } from '../../core/call.ts';
import { Refusal } from '../../core/stage.ts';
import { Lease, Running } from './concurrency.ts';
import type { LimitsSettings } from './settings.ts';

/** What a principal holds for longer than a call takes: each is memory and a socket that nobody else can use. */
export const HOLDINGS = ['streams', 'waiting'] as const;
export type Holding = (typeof HOLDINGS)[number];

/** Given back once, however often it is asked. */
export type Held = Pick<Lease, 'release'>;
/** @param at the target whose places are held meanwhile; none for what calls nothing */
export type Hold = (what: Holding, principal: Principal, at?: Target) => Held | Refusal;

/** Counts what is held in this process, by principal and in all; and at each target, whose places others need too. */
export function holdings(settings: Pick<LimitsSettings, Holding>): Hold {
  const counts = { streams: new Running(), waiting: new Running() };
  const all = new Running();
  const targets = new Running();
  const shares = new Running();

  /**
   * A call that waits for its client costs that client nothing, and keeps one of the few places of its target for minutes:
   * half of them stay for calls that run, and one principal waits in a quarter.
   */
  const atTarget = ({ tenant, key, limits }: Target, principal: string): Lease | Refusal => {
    const half = Math.max(1, Math.floor(limits.maxConcurrent / 2));
    const ofTarget = targets.enter(`${tenant}\0${key}`, half);
    if (ofTarget === null)
      return new Refusal('limits.overloaded', { evidence: 'half of the places of the target wait' });
    const share = shares.enter(`${principal}\0${key}`, Math.max(1, Math.floor(half / 2)));
    if (share !== null) return new Lease(share, ofTarget);
    ofTarget.leave();
    return new Refusal('limits.streams', { evidence: 'waiting calls of the principal at this target' });
  };

  return (what, { key }, at) => {
    const { perPrincipal, max } = settings[what];
    const ofAll = all.enter(what, max);
    if (ofAll === null) return new Refusal('limits.overloaded', { evidence: `${what} of this process` });
    const ofPrincipal = counts[what].enter(key, perPrincipal);
    if (ofPrincipal === null) {
      ofAll.leave();
      return new Refusal('limits.streams', { evidence: `${what} of the principal` });
    }
    const lease = new Lease(ofPrincipal, ofAll);
    if (at === undefined) return lease;
    const place = atTarget(at, key);
    if (place instanceof Refusal) {
      lease.release();
      return place;
    }
    return {
      release() {
        lease.release();
        place.release();
      },
    };
  };
}
