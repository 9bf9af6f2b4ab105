import type { PolicyJson } from './expression.ts';
import { readsOf } from './expression.ts';
import type { Rule } from './rules.ts';

/**
 * A rule as it looks before arguments and time are known: could it permit, must it forbid? Null when it says nothing
 * then. A permit keeps the conditions that do not read the context (the others might hold), a forbid that reads it
 * is left out (it might not hold). So what the sketches deny is denied for every argument at every time: hidden.
 */
export function sketch(rule: Rule): PolicyJson | null {
  if (rule.obligation) return null;
  if (!rule.reads.arguments && !rule.reads.now) return rule.policy;
  if (rule.effect === 'forbid') return null;
  const conditions = rule.conjuncts
    .filter(({ expr }) => {
      const reads = readsOf(expr);
      return !reads.arguments && !reads.now;
    })
    .map(({ expr, holds }) => ({ kind: holds ? ('when' as const) : ('unless' as const), body: expr }));
  return { ...rule.policy, conditions };
}
