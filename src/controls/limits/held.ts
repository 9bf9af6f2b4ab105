import type { Principal } from '../../core/call.ts';
import { Refusal } from '../../core/stage.ts';
import { Lease, Running } from './concurrency.ts';
import type { LimitsSettings } from './settings.ts';

/** What a principal holds for longer than a call takes: each is memory and a socket that nobody else can use. */
export const HOLDINGS = ['streams', 'waiting'] as const;
export type Holding = (typeof HOLDINGS)[number];

export type Hold = (what: Holding, principal: Principal) => Lease | Refusal;

/** Counts what is held in this process, by principal and in all. */
export function holdings(settings: Pick<LimitsSettings, Holding>): Hold {
  const counts = { streams: new Running(), waiting: new Running() };
  const all = new Running();
  return (what, { key }) => {
    const { perPrincipal, max } = settings[what];
    const ofAll = all.enter(what, max);
    if (ofAll === null) return new Refusal('limits.overloaded', { evidence: `${what} of this process` });
    const ofPrincipal = counts[what].enter(key, perPrincipal);
    if (ofPrincipal === null) {
      ofAll.leave();
      return new Refusal('limits.streams', { evidence: `${what} of the principal` });
    }
    return new Lease(ofPrincipal, ofAll);
  };
}
