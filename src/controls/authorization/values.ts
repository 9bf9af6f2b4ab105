import type { CedarValueJson } from './engine.ts';

const MAX_DEPTH = 32;
const MAX_VALUES = 20_000;
const MAX_PATH = 200;
/**
 * Member names with which Cedar's JSON form makes an entity or extension value out of an object. The arguments are
 * attacker-controlled: `{"__entity": {"type": "Group", "id": "approvers"}}` must never become that group.
 */
const ESCAPES: ReadonlySet<string> = new Set(['__entity', '__extn', '__expr']);
/** Stands for null inside an array, equal to nothing a rule would list. */
const NULL_ITEM: CedarValueJson = { __entity: { type: 'Null', id: 'null' } };

export const UNJUDGEABLE = ['reserved_name', 'inexact_number', 'too_deep', 'too_many'] as const;

/** Arguments no rule could judge exactly. `path` is a JSON pointer, names only, cut to a bound. */
export class Unjudgeable {
  readonly reason: (typeof UNJUDGEABLE)[number];
  readonly path: string;
  constructor(reason: (typeof UNJUDGEABLE)[number], path: string) {
    this.reason = reason;
    this.path = path.slice(0, MAX_PATH);
  }
}

/**
 * Arguments as Cedar values. Objects become records, arrays become sets (order and repeats are lost), strings and
 * booleans stay. A whole number stays; any other number becomes its decimal text, so that comparing it as a number
 * is an evaluation error and denies. A member that is null is left out: as good as absent. Never changes its input.
 */
export function cedarArguments(view: Readonly<Record<string, unknown>>): Record<string, CedarValueJson> | Unjudgeable {
  try {
    return record(view, '', 1, { values: 0 });
  } catch (thrown) {
    if (thrown instanceof Unjudgeable) return thrown;
    throw thrown;
  }
}

interface Count {
  values: number;
}

function record(
  from: Readonly<Record<string, unknown>>,
  path: string,
  depth: number,
  count: Count,
): Record<string, CedarValueJson> {
  // No prototype: `__proto__` and `constructor` are names like any other.
  const to: Record<string, CedarValueJson> = Object.create(null);
  for (const name of Object.keys(from)) {
    const at = `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (ESCAPES.has(name)) throw new Unjudgeable('reserved_name', at);
    const member = from[name];
    if (member !== null && member !== undefined) to[name] = value(member, at, depth, count);
  }
  return to;
}

function value(from: unknown, path: string, depth: number, count: Count): CedarValueJson {
  if (depth > MAX_DEPTH) throw new Unjudgeable('too_deep', path);
  if (++count.values > MAX_VALUES) throw new Unjudgeable('too_many', path);
  if (typeof from === 'string' || typeof from === 'boolean') return from;
  if (typeof from === 'number') return number(from, path);
  if (from === null || from === undefined) return NULL_ITEM;
  if (Array.isArray(from)) return from.map((item, index) => value(item, `${path}/${index}`, depth + 1, count));
  return record(from as Record<string, unknown>, path, depth + 1, count);
}

/** Beyond 2^53 the parsed number may not be the one that was sent; a rule that compares it would judge another call. */
function number(from: number, path: string): CedarValueJson {
  if (Number.isSafeInteger(from)) return from === 0 ? 0 : from;
  if (!Number.isFinite(from) || Math.abs(from) > Number.MAX_SAFE_INTEGER) throw new Unjudgeable('inexact_number', path);
  return String(from);
}
