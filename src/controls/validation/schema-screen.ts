import { compilePattern, PatternFault } from './pattern.ts';

/**
 * Screens a schema before anything compiles it (SC-02 to SC-04). What comes out holds only keywords we enforce
 * completely; a schema that leans on anything else is refused when the tool is registered, never half-enforced.
 * Annotations and unknown keywords are left behind, so that no private extension of the compiler is ever reached.
 */
export const SCHEMA_BOUNDS = { bytes: 256 * 1024, depth: 48, keywords: 5_000, patternSteps: 100_000 } as const;

/** Marks a subschema with a `$ref`, so that the compiler counts how often it is followed. */
export const STEP = 'gatewrit-step';

const DIALECTS = new Set([
  'https://json-schema.org/draft/2020-12/schema',
  'https://json-schema.org/draft/2019-09/schema',
  'http://json-schema.org/draft-07/schema',
]);

const ONE = new Set(['additionalProperties', 'items', 'contains', 'propertyNames', 'not', 'if', 'then', 'else']);
const LIST = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const NAMED = new Set(['properties', 'patternProperties', 'dependentSchemas', '$defs', 'definitions']);
const PLAIN = new Set([
  'type',
  'enum',
  'const',
  'multipleOf',
  'maximum',
  'exclusiveMaximum',
  'minimum',
  'exclusiveMinimum',
  'maxLength',
  'minLength',
  'pattern',
  'format',
  'maxItems',
  'minItems',
  'uniqueItems',
  'maxContains',
  'minContains',
  'maxProperties',
  'minProperties',
  'required',
  'dependentRequired',
  '$anchor',
]);
/** What the compiler is known to misjudge (vectors), or what older dialects mean by it. */
const REFUSED = new Set([
  '$dynamicRef',
  '$dynamicAnchor',
  '$recursiveRef',
  '$recursiveAnchor',
  '$vocabulary',
  'dependencies',
  'additionalItems',
]);

/** Keywords that evaluate the same value in another place; beside one of them `unevaluated…` sees what we cannot. */
const IN_PLACE = ['$ref', 'allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'dependentSchemas', 'contains'];

export type Screened = boolean | Readonly<Record<string, unknown>>;

export class SchemaFault extends Error {}

/**
 * @returns the schema to compile and every property name it declares anywhere
 * @throws SchemaFault with a sentence that says why the schema is refused
 */
export function screenSchema(schema: unknown): { readonly schema: Screened; readonly names: ReadonlySet<string> } {
  return new Screen().root(schema);
}

class Screen {
  readonly #names = new Set<string>();
  #keywords = 0;
  #patternSteps = 0;

  root(schema: unknown): { readonly schema: Screened; readonly names: ReadonlySet<string> } {
    if (isObject(schema)) {
      checkDialect(schema['$schema']);
      checkId(schema['$id']);
    }
    const screened = this.#subschema(schema, 0, true);
    if (JSON.stringify(screened).length > SCHEMA_BOUNDS.bytes) throw new SchemaFault('the schema is too large');
    return { schema: screened, names: this.#names };
  }

  #subschema(schema: unknown, depth: number, root = false): Screened {
    if (typeof schema === 'boolean') return schema;
    if (!isObject(schema)) throw new SchemaFault('a schema is neither an object nor true or false');
    if (depth > SCHEMA_BOUNDS.depth) throw new SchemaFault('the schema is nested too deep');
    if (!root && Object.hasOwn(schema, '$id')) throw new SchemaFault('$id inside a schema is not supported');
    if (!root && Object.hasOwn(schema, '$schema')) throw new SchemaFault('$schema inside a schema is not supported');
    const out: Record<string, unknown> = {};
    for (const keyword of Object.keys(schema)) {
      if (++this.#keywords > SCHEMA_BOUNDS.keywords) throw new SchemaFault('the schema has too many keywords');
      if (keyword === 'unevaluatedProperties' || keyword === 'unevaluatedItems') {
        this.#unevaluated(out, keyword, schema, depth + 1);
      } else this.#keyword(out, keyword, schema[keyword], depth + 1);
    }
    return out;
  }

  #keyword(out: Record<string, unknown>, keyword: string, value: unknown, depth: number): void {
    if (REFUSED.has(keyword)) throw new SchemaFault(`${keyword} is not supported`);
    if (ONE.has(keyword)) out[keyword] = this.#subschema(value, depth);
    else if (LIST.has(keyword)) out[keyword] = listOf(keyword, value).map((item) => this.#subschema(item, depth));
    else if (NAMED.has(keyword)) out[keyword] = this.#named(keyword, value, depth);
    else if (keyword === '$ref') Object.assign(out, { $ref: localRef(value), [STEP]: true });
    else if (PLAIN.has(keyword)) out[keyword] = this.#plain(keyword, value);
  }

  /**
   * The compiler misjudges these two. Without in-place applicators beside them they say the same as
   * additionalProperties and items, and nothing at all where those stand already.
   */
  #unevaluated(
    out: Record<string, unknown>,
    keyword: string,
    schema: Readonly<Record<string, unknown>>,
    depth: number,
  ): void {
    const beside = IN_PLACE.find((name) => Object.hasOwn(schema, name));
    if (beside !== undefined) throw new SchemaFault(`${keyword} beside ${beside} is not supported`);
    const same = keyword === 'unevaluatedProperties' ? 'additionalProperties' : 'items';
    const screened = this.#subschema(schema[keyword], depth);
    if (!Object.hasOwn(schema, same)) out[same] = screened;
  }

  #named(keyword: string, value: unknown, depth: number): object {
    if (!isObject(value)) throw new SchemaFault(`${keyword} is not an object`);
    const out: Record<string, unknown> = {};
    for (const name of Object.keys(value)) {
      if (name === '__proto__') throw new SchemaFault(`${keyword} names __proto__`);
      if (++this.#keywords > SCHEMA_BOUNDS.keywords) throw new SchemaFault('the schema has too many keywords');
      if (keyword === 'properties') this.#names.add(name);
      if (keyword === 'patternProperties') this.#pattern(name);
      out[name] = this.#subschema(value[name], depth);
    }
    return out;
  }

  #plain(keyword: string, value: unknown): unknown {
    if (keyword === 'pattern') this.#pattern(value);
    if (keyword === 'enum' && (!Array.isArray(value) || value.length === 0)) {
      throw new SchemaFault('enum is not a list of at least one value');
    }
    if (keyword === 'required' && Array.isArray(value)) for (const name of value) this.#names.add(String(name));
    if (keyword === 'dependentRequired' && isObject(value)) {
      if (Object.hasOwn(value, '__proto__')) throw new SchemaFault('dependentRequired names __proto__');
      for (const names of Object.values(value))
        if (Array.isArray(names)) for (const name of names) this.#names.add(String(name));
    }
    return value;
  }

  /** Their compilation takes time and memory by their steps, not by their length. */
  #pattern(pattern: unknown): void {
    this.#patternSteps += stepsOf(pattern);
    if (this.#patternSteps > SCHEMA_BOUNDS.patternSteps)
      throw new SchemaFault('the patterns of the schema repeat too much');
  }
}

function checkDialect(dialect: unknown): void {
  if (dialect === undefined) return;
  if (typeof dialect !== 'string' || !DIALECTS.has(dialect.replace(/#$/, ''))) {
    throw new SchemaFault('$schema names a dialect that is not supported');
  }
}

/** A base URI changes nothing while every reference is local; one that points to the network has no business here. */
function checkId(id: unknown): void {
  if (id === undefined) return;
  if (typeof id !== 'string' || /^[a-z][a-z0-9+.-]*:\/\/|^\/\//i.test(id)) {
    throw new SchemaFault('$id points to the network');
  }
}

/** Only inside this schema; nothing is ever fetched. */
function localRef(value: unknown): string {
  if (typeof value !== 'string' || !value.startsWith('#')) throw new SchemaFault('$ref leads out of the schema');
  return value;
}

function stepsOf(pattern: unknown): number {
  if (typeof pattern !== 'string') throw new SchemaFault('a pattern is not a string');
  try {
    return compilePattern(pattern).steps;
  } catch (fault) {
    if (fault instanceof PatternFault) throw new SchemaFault(fault.message);
    throw fault;
  }
}

function listOf(keyword: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new SchemaFault(`${keyword} is not a list`);
  return value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
