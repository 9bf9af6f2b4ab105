import type { Now, Principal, Target } from '../../../core/call.ts';
import { RecentPairs } from '../../../core/recent.ts';
import { Refusal } from '../../../core/stage.ts';
import type { Ephemeral, Taken, WindowRule } from '../../../core/store/ephemeral.ts';
import { MemoryEphemeral } from '../../../core/store/ephemeral-memory.ts';
import type { Allowance } from '../allowance.ts';
import type { LimitsSettings } from '../settings.ts';

/** Keys that are kept instead of being put together for each call. */
const TOOL_KEYS = 8_192;

/** One window to take from. */
interface Taking {
  readonly table: string;
  readonly key: string;
  readonly rule: WindowRule;
}

/** Sliding windows. Tables are named by what they count; keys bear the tenant (`principal.key` does). */
export function windowAllowance(settings: LimitsSettings, ephemeral: Ephemeral): Allowance {
  const principalRule = { ...settings.principal, cost: 1 };
  const tenantRule = { ...settings.tenant, cost: 1 };
  const addressRule = { ...settings.address, cost: 1 };
  const toolRule = { ...settings.tool, cost: 1 };
  const toolKeys = new RecentPairs<string>(TOOL_KEYS);
  const toolKeyOf = (principal: Principal, target: Target): string => {
    const known = toolKeys.get(principal.key, target.key);
    if (known !== undefined) return known;
    const key = `${principal.key}\0${target.key}`;
    toolKeys.set(principal.key, target.key, key);
    return key;
  };
  const weighed = (rule: WindowRule, cost: number): WindowRule => (cost === 1 ? rule : { ...rule, cost });

  return {
    // The narrowest first: who is over his own limit does not use up what others share.
    call(principal: Principal, source: string, now: Now) {
      return takeAll(
        ephemeral,
        [
          { table: 'limits.principal', key: principal.key, rule: principalRule },
          { table: 'limits.address', key: source, rule: addressRule },
          { table: 'limits.tenant', key: principal.tenant, rule: tenantRule },
        ],
        now.mono,
      );
    },
    target(principal: Principal, target: Target, now: Now) {
      const cost = target.limits.cost;
      const tool = { table: 'limits.tool', key: toolKeyOf(principal, target), rule: weighed(toolRule, cost) };
      if (cost <= 1) return takeAll(ephemeral, [tool], now.mono);
      // limits.principal has taken 1 for the call already; the rest of its weight is known only now.
      const rest = cost - 1;
      return takeAll(
        ephemeral,
        [
          tool,
          { table: 'limits.principal', key: principal.key, rule: weighed(principalRule, rest) },
          { table: 'limits.tenant', key: principal.tenant, rule: weighed(tenantRule, rest) },
        ],
        now.mono,
      );
    },
  };
}

/**
 * Notifications of one principal. Counted in this process alone, whatever the driver: an event cannot wait for an
 * answer from elsewhere, and all events of one call pass through the process that holds it.
 */
export function eventAllowance(settings: LimitsSettings): (principal: Principal, now: Now) => number | Refusal {
  if (settings.driver === 'unlimited') return () => Number.POSITIVE_INFINITY;
  const windows = new MemoryEphemeral();
  const rule = { ...settings.events, cost: 1 };
  return (principal, now) => {
    const taken = windows.take('limits.events', principal.key, rule, now.mono);
    return taken.accepted ? taken.remaining : exceeded('limits.events', taken);
  };
}

/** Takes from each in order until one refuses. Answers with what is left in the tightest; no promise unless a driver made one. */
function takeAll(
  ephemeral: Ephemeral,
  takings: readonly Taking[],
  now: number,
  from = 0,
  tightest = Number.POSITIVE_INFINITY,
): number | Refusal | Promise<number | Refusal> {
  for (let i = from; i < takings.length; i++) {
    const { table, key, rule } = takings[i]!;
    const taken = ephemeral.take(table, key, rule, now);
    if (taken instanceof Promise) return takeRest(taken, ephemeral, takings, now, i, tightest);
    if (!taken.accepted) return exceeded(table, taken);
    tightest = Math.min(tightest, taken.remaining);
  }
  return tightest;
}

async function takeRest(
  pending: Promise<Taken>,
  ephemeral: Ephemeral,
  takings: readonly Taking[],
  now: number,
  at: number,
  tightest: number,
): Promise<number | Refusal> {
  try {
    const taken = await pending;
    if (!taken.accepted) return exceeded(takings[at]!.table, taken);
    return await takeAll(ephemeral, takings, now, at + 1, Math.min(tightest, taken.remaining));
  } catch (cause) {
    return new Refusal('limits.unavailable', { cause });
  }
}

function exceeded(table: string, taken: Taken): Refusal {
  return new Refusal('limits.exceeded', { retryAfterMs: taken.retryAfterMs, evidence: `window ${table}` });
}
