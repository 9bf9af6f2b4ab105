import type { Target } from '../../core/call.ts';

/** Categories of the annotation `x-data-classification` (OpenAPI extension registry) that declare a secret. */
const CATEGORIES = new Set<unknown>(['secret', 'credential']);

/**
 * Does this field of a tool's arguments say that it takes a secret? By annotation in the pinned, reviewed input
 * schema, or by the operator's settings; never by what the live server says.
 * @param fields pointers from the settings; `*` stands for one member
 */
export function declaresSecret(
  target: Target,
  segments: readonly (string | number)[],
  fields: readonly string[],
): boolean {
  if (fields.some((field) => matches(field, segments))) return true;
  let schema: unknown = target.definition['inputSchema'];
  for (const segment of segments) {
    if (isDeclared(schema)) return true;
    schema = step(schema, segment);
  }
  return isDeclared(schema);
}

function isDeclared(schema: unknown): boolean {
  const note = own(schema, 'x-data-classification');
  return CATEGORIES.has(own(note, 'category'));
}

function step(schema: unknown, segment: string | number): unknown {
  if (typeof segment === 'number') return own(schema, 'items');
  return own(own(schema, 'properties'), segment) ?? own(schema, 'additionalProperties');
}

function own(object: unknown, name: string): unknown {
  if (typeof object !== 'object' || object === null || !Object.hasOwn(object, name)) return undefined;
  return (object as Record<string, unknown>)[name];
}

function matches(field: string, segments: readonly (string | number)[]): boolean {
  const parts = field
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  return parts.length <= segments.length && parts.every((part, i) => part === '*' || part === String(segments[i]));
}
