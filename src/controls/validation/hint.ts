import type { Compiled, Violation } from './schema.ts';

/** What a refusal of arguments may say: where and which rule, in words a model can act on; never a value of the call. */
export interface Hint {
  /** JSON pointer. A step the schema does not name is `*`: member names of open objects are content too. */
  readonly path: string;
  readonly text: string;
}

export function hintFor(violation: Violation, names: Compiled['names'], declared: readonly string[]): Hint {
  const missing = violation.params['missingProperty'];
  const path =
    publicPointer(violation.pointer, names) + (typeof missing === 'string' ? publicStep(missing, names) : '');
  return {
    path: path === '' ? '/' : path,
    text: `${path === '' ? '/' : path}: ${words(violation, path === '' ? declared : [])}`,
  };
}

function publicPointer(pointer: string, names: ReadonlySet<string>): string {
  return pointer
    .split('/')
    .slice(1)
    .map((step) => publicStep(step.replaceAll('~1', '/').replaceAll('~0', '~'), names))
    .join('');
}

function publicStep(name: string, names: ReadonlySet<string>): string {
  const known = names.has(name) || /^\d{1,6}$/.test(name);
  return known ? `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}` : '/*';
}

function words(violation: Violation, declared: readonly string[]): string {
  const { keyword, params, expected } = violation;
  const limit = typeof expected === 'number' ? String(expected) : '';
  switch (keyword) {
    case 'required':
      return 'required';
    case 'dependentRequired':
      return 'required together with another member';
    case 'additionalProperties':
    case 'propertyNames':
      return declared.length > 0
        ? `has a member that is not in the schema (known: ${listed(declared)})`
        : 'has a member that is not in the schema';
    case 'type':
      return `must be ${[params['type']].flat().join(' or ')}`;
    case 'enum':
      return Array.isArray(expected)
        ? `must be one of ${listed(expected.map((value) => JSON.stringify(value)))}`
        : 'must be one of the listed values';
    case 'const':
      return `must be ${short(JSON.stringify(expected))}`;
    case 'minimum':
      return `must be >= ${limit}`;
    case 'maximum':
      return `must be <= ${limit}`;
    case 'exclusiveMinimum':
      return `must be > ${limit}`;
    case 'exclusiveMaximum':
      return `must be < ${limit}`;
    case 'multipleOf':
      return `must be a multiple of ${limit}`;
    case 'minLength':
      return `must have at least ${limit} characters`;
    case 'maxLength':
      return `must have at most ${limit} characters`;
    case 'minItems':
      return `must have at least ${limit} items`;
    case 'maxItems':
      return `must have at most ${limit} items`;
    case 'minProperties':
      return `must have at least ${limit} members`;
    case 'maxProperties':
      return `must have at most ${limit} members`;
    case 'uniqueItems':
      return 'items must differ';
    case 'pattern':
      return `must match the pattern ${short(String(expected))}`;
    case 'format':
      return `must be a valid ${String(expected)}`;
    case 'contains':
      return 'must contain an item of the listed kind';
    case 'oneOf':
      return 'must match exactly one of the allowed forms';
    case 'anyOf':
      return 'must match one of the allowed forms';
    case 'not':
      return 'must not match a form that is excluded';
    case 'false schema':
      return 'is not allowed';
    default:
      return 'does not match the schema';
  }
}

function listed(items: readonly string[]): string {
  const shown = items.slice(0, 12).map(short).join(', ');
  return items.length > 12 ? `${shown}, …` : shown;
}

function short(text: string): string {
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}
