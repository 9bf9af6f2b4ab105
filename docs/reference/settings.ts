import { z } from 'zod';
import { OWN_SECTIONS, SECTIONS } from '../../src/configuration.ts';
import { CONTROL_SECTIONS } from '../../src/sections.ts';

/** What a key of JSON Schema may carry, as far as this page shows it. */
interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly required?: readonly string[];
}

const HEAD = `# Settings

<!-- Written by docs/reference/generate.ts from the schemas of the sections. Do not edit: run \`node docs/reference/generate.ts\`. -->

\`gatewrit.yaml\` has one section per control and four more. Every section and key may be left out, unless the table says
*required*. An unknown key stops the start and names the nearest known one. A name in angle brackets is yours to choose;
\`[]\` stands for each item of a list. Secrets stand here only as references: \`env:NAME\` or \`file:PATH\`.
`;

/** docs/reference/settings.md, from the schemas that read the file. */
export function settingsPage(): string {
  const schemas: Readonly<Record<string, z.ZodType>> = { ...OWN_SECTIONS, ...CONTROL_SECTIONS };
  const sections = SECTIONS.map((name) => {
    const schema = z.toJSONSchema(schemas[name]!, { io: 'input', unrepresentable: 'any' }) as Schema;
    const rows = rowsOf(schema, '').map((row) => `| ${row.join(' | ')} |`);
    const control = Object.hasOwn(CONTROL_SECTIONS, name);
    const link = control ? `What it protects: [${name}](../../src/controls/${name}/README.md).\n\n` : '';
    const table = ['| key | value | default | meaning |', '|---|---|---|---|', ...rows].join('\n');
    return `## ${name}\n\n${link}${rows.length > 0 ? table : 'No keys.'}\n`;
  });
  return `${HEAD}\n${sections.join('\n')}`;
}

type Row = readonly [key: string, value: string, fallback: string, meaning: string];

function rowsOf(schema: Schema, at: string): Row[] {
  const own = (key: string) => (at === '' ? key : `${at}.${key}`);
  const rows = Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => [
    ...rowOf(inner, own(key), schema.required?.includes(key) ?? false),
    ...below(inner, own(key)),
  ]);
  if (typeof schema.additionalProperties !== 'object') return rows;
  return [...rows, ...below({ anyOf: [schema.additionalProperties] }, own('<name>'))];
}

/** Rows of what lies in a map, a list or a choice of forms. */
function below(schema: Schema, at: string): Row[] {
  const forms = schema.anyOf ?? schema.oneOf;
  if (forms) return onceEach(forms.flatMap((form) => below(form, at)));
  if (schema.items) return below(schema.items, `${at}[]`);
  return rowsOf(schema, at);
}

/** Forms of one thing have keys in common. */
function onceEach(rows: readonly Row[]): Row[] {
  return [...new Map(rows.map((row) => [row.join('|'), row])).values()];
}

/** A mapping without a sentence of its own says nothing that its keys do not say. */
function rowOf(schema: Schema, key: string, required: boolean): Row[] {
  if (schema.properties && !schema.description) return [];
  const shown = schema.default !== undefined && !(schema.properties && isEmpty(schema.default));
  const fallback = required ? '*required*' : shown ? code(JSON.stringify(schema.default)) : '';
  return [[code(key), cell(formOf(schema)), fallback, cell(schema.description ?? '')]];
}

function formOf(schema: Schema): string {
  if (schema.enum) return schema.enum.map((one) => code(String(one))).join(', ');
  if (schema.const !== undefined) return code(String(schema.const));
  const forms = schema.anyOf ?? schema.oneOf;
  if (forms) return [...new Set(forms.map(formOf))].join(' or ');
  if (schema.items) return `list of ${formOf(schema.items)}`;
  const { minimum, maximum } = schema;
  if (schema.type === 'integer' || schema.type === 'number') {
    if (minimum === undefined && maximum === undefined) return 'number';
    const to = maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? ' or more' : ` to ${maximum}`;
    return `${minimum ?? ''}${to}`;
  }
  return { object: 'mapping', string: 'text', boolean: '`true`, `false`' }[schema.type ?? ''] ?? (schema.type || 'any');
}

const isEmpty = (value: unknown) => typeof value === 'object' && value !== null && Object.keys(value).length === 0;
const code = (text: string) => `\`${cell(text)}\``;
const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
