import type { Target } from '../../core/call.ts';
import { InternalError } from '../../core/internal-error.ts';
import { foldKey } from '../../core/mcp/key-names.ts';
import { RecentPairs } from '../../core/recent.ts';
import { type Hint, hintFor } from './hint.ts';
import type { Compiled, SchemaCompiler } from './schema.ts';

/** Judges the arguments of one pinned definition. Null: they match. */
export type ArgumentsJudge = (args: Readonly<Record<string, unknown>>) => Hint | null;

/** Judges by definition digest, compiled at first use, the least recently used dropped first. */
export class Definitions {
  readonly #compiler: SchemaCompiler;
  readonly #judges: RecentPairs<ArgumentsJudge>;
  readonly #outputs: RecentPairs<Compiled>;

  constructor(compiler: SchemaCompiler, max: number) {
    this.#compiler = compiler;
    this.#judges = new RecentPairs(max);
    this.#outputs = new RecentPairs(max);
  }

  /** @throws InternalError when the pinned definition cannot be enforced: it should not have been registered */
  judgeOf(target: Target): ArgumentsJudge {
    const known = this.#judges.get(target.kind, target.digest);
    if (known !== undefined) return known;
    const judge = judgeFor(target, this.#compiler);
    if (typeof judge === 'string') throw unusable(target, judge);
    this.#judges.set(target.kind, target.digest, judge);
    return judge;
  }

  /**
   * Where a structured result breaks what the tool promised, as a path that holds no value; null: nowhere.
   * @throws InternalError as `judgeOf`
   */
  outputFault(target: Target, structured: unknown): string | null {
    const schema = target.definition['outputSchema'];
    if (schema === undefined) return null;
    let compiled = this.#outputs.get(target.kind, target.digest);
    if (compiled === undefined) {
      const made = this.#compiler.compile(schema);
      if (typeof made === 'string') throw unusable(target, made);
      this.#outputs.set(target.kind, target.digest, made);
      compiled = made;
    }
    const violation = compiled.violation(structured);
    return violation && hintFor(violation, compiled.names, []).path;
  }
}

function unusable(target: Target, why: string): InternalError {
  return new InternalError('validation.schema_unusable', `${target.key}: ${why}; review the manifest again`);
}

function judgeFor(target: Target, compiler: SchemaCompiler): ArgumentsJudge | string {
  if (target.kind === 'resource' || target.kind === 'template') return () => null;
  if (target.kind === 'prompt') return promptJudge(target.definition['arguments']);
  const schema = target.definition['inputSchema'];
  if (schema === undefined) return 'the definition has no inputSchema';
  const compiled = compiler.compile(schema);
  return typeof compiled === 'string' ? compiled : schemaJudge(compiled, rootProperties(schema));
}

function schemaJudge(compiled: Compiled, declared: readonly string[]): ArgumentsJudge {
  const disguised = disguiseOf(declared);
  return (args) => {
    const violation = compiled.violation(args);
    if (violation !== null) return hintFor(violation, compiled.names, declared);
    return disguised(args)
      ? { path: '/', text: '/: has a member that differs from one of the schema only in case' }
      : null;
  };
}

/**
 * Finds a member that a decoder without regard to case would take for a declared one (`Path` beside `path`): policy
 * would read one value and the tool another. Judged at the root, where policy reads.
 */
function disguiseOf(declared: readonly string[]): (args: Readonly<Record<string, unknown>>) => boolean {
  const exact = new Set(declared);
  const folded = new Set(declared.map(foldKey));
  return (args) => {
    for (const name of Object.keys(args)) if (!exact.has(name) && folded.has(foldKey(name))) return true;
    return false;
  };
}

function rootProperties(schema: unknown): readonly string[] {
  const properties = (schema as Readonly<Record<string, unknown>>)['properties'];
  return typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
}

/** Prompts declare names only: all values are strings, nothing undeclared passes. */
function promptJudge(declaration: unknown): ArgumentsJudge | string {
  const list = declaration ?? [];
  if (!Array.isArray(list) || !list.every((one) => typeof one?.name === 'string'))
    return 'arguments is not a list of named arguments';
  const names = new Set<string>(list.map((one) => one.name));
  const required = list.filter((one) => one.required === true).map((one) => one.name as string);
  const known = [...names].join(', ');
  return (args) => {
    for (const name of required)
      if (!Object.hasOwn(args, name)) return { path: `/${name}`, text: `/${name}: required` };
    for (const name of Object.keys(args)) {
      if (!names.has(name))
        return { path: '/', text: `/: has an argument the prompt does not declare (known: ${known})` };
      if (typeof args[name] !== 'string') return { path: `/${name}`, text: `/${name}: must be string` };
    }
    return null;
  };
}
