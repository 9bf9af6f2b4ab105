import { z } from 'zod';
import { EFFECTS, ERROR_MODES, type Target } from '../../core/call.ts';
import { parseStrict } from './strict-json.ts';

/**
 * The capability manifest, format 1 (docs/decisions/manifests.md): what one server offers, word for word as a person
 * reviewed it, and what we add to each item. It names its server and holds no command: commands come from operator
 * settings alone (threats.md T30a).
 */
export const MANIFEST_FORMAT = 1;
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/** The lists of a manifest, in the order people read them. */
export const LISTS = ['tools', 'prompts', 'resources', 'templates'] as const;
export type ListName = (typeof LISTS)[number];
export const ITEM_KINDS = ['tool', 'prompt', 'resource', 'template'] as const;
export type ItemKind = (typeof ITEM_KINDS)[number];
export const KIND_OF: Readonly<Record<ListName, ItemKind>> = {
  tools: 'tool',
  prompts: 'prompt',
  resources: 'resource',
  templates: 'template',
};

export const SERVER_NAME = /^[a-z0-9-]{1,32}$/;
/** Begins with a letter: Gemini clients refuse tool names that do not. */
export const PREFIX = /^[a-z](?:[a-z0-9-]{0,14}[a-z0-9])?$/;

/** What an item may ask for when its review says nothing else. */
export const DEFAULT_LIMITS: Target['limits'] = {
  cost: 1,
  maxArgumentBytes: 64 * 1024,
  maxResultBytes: 1024 * 1024,
  maxConcurrent: 16,
  timeoutMs: 30_000,
};

const limits = z.strictObject({
  cost: z.number().int().min(1).max(1000).optional(),
  maxArgumentBytes: z
    .number()
    .int()
    .min(2)
    .max(16 * 1024 * 1024)
    .optional(),
  maxResultBytes: z
    .number()
    .int()
    .min(2)
    .max(64 * 1024 * 1024)
    .optional(),
  maxConcurrent: z.number().int().min(1).max(10_000).optional(),
  timeoutMs: z.number().int().min(1).max(3_600_000).optional(),
});

const text = (max: number) => z.string().min(1).max(max);
const named = z.looseObject({ name: text(256), description: z.string().max(65_536).optional() });
const definitions = {
  tools: named.extend({
    inputSchema: z.looseObject({ type: z.literal('object') }),
    outputSchema: z.looseObject({}).optional(),
    annotations: z.looseObject({}).optional(),
  }),
  prompts: named,
  resources: named.extend({ uri: text(2048) }),
  templates: named.extend({ uriTemplate: text(2048) }),
};

const item = <D extends z.ZodType>(definition: D) =>
  z.strictObject({
    exposed: text(2048),
    scopes: z.array(text(128)).min(1, 'name at least one scope: an empty list means nobody'),
    effect: z.enum(EFFECTS),
    limits: limits.optional(),
    errors: z.enum(ERROR_MODES).optional(),
    definition,
  });

const excluded = z.strictObject({ kind: z.enum(ITEM_KINDS), name: text(2048), reason: text(500) });

export const manifestSchema = z.strictObject({
  format: z.literal(MANIFEST_FORMAT),
  server: z
    .string()
    .regex(SERVER_NAME, 'a server name is [a-z0-9-], at most 32 characters')
    .refine((name) => name !== 'gatewrit', 'this name belongs to the gateway itself'),
  prefix: z.string().regex(PREFIX, 'a prefix is [a-z0-9-], begins with a letter, at most 16 characters'),
  title: text(200),
  version: text(64),
  owner: text(200),
  /** Where the server is reached, as `endpointOf` says it; when present, operator settings must say the same. */
  endpoint: text(2048).optional(),
  /** Our own words for clients of `/mcp/{server}`; the server's are never passed on. */
  instructions: z.string().max(8192).optional(),
  expires: z.iso.datetime({ offset: true }).optional(),
  review: z.strictObject({
    by: text(200),
    at: z.iso.datetime({ offset: true }),
    note: text(4000),
    /** Ids of text findings a person has looked at and lets pass. */
    accepted: z.array(text(100)).default([]),
  }),
  tools: z.array(item(definitions.tools)).max(2000),
  prompts: z.array(item(definitions.prompts)).max(2000),
  resources: z.array(item(definitions.resources)).max(2000),
  templates: z.array(item(definitions.templates)).max(2000),
  /** What the server offers and the reviewer left out, so that it is not reported as new. */
  excluded: z.array(excluded).max(2000).default([]),
});
export type Manifest = z.output<typeof manifestSchema>;
export type ManifestItem = Manifest[ListName][number];

export const FAULT_CODES = [
  'malformed',
  'header',
  'algorithm',
  'type',
  'unknown_key',
  'signature',
  'duplicate_member',
  'not_canonical',
  'format',
  'expired',
  'other_subject',
  'other_endpoint',
] as const;
export type FaultCode = (typeof FAULT_CODES)[number];

/** One thing wrong with a manifest. `text` holds no text of the manifest beyond member names. */
export interface Fault {
  readonly code: FaultCode;
  readonly text: string;
}

/** Reads a manifest strictly and lists everything wrong in one go. `raw` is the tree exactly as written. */
export function readManifest(json: Uint8Array): { manifest: Manifest; raw: unknown } | { faults: readonly Fault[] } {
  const parsed = parseStrict(json);
  if (parsed === 'duplicate_member') return { faults: [{ code: parsed, text: 'an object names one member twice' }] };
  if (parsed === 'malformed') return { faults: [{ code: parsed, text: 'not one JSON text in UTF-8' }] };
  const raw = parsed.value;
  const read = manifestSchema.safeParse(raw);
  if (!read.success) return { faults: read.error.issues.map(describe) };
  const doubled = doubledNames(read.data);
  return doubled.length > 0 ? { faults: doubled } : { manifest: read.data, raw };
}

/** The name an item bears at its server: name, URI or URI template. */
export function nameOf(kind: ItemKind, definition: Readonly<Record<string, unknown>>): unknown {
  return definition[kind === 'resource' ? 'uri' : kind === 'template' ? 'uriTemplate' : 'name'];
}

function doubledNames(manifest: Manifest): Fault[] {
  return LISTS.flatMap((list) => {
    const seen = new Set<unknown>();
    return manifest[list].flatMap((entry, index): Fault[] => {
      const name = nameOf(KIND_OF[list], entry.definition);
      if (!seen.has(name)) {
        seen.add(name);
        return [];
      }
      return [{ code: 'format', text: `${list}.${index}: the same name stands twice in this list` }];
    });
  });
}

function describe(issue: z.core.$ZodIssue): Fault {
  const place = issue.path.map(String).join('.') || 'manifest';
  const keys =
    issue.code === 'unrecognized_keys'
      ? ` (${issue.keys.map((key) => JSON.stringify(key.slice(0, 60))).join(', ')})`
      : '';
  return {
    code: 'format',
    text: `${place}: ${issue.code === 'unrecognized_keys' ? `unknown member${keys}` : issue.message}`,
  };
}
