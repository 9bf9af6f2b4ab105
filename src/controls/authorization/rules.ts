import { nearest } from '../../core/settings.ts';
import { BUILT_IN, BUILT_IN_PREFIX } from './built-in.ts';
import type { Engine } from './engine.ts';
import { type Conjunct, conjuncts, either, type PolicyJson, type Reads, readsOf } from './expression.ts';
import type { Source } from './folder.ts';

export const OBLIGATION_KINDS = ['approval', 'redaction', 'cap'] as const;

/** What a satisfied obligation rule asks for. */
export type Obligation =
  | { readonly kind: 'approval'; readonly rule: string }
  | { readonly kind: 'redaction'; readonly profile: string }
  | { readonly kind: 'cap'; readonly bytes: number };

/** One policy of a *.cedar file, understood. */
export interface Rule {
  readonly id: string;
  readonly file: string;
  readonly line: number;
  readonly effect: 'permit' | 'forbid';
  readonly description: string | null;
  /** Set: this rule grants nothing; it is asked after others have allowed the call. */
  readonly obligation: Obligation | null;
  /** For a forbid: what the caller may read, and the path of the argument it is about. */
  readonly publicText: string | null;
  readonly publicPath: string | null;
  readonly policy: PolicyJson;
  readonly conjuncts: readonly Conjunct[];
  readonly reads: Reads;
}

/** The whole list. A misspelt `@oblgation` would turn an obligation into a grant, so others are errors. */
const ANNOTATIONS = ['id', 'description', 'obligation', 'rule', 'profile', 'bytes', 'public', 'path'] as const;
const ID_PATTERN = /^[a-z0-9]+(-[a-z0-9]+)*$/;

/** Reads one file. `findings` are sentences with file and line; any of them stops the load. */
export function readRules(engine: Engine, source: Source): { readonly rules: Rule[]; readonly findings: string[] } {
  const parts = engine.split(source.text);
  if ('fault' in parts) {
    const line = lineAt(source.text, parts.fault.offset ?? 0);
    return { rules: [], findings: [`${source.file}:${line}: ${parts.fault.message}`] };
  }
  const rules: Rule[] = [];
  const findings: string[] = [];
  for (const text of parts.policies) {
    const line = lineAt(source.text, Buffer.from(source.text).indexOf(text));
    const read = readRule(engine.toJson(text), source.file, line);
    findings.push(...read.faults.map((fault) => `${source.file}:${line}: ${fault}`));
    if (read.rule) rules.push(read.rule);
  }
  return { rules: rules.sort((a, b) => a.line - b.line), findings };
}

function readRule(policy: PolicyJson, file: string, line: number): { rule: Rule | null; faults: string[] } {
  const notes = new Map(Object.entries(policy.annotations ?? {}).map(([name, value]) => [name, value ?? '']));
  const faults = [...strangeNotes(notes), ...misplacedNotes(notes, policy.effect)];
  const id = notes.get('id') ?? '';
  if (!ID_PATTERN.test(id)) faults.push('every rule needs an @id("…") of a-z, 0-9 and single -; records name it');
  else if (id.startsWith(BUILT_IN_PREFIX) && file !== BUILT_IN.file)
    faults.push(`ids that begin with ${BUILT_IN_PREFIX} belong to built-in rules`);
  const obligation = readObligation(notes, id);
  if (typeof obligation === 'string') faults.push(obligation);
  if (faults.length > 0 || typeof obligation === 'string') return { rule: null, faults };
  const parts = conjuncts(policy);
  const rule: Rule = {
    id,
    file,
    line,
    effect: policy.effect,
    description: notes.get('description') ?? null,
    obligation,
    publicText: notes.get('public') ?? null,
    publicPath: notes.get('path') ?? null,
    policy,
    conjuncts: parts,
    reads: parts.map((part) => readsOf(part.expr)).reduce(either, { arguments: false, now: false }),
  };
  return { rule, faults };
}

function strangeNotes(notes: ReadonlyMap<string, string>): string[] {
  return [...notes.keys()]
    .filter((name) => !(ANNOTATIONS as readonly string[]).includes(name))
    .map((name) => {
      const near = nearest(name, ANNOTATIONS);
      return `unknown annotation @${name}${near ? `, did you mean @${near}?` : ` (known: ${ANNOTATIONS.join(', ')})`}`;
    });
}

function misplacedNotes(notes: ReadonlyMap<string, string>, effect: 'permit' | 'forbid'): string[] {
  const faults: string[] = [];
  const kind = notes.get('obligation');
  if (kind !== undefined && effect === 'forbid') faults.push('an @obligation stands on a permit');
  if (effect === 'permit' && (notes.has('public') || notes.has('path')))
    faults.push('@public and @path say why a call is denied; they stand on a forbid');
  if (notes.has('path') && !notes.get('path')?.startsWith('/'))
    faults.push('@path is a JSON pointer into the arguments and begins with /');
  const owners = { rule: 'approval', profile: 'redaction', bytes: 'cap' } as const;
  for (const [name, owner] of Object.entries(owners)) {
    if (notes.has(name) && kind !== owner) faults.push(`@${name} goes with @obligation("${owner}")`);
  }
  return faults;
}

/** @returns the obligation, null when the rule is none, or what is wrong with it */
function readObligation(notes: ReadonlyMap<string, string>, id: string): Obligation | null | string {
  const kind = notes.get('obligation');
  if (kind === undefined) return null;
  if (kind === 'approval') {
    const rule = notes.get('rule') ?? id;
    return ID_PATTERN.test(rule) ? { kind, rule } : '@rule is the name of an approval rule';
  }
  if (kind === 'redaction') {
    const profile = notes.get('profile') ?? '';
    return ID_PATTERN.test(profile) ? { kind, profile } : '@obligation("redaction") needs @profile("…")';
  }
  if (kind === 'cap') {
    const bytes = notes.get('bytes') ?? '';
    return /^[1-9][0-9]{0,11}$/.test(bytes)
      ? { kind, bytes: Number(bytes) }
      : '@obligation("cap") needs @bytes("65536")';
  }
  const near = nearest(kind, OBLIGATION_KINDS);
  return `unknown obligation ${JSON.stringify(kind)}${near ? `, did you mean "${near}"?` : ` (known: ${OBLIGATION_KINDS.join(', ')})`}`;
}

/** @param offset in UTF-8 bytes, as Cedar counts */
function lineAt(text: string, offset: number): number {
  return Buffer.from(text).subarray(0, offset).toString('utf8').split('\n').length;
}
