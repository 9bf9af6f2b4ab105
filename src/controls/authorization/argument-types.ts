import { ATTRIBUTE_TYPES } from './cedar-schema.ts';
import { children, type Expr, operator, type PolicyJson, pathOf } from './expression.ts';

/** Members of a record a rule reads; null marks a leaf whose type nothing tells. */
type Shape = Map<string, Shape | string | null>;

/**
 * The Cedar type of `context.arguments` as one rule uses it. Every tool has its own arguments, so there is no one
 * type to write down; but a rule says by its operators what it expects (`like` a string, `<` a number), and that is
 * enough for Cedar to find contradictions. Every member is optional: reading one without `has` is an error at load,
 * because at run time it would refuse every call that leaves the argument out.
 */
export function argumentsType(policy: PolicyJson): string {
  const shape: Shape = new Map();
  for (const clause of policy.conditions) learn(clause.body, 'Bool', shape);
  return render(shape);
}

const BOOLEAN = new Set(['&&', '||', '!', 'if-then-else']);
const NUMERIC = new Set(['<', '<=', '>', '>=', '+', '-', '*', 'neg']);

function learn(expr: Expr, expected: string | null, shape: Shape): void {
  const path = pathOf(expr);
  if (path) {
    if (path[0] === 'context' && path[1] === 'arguments') note(shape, path.slice(2), expected);
    return;
  }
  const { name, body } = operator(expr);
  const left = body['left'] as Expr;
  const right = body['right'] as Expr;
  if (name === 'has') {
    learnHas(left, body['attr'] as string | string[], shape);
  } else if (name === 'like') {
    learn(left, 'String', shape);
  } else if (name === '==' || name === '!=') {
    learn(left, typeOf(right), shape);
    learn(right, typeOf(left), shape);
  } else if (name === 'contains') {
    learn(left, setOf(typeOf(right)), shape);
    learn(right, elementOf(typeOf(left)), shape);
  } else if (name === 'containsAll' || name === 'containsAny') {
    learn(left, typeOf(right) ?? 'Set<String>', shape);
    learn(right, typeOf(left) ?? 'Set<String>', shape);
  } else if (name === 'isEmpty') {
    learn(body['arg'] as Expr, 'Set<String>', shape);
  } else if (name === 'if-then-else') {
    learn(body['if'] as Expr, 'Bool', shape);
    learn(body['then'] as Expr, expected, shape);
    learn(body['else'] as Expr, expected, shape);
  } else if (NUMERIC.has(name)) {
    for (const side of children(expr)) learn(side, typeOf(left) ?? typeOf(right) ?? 'Long', shape);
  } else {
    for (const child of children(expr)) learn(child, BOOLEAN.has(name) ? 'Bool' : null, shape);
  }
}

function learnHas(left: Expr, attr: string | string[], shape: Shape): void {
  const path = pathOf(left);
  const names = Array.isArray(attr) ? attr : [attr];
  const whole = [...(path ?? []), ...names];
  if (!path) learn(left, null, shape);
  else if (whole[0] === 'context' && whole[1] === 'arguments') note(shape, whole.slice(2), null);
}

function note(shape: Shape, path: readonly string[], type: string | null): void {
  const [name, ...rest] = path;
  if (name === undefined) return;
  const known = shape.get(name);
  if (rest.length === 0) {
    if (known === undefined || known === null) shape.set(name, type);
    return;
  }
  const inner: Shape = known instanceof Map ? known : new Map();
  shape.set(name, inner);
  note(inner, rest, type);
}

/** The type of an expression that needs no arguments to know it, or null. */
function typeOf(expr: Expr | undefined): string | null {
  if (!expr) return null;
  const path = pathOf(expr);
  if (path) return ATTRIBUTE_TYPES.get(path.join('.')) ?? null;
  const { name, body } = operator(expr);
  if (name === 'Value') return typeOfValue(body as unknown);
  if (name === 'Set') return setOf(typeOf((body as unknown as Expr[])[0]));
  if (name === 'ip') return 'ipaddr';
  if (name === 'decimal' || name === 'datetime' || name === 'duration') return name;
  if (name === '+' || name === '-' || name === '*' || name === 'neg') return 'Long';
  return null;
}

function typeOfValue(value: unknown): string | null {
  if (typeof value === 'string') return 'String';
  if (typeof value === 'number') return 'Long';
  if (typeof value === 'boolean') return 'Bool';
  if (Array.isArray(value)) return setOf(typeOfValue(value[0]));
  return null;
}

const setOf = (element: string | null) => (element ? `Set<${element}>` : null);
const elementOf = (set: string | null) => set?.match(/^Set<(.+)>$/)?.[1] ?? null;

function render(shape: Shape): string {
  const members = [...shape].map(([name, type]) => {
    const written = type instanceof Map ? render(type) : (type ?? 'String');
    return `${JSON.stringify(name)}?: ${written}`;
  });
  return `{ ${members.join(', ')} }`;
}
