import { existsSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { SettingsError } from './core/internal-error.ts';
import { LOG_LEVELS } from './core/log.ts';
import { nearest, readSection, secretReference } from './core/settings.ts';
import { oauthSettings } from './upstream/oauth/settings.ts';

/** Sections of gatewrit.yaml: one per control, and what no control owns. */
export const SECTIONS = [
  'listen',
  'upstreams',
  'store',
  'telemetry',
  'authentication',
  'authorization',
  'approval',
  'validation',
  'redaction',
  'audit',
  'registry',
  'transport',
  'errors',
  'limits',
] as const;
export type Section = (typeof SECTIONS)[number];

const listener = (port: number) =>
  z
    .strictObject({
      host: z.string().default('127.0.0.1').describe('Address to listen on; loopback unless you say otherwise.'),
      port: z.number().int().min(0).max(65_535).default(port).describe('Port; 0 takes a free one.'),
    })
    .prefault({});

const listenSettings = z.strictObject({
  deployment: z
    .string()
    .regex(/^[a-z0-9.-]{1,64}$/)
    .default('gatewrit')
    .describe('Name of this deployment: part of every log origin.'),
  node: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/)
    .default('node1')
    .describe('Name of this node; with the process number it is the replica id.'),
  url: z
    .url({ protocol: /^https$/ })
    .optional()
    .describe('Public base URL when it is not https://localhost:PORT, e.g. https://mcp.example.com.'),
  public: listener(8443).describe('The listener agents reach.'),
  admin: listener(8444).describe('Console, admin API, metrics; keep it on loopback or a private network.'),
});
export type ListenSettings = z.output<typeof listenSettings>;

const anyUpstream = {
  extensions: z
    .array(z.string().min(1).max(200))
    .default([])
    .describe('Extensions of MCP it may hear that a client declared; others are left out.'),
  answerWithinSeconds: z
    .number()
    .int()
    .min(1)
    .max(3600)
    .default(300)
    .describe('How long a call of it that asked its client something waits for the answer.'),
};
const stdioUpstream = z.strictObject({
  command: z.string().min(1).describe('Program to start; `node` is the Node that runs the gateway.'),
  args: z.array(z.string()).default([]).describe('Its arguments; never passed through a shell.'),
  cwd: z.string().optional().describe('Working folder, relative to this file.'),
  env: z
    .record(z.string(), z.string())
    .default({})
    .describe(
      'Its environment besides PATH, HOME, LANG; values may be references: env:NAME (env:NAME? where it may be unset), file:PATH, or home:NAME for a path in the state folder.',
    ),
  ...anyUpstream,
});
const httpUpstream = z
  .strictObject({
    url: z.url({ protocol: /^https?$/, abort: true }).describe('Its MCP endpoint.'),
    ca: z.string().optional().describe('PEM file of the authority that signs its certificate.'),
    authorization: secretReference.optional().describe('Our own credential there, the whole header value.'),
    oauth: oauthSettings.optional().describe('Our own credential there, obtained and renewed by OAuth 2.1.'),
    maxConnections: z.number().int().min(1).max(4096).default(256).describe('Most connections to it.'),
    transport: z
      .enum(['auto', 'sse'])
      .default('auto')
      .describe('auto: Streamable HTTP, and HTTP+SSE (2024-11-05) where that is refused. sse: HTTP+SSE at once.'),
    ...anyUpstream,
  })
  .superRefine(({ url, authorization, oauth }, context) => {
    const wrong = (message: string) => context.addIssue({ code: 'custom', path: ['oauth'], message });
    if (oauth && authorization) wrong('give either authorization or oauth');
    const { protocol, hostname } = new URL(url);
    if (oauth && protocol !== 'https:' && !['localhost', '127.0.0.1', '[::1]'].includes(hostname))
      wrong('tokens go to an https URL only (http: only to this machine)');
  });
const upstream = z.union([z.strictObject({ stdio: stdioUpstream }), z.strictObject({ http: httpUpstream })]);
export type UpstreamSettings = z.output<typeof upstream>;
const upstreamsSettings = z.record(
  z.string().regex(/^[a-z0-9-]{1,32}$/, 'a server name is [a-z0-9-], at most 32 characters'),
  upstream,
);

const storeSettings = z.strictObject({
  driver: z
    .enum(['sqlite', 'memory'])
    .default('sqlite')
    .describe('sqlite: a file under the home. memory: lost at the end, shown as weak.'),
});
const telemetrySettings = z.strictObject({
  level: z.enum(LOG_LEVELS).default('info').describe('Least level written to stderr.'),
});

/** Schemas of the sections no control owns. */
export const OWN_SECTIONS = {
  listen: listenSettings,
  upstreams: upstreamsSettings,
  store: storeSettings,
  telemetry: telemetrySettings,
} as const;

/** The whole file: the sections nobody else owns are read here, each control reads its own. */
export interface Configuration {
  readonly listen: ListenSettings;
  readonly upstreams: Readonly<Record<string, UpstreamSettings>>;
  readonly store: z.output<typeof storeSettings>;
  readonly telemetry: z.output<typeof telemetrySettings>;
  /** Raw section of a control; undefined when the file has none. */
  section(name: Section): unknown;
  /** Resolves a path of the file against the folder it lies in. */
  path(relative: string): string;
}

/**
 * Reads gatewrit.yaml.
 * @throws SettingsError with every unknown section and the sentence of each wrong key
 */
export function readConfiguration(file: string): Configuration {
  if (!existsSync(file)) throw new SettingsError(`${file} does not exist; gatewrit init writes one`);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SettingsError(`${file} cannot be read: ${(cause as Error).message}`, cause);
  }
  let raw: unknown;
  try {
    raw = parse(text) ?? {};
  } catch (cause) {
    const [said = ''] = (cause as Error).message.split('\n');
    throw new SettingsError(`${file} is not valid YAML: ${said.replace(/:$/, '')}`, cause);
  }
  return configurationOf(raw, dirname(resolve(file)));
}

/** The same from an object, for embedding and tests. */
export function configurationOf(raw: unknown, folder: string): Configuration {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
    throw new SettingsError('the settings must be a mapping of sections');
  const sections = raw as Record<string, unknown>;
  const unknown = Object.keys(sections).filter((name) => !(SECTIONS as readonly string[]).includes(name));
  if (unknown.length > 0) {
    throw new SettingsError(
      unknown
        .map((name) => {
          const near = nearest(name, SECTIONS);
          return `unknown section "${name}"${near ? `, did you mean "${near}"?` : ` (known: ${SECTIONS.join(', ')})`}`;
        })
        .join('\n'),
    );
  }
  return {
    listen: readSection('listen', OWN_SECTIONS.listen, sections['listen']),
    upstreams: readSection('upstreams', OWN_SECTIONS.upstreams, sections['upstreams']),
    store: readSection('store', OWN_SECTIONS.store, sections['store']),
    telemetry: readSection('telemetry', OWN_SECTIONS.telemetry, sections['telemetry']),
    section: (name) => sections[name],
    path: (relative) => (isAbsolute(relative) ? relative : join(folder, relative)),
  };
}
