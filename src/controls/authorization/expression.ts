import type { Expr, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';

export type { Expr, PolicyJson };

/** The one operator of an expression and what it stands over. Cedar's JSON form has exactly one key per node. */
export function operator(expr: Expr): { readonly name: string; readonly body: Record<string, unknown> } {
  const [name, body] = Object.entries(expr)[0] ?? ['', {}];
  return { name, body: body as Record<string, unknown> };
}

/** Expressions directly below this one. */
export function children(expr: Expr): readonly Expr[] {
  const { name, body } = operator(expr);
  if (name === 'Value' || name === 'Var' || name === 'Slot') return [];
  if (name === 'Record') return Object.values(body) as Expr[];
  if (Array.isArray(body)) return body as Expr[]; // Set, extension functions
  return ['left', 'right', 'arg', 'if', 'then', 'else', 'in'].flatMap((part) =>
    typeof body[part] === 'object' && body[part] !== null ? [body[part] as Expr] : [],
  );
}

/** `context.arguments.sql` as ['context', 'arguments', 'sql']; null when it is not a variable with attributes. */
export function pathOf(expr: Expr): readonly string[] | null {
  const { name, body } = operator(expr);
  if (name === 'Var') return [body as unknown as string];
  if (name !== '.') return null;
  const left = pathOf(body['left'] as Expr);
  return left && [...left, body['attr'] as string];
}

/** A condition that must hold (`holds: true`) or must not, in the order Cedar evaluates them. */
export interface Conjunct {
  readonly expr: Expr;
  readonly holds: boolean;
}

/** `when {a && b} unless {c || d}` as a, b, not c, not d: the rule applies when all of them hold. */
export function conjuncts(policy: PolicyJson): readonly Conjunct[] {
  return policy.conditions.flatMap((clause) =>
    clause.kind === 'when' ? split(clause.body, '&&', true) : split(clause.body, '||', false),
  );
}

function split(expr: Expr, over: '&&' | '||', holds: boolean): Conjunct[] {
  const { name, body } = operator(expr);
  if (name !== over) return [{ expr, holds }];
  return [...split(body['left'] as Expr, over, holds), ...split(body['right'] as Expr, over, holds)];
}

/** What a rule looks at besides principal and resource. Decides what its decisions may be cached by. */
export interface Reads {
  readonly arguments: boolean;
  readonly now: boolean;
}

/** Errs on the side of "reads it": a context used whole reads everything. */
export function readsOf(expr: Expr): Reads {
  const path = pathOf(expr);
  if (path && path[0] === 'context') {
    return { arguments: path[1] !== 'now', now: path[1] !== 'arguments' };
  }
  return children(expr).map(readsOf).reduce(either, { arguments: false, now: false });
}

export function either(a: Reads, b: Reads): Reads {
  return { arguments: a.arguments || b.arguments, now: a.now || b.now };
}
