import { z } from 'zod';
import { type Configuration, OWN_SECTIONS, SECTIONS } from '../../configuration.ts';
import { CONTROL_SECTIONS } from '../../sections.ts';

interface Schema {
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  /** Kinds of one thing, told apart by a constant. */
  readonly oneOf?: readonly Schema[];
  readonly const?: unknown;
}

/** One key the file sets. */
export interface SetKey {
  readonly key: string;
  readonly value: string;
  readonly fallback: string | null;
  readonly meaning: string;
}

const SHOWN_CHARACTERS = 60;
/** Values here may be secrets somebody wrote in clear, so they are never shown. */
const UNSHOWN = /^upstreams\.[^.]+\.stdio\.(env|args)\b/;

/** Every key the file sets, with what it means: `gatewrit check` explains the whole file. */
export function explained(configuration: Configuration): readonly SetKey[] {
  const schemas: Readonly<Record<string, z.ZodType>> = { ...OWN_SECTIONS, ...CONTROL_SECTIONS };
  return SECTIONS.flatMap((name) => {
    const schema = z.toJSONSchema(schemas[name]!, { io: 'input', unrepresentable: 'any' }) as Schema;
    return keysOf(configuration.section(name), schema, name);
  });
}

function keysOf(value: unknown, schema: Schema, at: string): SetKey[] {
  if (value === undefined) return [];
  const forms = [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? []).filter((form) => isOfKind(form, value))];
  if (Array.isArray(value)) {
    const items = forms.find(({ items }) => items)?.items;
    if (items && value.some((item) => typeof item === 'object'))
      return value.flatMap((item, i) => keysOf(item, items, `${at}[${i}]`));
  } else if (typeof value === 'object' && value !== null && !UNSHOWN.test(at)) {
    return Object.entries(value).flatMap(([key, inner]) => {
      const known = forms.flatMap(({ properties = {}, additionalProperties: more }) =>
        Object.hasOwn(properties, key) ? [properties[key]!] : typeof more === 'object' ? [more] : [],
      );
      return keysOf(inner, known[0] ?? {}, `${at}.${key}`);
    });
  }
  const fallback = schema.default === undefined ? null : shortened(JSON.stringify(schema.default));
  return [{ key: at, value: shown(value, at), fallback, meaning: schema.description ?? '' }];
}

/** Whether every constant of the form is what the value has there. */
function isOfKind({ properties = {} }: Schema, value: unknown): boolean {
  const has = (value ?? {}) as Readonly<Record<string, unknown>>;
  return Object.entries(properties).every(([key, of]) => of.const === undefined || of.const === has[key]);
}

function shown(value: unknown, at: string): string {
  if (!UNSHOWN.test(at)) return shortened(JSON.stringify(value));
  return `(${Object.keys(value as object).length})`;
}

const shortened = (text: string) =>
  text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS - 1)}…`;
