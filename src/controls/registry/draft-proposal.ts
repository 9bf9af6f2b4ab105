import { EFFECTS, type Effect, type Target } from '../../core/call.ts';
import { DEFAULT_LIMITS, type ItemKind } from './manifest.ts';

/** What a reviewer is offered for one item: where to start, not what to believe. */
export interface Proposal {
  readonly effect: Effect;
  readonly scopes: readonly string[];
  /** Only what differs from the limits every item has. */
  readonly limits: Partial<Target['limits']>;
  /** Why it is not less, in plain words of ours. */
  readonly reasons: readonly string[];
}

/** Words that raise a tool. Nothing a server says lowers one: names, texts and hints are claims of a stranger. */
const DESTROYS =
  /^(?:delete|deletes|deleting|remove|removes|removing|drop|drops|destroy|destroys|erase|erases|purge|purges|wipe|wipes|truncate|truncates|overwrite|overwrites|overwriting|revoke|revokes|kill|kills|terminate|terminates|uninstall|format|reset|resets|shutdown|exec|execute|executes|executing|shell|eval|pay|pays|transfer|transfers|refund|refunds)$/;
const CHANGES =
  /^(?:write|writes|writing|create|creates|update|updates|insert|inserts|set|sets|add|adds|edit|edits|move|moves|rename|renames|send|sends|sending|post|posts|publish|publishes|upload|uploads|save|saves|store|stores|append|modify|modifies|merge|merges|push|pushes|deploy|invite|grant|toggle|trigger|start|stop|run|runs)$/;
/** Sending and paying cannot be taken back, but only what the name itself says counts as destroying. */
const IN_TEXT_DESTROYS =
  /\b(?:delet(?:e|es|ing|ion)|permanently|irreversibl[ey]|destroys?|overwrit(?:e|es|ing)|cannot be undone|drop(?:s|ping)? (?:a |the )?table|wipes?|purges?)\b/i;

const DESTRUCTIVE_COST = 5;
const DESTRUCTIVE_AT_ONCE = 2;
const LEAST_ARGUMENT_BYTES = 1024;

/**
 * Proposes effect, scope and limits for one definition (attacker-controlled). A tool writes until a person says that it
 * only reads; a word or a hint can raise it to destructive. Pure.
 */
export function propose(server: string, kind: ItemKind, definition: Readonly<Record<string, unknown>>): Proposal {
  const { effect, reasons } = kind === 'tool' ? effectOf(definition) : { effect: 'read' as const, reasons: [] };
  const limits = kind === 'tool' ? limitsOf(effect, definition['inputSchema']) : {};
  return { effect, scopes: [scopeOf(server, effect)], limits, reasons };
}

/** One scope per server and effect, so that a token that may read may not also destroy. */
export function scopeOf(server: string, effect: Effect): string {
  return `${server}:${effect}`;
}

function effectOf(definition: Readonly<Record<string, unknown>>): { effect: Effect; reasons: string[] } {
  const reasons: string[] = [];
  const hints = (definition['annotations'] ?? {}) as { destructiveHint?: unknown; readOnlyHint?: unknown };
  if (hints.destructiveHint === true) reasons.push('it says of itself that it destroys');
  const words = wordsOf(`${textOf(definition['name'])} ${textOf(definition['title'])}`);
  const destroys = words.find((word) => DESTROYS.test(word));
  if (destroys) reasons.push(`its name says "${destroys}"`);
  const told = IN_TEXT_DESTROYS.exec(textOf(definition['description']).normalize('NFKC'));
  if (told) reasons.push(`its description says "${told[0].toLowerCase()}"`);
  if (reasons.length > 0) return { effect: EFFECTS[2], reasons };
  const changes = words.find((word) => CHANGES.test(word));
  if (changes) return { effect: EFFECTS[1], reasons: [`its name says "${changes}"`] };
  const claim =
    hints.readOnlyHint === true
      ? 'it says that it only reads; that is for you to decide'
      : 'nobody said yet that it only reads';
  return { effect: EFFECTS[1], reasons: [claim] };
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : '');

/** `deleteFile`, `delete_file`, `delete-file` and full-width letters are the same two words. */
function wordsOf(name: string): string[] {
  return name
    .normalize('NFKC')
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter(Boolean);
}

function limitsOf(effect: Effect, schema: unknown): Partial<Target['limits']> {
  const bound = largest(schema, 0);
  const cap = bound === null ? null : Math.max(LEAST_ARGUMENT_BYTES, bound);
  return {
    ...(effect === 'destructive' ? { cost: DESTRUCTIVE_COST, maxConcurrent: DESTRUCTIVE_AT_ONCE } : {}),
    ...(cap !== null && cap < DEFAULT_LIMITS.maxArgumentBytes ? { maxArgumentBytes: cap } : {}),
  };
}

const MAX_DEPTH = 8;
const MAX_SIBLINGS = 256;
/** A character as `\uXXXX\uXXXX`, a number and white space around a token at their longest in any sane text. */
const CHARACTER_BYTES = 12;
const SCALAR_BYTES = 64;
/** Keywords that let more in, or whose meaning this does not follow. */
const OPEN = ['$ref', '$dynamicRef', 'anyOf', 'oneOf', 'allOf', 'patternProperties', 'if', 'dependentSchemas'];

/** Most bytes a value of this schema takes as JSON, generously; null when the schema sets no end to it. */
function largest(schema: unknown, depth: number): number | null {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema) || depth > MAX_DEPTH) return null;
  const of = schema as Record<string, unknown>;
  if (OPEN.some((keyword) => Object.hasOwn(of, keyword))) return null;
  if (Array.isArray(of['enum'])) return SCALAR_BYTES + 6 * JSON.stringify(of['enum']).length;
  if (of['type'] === 'boolean' || of['type'] === 'null' || of['type'] === 'number' || of['type'] === 'integer')
    return SCALAR_BYTES;
  if (of['type'] === 'string')
    return typeof of['maxLength'] === 'number' ? SCALAR_BYTES + CHARACTER_BYTES * of['maxLength'] : null;
  if (of['type'] === 'array') {
    const each = largest(of['items'], depth + 1);
    return typeof of['maxItems'] === 'number' && each !== null ? SCALAR_BYTES + of['maxItems'] * each : null;
  }
  return of['type'] === 'object' ? largestObject(of, depth) : null;
}

function largestObject(of: Record<string, unknown>, depth: number): number | null {
  if (of['additionalProperties'] !== false) return null;
  const properties = Object.entries((of['properties'] ?? {}) as object);
  if (properties.length > MAX_SIBLINGS) return null;
  let sum = SCALAR_BYTES;
  for (const [name, member] of properties) {
    const each = largest(member, depth + 1);
    if (each === null) return null;
    sum += SCALAR_BYTES + CHARACTER_BYTES * name.length + each;
  }
  return sum;
}
