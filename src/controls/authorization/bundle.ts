import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { SettingsError } from '../../core/internal-error.ts';
import { argumentsType } from './argument-types.ts';
import { BUILT_IN } from './built-in.ts';
import { type Catalogue, catalogueOf, readCatalogue, SCOPES_FILE, unknownScope } from './catalogue.ts';
import { cedarSchema } from './cedar-schema.ts';
import type { Engine } from './engine.ts';
import { children, type Expr, operator, pathOf } from './expression.ts';
import type { Sources } from './folder.ts';
import { type Rule, readRules } from './rules.ts';

/** Scopes and rules that belong together and change together. */
export interface Bundle {
  /** Digest over catalogue, rules, built-in rules, schema and engine: what records name as policy version. */
  readonly version: string;
  readonly catalogue: Catalogue;
  readonly rules: readonly Rule[];
}

/** Everything found wrong in one go. `findings` stop a load; `warnings` are for `policy lint`. */
export interface Inspection {
  readonly bundle: Bundle | null;
  readonly findings: readonly string[];
  readonly warnings: readonly string[];
}

/** @throws SettingsError with every finding, one per line */
export function compileBundle(engine: Engine, sources: Sources): Bundle {
  const { bundle, findings } = inspect(engine, sources);
  if (bundle) return bundle;
  throw new SettingsError(findings.join('\n'));
}

export function inspect(engine: Engine, sources: Sources): Inspection {
  const findings: string[] = [];
  let catalogue = catalogueOf(new Map());
  try {
    if (sources.scopes !== null) catalogue = readCatalogue(sources.scopes);
  } catch (fault) {
    if (!(fault instanceof SettingsError)) throw fault;
    findings.push(...fault.message.split('\n'));
  }
  const rules: Rule[] = [];
  for (const source of [BUILT_IN, ...sources.cedar]) {
    const read = readRules(engine, source);
    rules.push(...read.rules);
    findings.push(...read.findings);
  }
  findings.push(...repeatedIds(rules));
  const checked = findings.length === 0 ? validateRules(engine, rules) : { errors: [], warnings: [] };
  findings.push(...checked.errors);
  if (sources.scopes === null || findings.every((finding) => !finding.startsWith(SCOPES_FILE)))
    findings.push(...strangeScopes(rules, catalogue));
  const bundle = findings.length === 0 ? { version: versionOf(engine, sources), catalogue, rules } : null;
  return { bundle, findings, warnings: checked.warnings };
}

function versionOf(engine: Engine, sources: Sources): string {
  const all = [
    engine.version,
    cedarSchema('{}'),
    BUILT_IN.text,
    sources.scopes,
    sources.cedar.map((s) => [s.file, s.text]),
  ];
  return sha256Base64Url(JSON.stringify(all));
}

function repeatedIds(rules: readonly Rule[]): string[] {
  const first = new Map<string, Rule>();
  return rules.flatMap((rule) => {
    const other = first.get(rule.id);
    if (!other) first.set(rule.id, rule);
    return other ? [`${place(rule)}: @id("${rule.id}") stands already at ${place(other)}`] : [];
  });
}

/** Every rule is checked against the arguments it reads itself; those that read the same are checked together. */
function validateRules(engine: Engine, rules: readonly Rule[]): { errors: string[]; warnings: string[] } {
  const groups = Map.groupBy(rules, (rule) => (rule.reads.arguments ? argumentsType(rule.policy) : '{}'));
  const errors: string[] = [];
  const warnings: string[] = [];
  for (const [type, group] of groups) {
    const byId = new Map(group.map((rule) => [rule.id, rule]));
    const answer = engine.validate(cedarSchema(type), Object.fromEntries(group.map((rule) => [rule.id, rule.policy])));
    const say = ({ id, message }: { id: string; message: string }) => `${place(byId.get(id)!)}: ${message}`;
    errors.push(...answer.errors.map(say));
    warnings.push(...answer.warnings.map(say));
  }
  return { errors, warnings };
}

/** A scope a rule names but nobody can be granted is a spelling mistake, and in a forbid a hole. */
function strangeScopes(rules: readonly Rule[], catalogue: Catalogue): string[] {
  return rules.flatMap((rule) =>
    rule.conjuncts
      .flatMap(({ expr }) => scopeLiterals(expr))
      .filter((scope) => !catalogue.scopes.has(scope))
      .map((scope) => `${place(rule)}: ${unknownScope(scope, catalogue.scopes)}`),
  );
}

const SET_OPERATORS = new Set(['contains', 'containsAll', 'containsAny', '==', '!=']);

function scopeLiterals(expr: Expr): string[] {
  const { name, body } = operator(expr);
  const below = children(expr).flatMap(scopeLiterals);
  if (!SET_OPERATORS.has(name)) return below;
  const sides = [body['left'] as Expr, body['right'] as Expr];
  if (!sides.some((side) => pathOf(side)?.at(-1) === 'scopes')) return below;
  return [...below, ...sides.flatMap(textLiterals)];
}

function textLiterals(expr: Expr): string[] {
  const { name, body } = operator(expr);
  if (name === 'Value') return [body as unknown].flat().filter((value) => typeof value === 'string');
  return name === 'Set' ? children(expr).flatMap(textLiterals) : [];
}

export function place(rule: Rule): string {
  return `${rule.file}:${rule.line}`;
}
