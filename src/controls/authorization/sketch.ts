import type { PolicyJson, Reads } from './expression.ts';
import { readsOf } from './expression.ts';
import type { Rule } from './rules.ts';

/**
 * A rule as it looks before arguments and time are known: could it permit, must it forbid? Null when it says nothing
 * then. A permit keeps the conditions that do not read the context (the others might hold), a forbid that reads it
 * is left out (it might not hold). So what the sketches deny is denied for every argument at every time: hidden.
 */
export function sketch(rule: Rule): PolicyJson | null {
  return without(rule, ({ arguments: ofArguments, now }) => ofArguments || now);
}

/**
 * The same where only the arguments are not known, but were judged before: a task of a call. Time still counts, and an
 * obligation is kept when it does not hang on arguments.
 */
export function withoutArguments(rule: Rule): PolicyJson | null {
  const ofArguments = (reads: Reads) => reads.arguments;
  if (rule.obligation) return rule.reads.arguments ? null : rule.policy;
  return without(rule, ofArguments);
}

function without(rule: Rule, unknown: (reads: Reads) => boolean): PolicyJson | null {
  if (rule.obligation) return null;
  if (!unknown(rule.reads)) return rule.policy;
  if (rule.effect === 'forbid') return null;
  const conditions = rule.conjuncts
    .filter(({ expr }) => !unknown(readsOf(expr)))
    .map(({ expr, holds }) => ({ kind: holds ? ('when' as const) : ('unless' as const), body: expr }));
  return { ...rule.policy, conditions };
}
