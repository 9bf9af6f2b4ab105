import { readFileSync, statSync } from 'node:fs';
import { z } from 'zod';
import { SettingsError } from './internal-error.ts';

/**
 * Reads one section strictly: an unknown key is an error that names the nearest known one; every fault of the
 * section is listed in one go.
 * @param section name in gatewrit.yaml, e.g. `limits`
 * @throws SettingsError
 */
export function readSection<S extends z.ZodType>(section: string, schema: S, raw: unknown): z.output<S> {
  const read = schema.safeParse(raw ?? {});
  if (read.success) return read.data;
  throw new SettingsError(read.error.issues.map((issue) => describeIssue({ section, schema, raw }, issue)).join('\n'));
}

interface Read {
  readonly section: string;
  readonly schema: z.ZodType;
  readonly raw: unknown;
}

function describeIssue(read: Read, issue: z.core.$ZodIssue): string {
  const place = [read.section, ...issue.path.map(String)].join('.');
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const meant = formMeant(issue.errors);
    if (meant === null) return `${place}: takes one of ${knownKeys(read, issue.path).join(', ')}`;
    const inside = meant.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
    return inside.map((inner) => describeIssue(read, inner)).join('\n');
  }
  if (issue.code !== 'unrecognized_keys') return `${place}: ${issue.message}`;
  const known = knownKeys(read, issue.path);
  return issue.keys
    .map((key) => {
      const near = nearest(key, known);
      return `${place}: unknown key "${key}"${near ? `, did you mean "${near}"?` : ` (known: ${known.join(', ')})`}`;
    })
    .join('\n');
}

/** Of several forms the one that was written, by its keys; null: of none, or of more than one. */
function formMeant(forms: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] | null {
  const written = forms.filter((issues) => !issues.some(({ code, path }) => path.length === 0 && FOREIGN.has(code)));
  return written.length === 1 ? written[0]! : null;
}

/** Issues of a form as a whole that say: this is another one. */
const FOREIGN: ReadonlySet<string | undefined> = new Set(['unrecognized_keys', 'invalid_type', 'invalid_value']);

type JsonSchema = Readonly<Record<string, unknown>>;

function knownKeys({ schema, raw }: Read, path: readonly PropertyKey[]): string[] {
  let value = raw;
  let forms = formsOf(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }), value);
  for (const step of path) {
    value = (value as Record<PropertyKey, unknown> | null | undefined)?.[step];
    forms = forms.flatMap((form) => {
      const next = propertiesOf(form)[String(step)] ?? form['additionalProperties'] ?? form['items'];
      return formsOf(next, value);
    });
  }
  return [...new Set(forms.flatMap((form) => Object.keys(propertiesOf(form))))];
}

/** The forms a value may have; of forms told apart by a word in it (`kind: folder`) the one it names. */
function formsOf(json: unknown, value: unknown): JsonSchema[] {
  if (typeof json !== 'object' || json === null) return [];
  const several = (json as JsonSchema)['anyOf'] ?? (json as JsonSchema)['oneOf'];
  if (Array.isArray(several)) return several.flatMap((form) => formsOf(form, value));
  const said = value as Record<string, unknown> | null | undefined;
  const fits = Object.entries(propertiesOf(json as JsonSchema)).every(
    ([key, of]) => !('const' in of) || said?.[key] === of['const'],
  );
  return fits ? [json as JsonSchema] : [];
}

const propertiesOf = (form: JsonSchema) => (form['properties'] ?? {}) as Readonly<Record<string, JsonSchema>>;

/** The candidate with the smallest edit distance, when it is at most a third of the word. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let bound = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bound) {
      bound = distance;
      best = candidate;
    }
  }
  return best;
}

/** Letters left out, added, exchanged, or two that changed places (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      let least = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2]! + 1);
      next[j] = least;
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}

/** Settings hold secrets only by reference: `env:NAME` or `file:PATH`. */
export const secretReference = z
  .string()
  .regex(/^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/, 'must be a reference: env:NAME or file:PATH');

/**
 * Opens a secret reference. Never echoes the value.
 * @throws SettingsError when it is missing, empty, or a file others may read
 */
export function openSecret(reference: string): Buffer {
  if (reference.startsWith('env:')) {
    const value = process.env[reference.slice(4)];
    if (!value) throw new SettingsError(`${reference} is not set; export it before the start`);
    return Buffer.from(value);
  }
  const path = reference.slice(5);
  try {
    const mode = statSync(path).mode & 0o077;
    if (mode !== 0)
      throw new SettingsError(`${path} may be read by others (mode ${mode.toString(8)}); run: chmod 600 ${path}`);
    const value = readFileSync(path);
    if (value.length === 0) throw new SettingsError(`${path} is empty`);
    return value;
  } catch (cause) {
    if (cause instanceof SettingsError) throw cause;
    throw new SettingsError(`${path} cannot be read; create it or point the setting elsewhere`, cause);
  }
}
