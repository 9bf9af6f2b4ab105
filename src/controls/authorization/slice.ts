import type { Target } from '../../core/call.ts';
import { actionOf } from './entities.ts';
import { type Expr, operator, pathOf } from './expression.ts';
import type { Rule } from './rules.ts';

/**
 * False when a rule cannot possibly speak about this target, so Cedar need not be asked (~2 µs per rule and
 * decision). Exact, not a guess: Cedar evaluates scope and conditions from left to right, and only a comparison that
 * stands before anything else is looked at. Leaving the rule out changes neither decision nor errors.
 */
export function mayApply(rule: Rule, target: Target): boolean {
  if (!actionMatches(rule, target) || !resourceMatches(rule, target)) return false;
  for (const { expr, holds } of rule.conjuncts) {
    const known = constantFor(expr, target);
    if (typeof known !== 'boolean') return true;
    if (known !== holds) return false;
  }
  return true;
}

function actionMatches(rule: Rule, target: Target): boolean {
  const constraint = rule.policy.action;
  if (constraint.op === 'All') return true;
  const action = actionOf(target.kind).id;
  const named = 'entities' in constraint ? constraint.entities : 'entity' in constraint ? [constraint.entity] : null;
  return named === null || named.some((entity) => uid(entity).id === action);
}

function resourceMatches(rule: Rule, target: Target): boolean {
  const constraint = rule.policy.resource;
  if (constraint.op === '==' && 'entity' in constraint) return isTarget(uid(constraint.entity), target);
  if (constraint.op !== 'in' || !('entity' in constraint)) return true;
  const named = uid(constraint.entity);
  return isTarget(named, target) || (named.type === 'Server' && named.id === target.server);
}

function isTarget(entity: { type: string; id: string }, target: Target): boolean {
  return entity.type === 'Target' && entity.id === target.key;
}

function uid(entity: { type: string; id: string } | { __entity: { type: string; id: string } }) {
  return '__entity' in entity ? entity.__entity : entity;
}

/** Attributes that are text of the target alone. A map, so that no inherited name is ever an attribute. */
const TEXT: ReadonlyMap<string, (target: Target) => string> = new Map([
  ['server', (target: Target) => target.server],
  ['name', (target: Target) => target.name],
  ['key', (target: Target) => target.key],
  ['kind', (target: Target) => target.kind],
  ['effect', (target: Target) => target.effect],
  ['tenant', (target: Target) => target.tenant],
]);

/** What an expression is for this target whoever calls and with whatever arguments; undefined when that is open. */
function constantFor(expr: Expr, target: Target): boolean | string | undefined {
  const path = pathOf(expr);
  if (path) return path.length === 2 && path[0] === 'resource' ? TEXT.get(path[1]!)?.(target) : undefined;
  const { name, body } = operator(expr);
  const side = (of: string) => constantFor(body[of] as Expr, target);
  if (name === 'Value') {
    const literal = body as unknown;
    return typeof literal === 'string' || typeof literal === 'boolean' ? literal : undefined;
  }
  if (name === '!') {
    const inner = side('arg');
    return typeof inner === 'boolean' ? !inner : undefined;
  }
  if (name === '==' || name === '!=') {
    const [left, right] = [side('left'), side('right')];
    if (left === undefined || right === undefined) return undefined;
    return name === '==' ? left === right : left !== right;
  }
  if (name === '&&' || name === '||') {
    // Short-circuit as Cedar does: an open left side may be an error, so nothing is known then.
    const left = side('left');
    if (typeof left !== 'boolean') return undefined;
    if (left === (name === '||')) return left;
    const right = side('right');
    return typeof right === 'boolean' ? right : undefined;
  }
  return undefined;
}
