import { _, Ajv2020, type ErrorObject, type KeywordErrorDefinition } from 'ajv/dist/2020.js';
import { allDifferent, oneOfValues } from './equality.ts';
import { FORMATS } from './formats.ts';
import { compilePattern, type Pattern } from './pattern.ts';
import { SchemaFault, STEP, screenSchema } from './schema-screen.ts';

/** How often one judgement may follow a `$ref`: a recursive schema with branches could otherwise work for ever. */
const MAX_STEPS = 100_000;
/** Steps of patterns that repeat by the hundred, in one judgement: linear in the text, they could still take minutes. */
const MAX_PATTERN_STEPS = 20_000_000;
const SMALL_PATTERN = 100;

export interface Violation {
  readonly keyword: string;
  /** JSON pointer into the value. Attacker-controlled where the schema leaves names open. */
  readonly pointer: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** The keyword's value in the schema. */
  readonly expected: unknown;
}

export interface Compiled {
  /** Every property name the schema declares anywhere: those may be named in an answer. */
  readonly names: ReadonlySet<string>;
  /** Null when the value matches. A judgement that cannot be finished is a violation. */
  violation(value: unknown): Violation | null;
}

class TooManySteps extends Error {}

/**
 * Compiles screened schemas to functions. One compiler serves all schemas of a gateway: nothing of one stays behind
 * for the next, because ids are screened out and each is removed from the compiler's cache at once.
 */
export class SchemaCompiler {
  readonly #ajv: Ajv2020;
  #steps = 0;
  #patternSteps = 0;

  constructor(options: { readonly formats: 'assert' | 'annotate' }) {
    const ajv = new Ajv2020({
      // Inherited names (constructor, toString) are no members (SC-02).
      ownProperties: true,
      strict: false,
      validateFormats: options.formats === 'assert',
      formats: options.formats === 'assert' ? { ...FORMATS } : {},
      // On a fault the compiler would print generated code.
      logger: false,
      code: {
        regExp: Object.assign((pattern: string) => this.#bounded(compilePattern(pattern)), { code: 'compilePattern' }),
      },
    });
    for (const keyword of ['const', 'enum', 'uniqueItems']) ajv.removeKeyword(keyword);
    ajv.addKeyword({ keyword: 'const', compile: (allowed: unknown) => oneOfValues([allowed]), error: BEARS_VALUE });
    ajv.addKeyword({
      keyword: 'enum',
      compile: (allowed: readonly unknown[]) => oneOfValues(allowed),
      error: BEARS_VALUE,
    });
    ajv.addKeyword({
      keyword: 'uniqueItems',
      type: 'array',
      compile: (on: boolean) => (on ? allDifferent : () => true),
    });
    ajv.addKeyword({
      keyword: STEP,
      compile: () => () => {
        if (++this.#steps > MAX_STEPS) throw new TooManySteps();
        return true;
      },
    });
    this.#ajv = ajv;
  }

  #bounded(pattern: Pattern): Pattern {
    if (pattern.steps <= SMALL_PATTERN) return pattern;
    return {
      ...pattern,
      test: (text) => {
        this.#patternSteps += pattern.steps * text.length;
        if (this.#patternSteps > MAX_PATTERN_STEPS) throw new TooManySteps();
        return pattern.test(text);
      },
    };
  }

  /** @returns the compiled schema, or a sentence that says why it cannot be enforced */
  compile(schema: unknown): Compiled | string {
    try {
      const screened = screenSchema(schema);
      const validate = this.#ajv.compile(screened.schema);
      if (typeof screened.schema === 'object') this.#ajv.removeSchema(screened.schema);
      return {
        names: screened.names,
        violation: (value) => {
          this.#steps = 0;
          this.#patternSteps = 0;
          try {
            return validate(value) ? null : toViolation(validate.errors);
          } catch (fault) {
            // Steps or stack used up: a value that cannot be judged does not pass.
            if (fault instanceof TooManySteps || fault instanceof RangeError) return UNJUDGED;
            throw fault;
          }
        },
      };
    } catch (fault) {
      if (fault instanceof SchemaFault) return fault.message;
      // Meta-schema violations and unresolvable references; the compiler's own words may quote the schema.
      return 'the schema is not valid JSON Schema 2020-12, or a reference in it leads nowhere';
    }
  }
}

const BEARS_VALUE: KeywordErrorDefinition = {
  message: 'is none of the listed values',
  params: ({ schemaCode }) => _`{allowed: ${schemaCode}}`,
};

/**
 * Where an error bears the keyword's value. (With `verbose` every error would, but the value that was judged as well: a
 * compiled schema holds its last errors until it judges again, and with them somebody's arguments or result.)
 */
const VALUES = ['limit', 'multipleOf', 'pattern', 'format', 'allowed'];

const UNJUDGED: Violation = { keyword: STEP, pointer: '', params: {}, expected: undefined };

/** The outermost error says most, but for `if`, where the branch says what is wrong. */
function toViolation(errors: readonly ErrorObject[] | null | undefined): Violation {
  const last = errors?.at(-1);
  const chosen = last?.keyword === 'if' ? errors?.[0] : last;
  if (!chosen) return UNJUDGED;
  const { keyword, instancePath: pointer, params } = chosen;
  const value = VALUES.find((name) => Object.hasOwn(params, name));
  return { keyword, pointer, params, expected: value === undefined ? undefined : params[value] };
}
