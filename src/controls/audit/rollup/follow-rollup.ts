import type { Now } from '../../../core/call.ts';
import type { Follower } from '../follower.ts';
import { Following } from '../sinks/following.ts';
import { Rollup, type RollupOptions } from './rollup.ts';

const CLOSING_MS = 15_000;

/** The roll-up as a follower of the log: it never holds a call up, and what it lacks is brought in at the next turn. */
export function followRollup(
  options: RollupOptions & { readonly everyMs: number; readonly clock: () => Now },
): Follower {
  const { everyMs, clock, tell } = options;
  const carrier = new Rollup(options);
  const name = 'roll-up';
  return new Following({ name, required: false, deadlineMs: CLOSING_MS, everyMs, clock, log: tell, carrier });
}
