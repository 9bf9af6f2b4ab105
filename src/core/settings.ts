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
  throw new SettingsError(read.error.issues.map((issue) => describeIssue(section, schema, issue)).join('\n'));
}

function describeIssue(section: string, schema: z.ZodType, issue: z.core.$ZodIssue): string {
  const place = [section, ...issue.path.map(String)].join('.');
  if (issue.code !== 'unrecognized_keys') return `${place}: ${issue.message}`;
  const known = knownKeys(schema, issue.path);
  return issue.keys
    .map((key) => {
      const near = nearest(key, known);
      return `${place}: unknown key "${key}"${near ? `, did you mean "${near}"?` : ` (known: ${known.join(', ')})`}`;
    })
    .join('\n');
}

function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>;
  for (const step of path) {
    const properties = json['properties'] as Record<string, Record<string, unknown>> | undefined;
    const next = properties?.[String(step)] ?? json['additionalProperties'] ?? json['items'];
    if (typeof next !== 'object' || next === null) return [];
    json = next as Record<string, unknown>;
  }
  return Object.keys((json['properties'] as object | undefined) ?? {});
}

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
