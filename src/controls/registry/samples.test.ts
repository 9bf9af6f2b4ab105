import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Call, CallWith, Endpoint, Now, Principal } from '../../core/call.ts';
import type { SigningKey } from '../../core/crypto/keys.ts';
import { exposedName } from './names.ts';
import { openRegistry, type Registry, type RegistryOptions } from './registry.ts';
import { registrySettings } from './settings.ts';
import { signManifest } from './signature.ts';

/** Values for the tests of this folder. It holds no test itself; its name keeps it out of the package. */
export const NOW: Now = { utc: Date.parse('2026-11-22T12:00:00Z'), mono: 1_000 };

export interface SampleItem {
  readonly [member: string]: unknown;
  readonly definition: Record<string, unknown>;
}

export function sampleTool(
  name: string,
  more: Record<string, unknown> = {},
  overlay: Record<string, unknown> = {},
): SampleItem {
  const inputSchema = {
    type: 'object',
    properties: { sql: { type: 'string', description: 'One statement' } },
    required: ['sql'],
  };
  const definition = { name, title: name.toUpperCase(), description: `Runs ${name}.`, inputSchema, ...more };
  return { exposed: exposedName('demo', name), scopes: ['demo:use'], effect: 'read', definition, ...overlay };
}

export function sampleManifest(more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    ...{ format: 1, server: 'demo', prefix: 'demo', title: 'Demo', version: '1', owner: 'Team' },
    review: { by: 'Reviewer', at: '2026-11-01T00:00:00Z', note: 'read', accepted: [] },
    tools: [sampleTool('query'), sampleTool('search')],
    prompts: [
      {
        exposed: 'demo__greet',
        scopes: ['demo:use'],
        effect: 'read',
        definition: { name: 'greet', description: 'Says hello.' },
      },
    ],
    resources: [resourceItem('demo://files/readme')],
    templates: [
      {
        ...{ exposed: 'demo://items/{id}', scopes: ['demo:use'], effect: 'read' },
        definition: { name: 'item', uriTemplate: 'demo://items/{id}' },
      },
    ],
    excluded: [],
    ...more,
  };
}

export function resourceItem(uri: string, more: Record<string, unknown> = {}): SampleItem {
  return {
    exposed: uri,
    scopes: ['demo:use'],
    effect: 'read',
    definition: { name: 'readme', uri, mimeType: 'text/plain', ...more },
  };
}

/** What a server offers that agrees with the manifest in every word. */
export function liveOf(
  manifest: Record<string, unknown>,
): Record<'tools' | 'prompts' | 'resources' | 'templates', Record<string, unknown>[]> {
  const list = (name: string) => structuredClone((manifest[name] as SampleItem[]).map((item) => item.definition));
  return { tools: list('tools'), prompts: list('prompts'), resources: list('resources'), templates: list('templates') };
}

export function signingKey(kid = 'operator-1'): SigningKey {
  return { kid, ...generateKeyPairSync('ed25519') };
}

/** A home with these manifests signed in it, and its registry. */
export async function sampleRegistry(
  manifests: readonly Record<string, unknown>[],
  more: Partial<Omit<RegistryOptions, 'settings'>> & { settings?: Record<string, unknown> } = {},
): Promise<{ registry: Registry; home: string; key: SigningKey; folder: string }> {
  const home = mkdtempSync(join(tmpdir(), 'gatewrit-registry-'));
  const key = signingKey();
  const trust = join(home, 'operator.pub.jwks');
  writeFileSync(trust, JSON.stringify({ keys: [{ ...key.publicKey.export({ format: 'jwk' }), kid: key.kid }] }));
  const folder = join(home, 'registry');
  mkdirSync(folder);
  for (const manifest of manifests)
    writeFileSync(join(folder, `${manifest['server']}.jws`), await signManifest(manifest, key));
  const registry = await openRegistry({
    ...{ home, keys: { folder: join(home, 'keys'), generate: false }, now: NOW.utc },
    seal: [{ kid: 'seal-1', secret: randomBytes(32) }],
    schemas: { accept: () => null },
    scopes: { accepts: () => null },
    ...more,
    settings: registrySettings.parse({ trust: [trust], ...more.settings }),
  });
  return { registry, home, key, folder };
}

export const ALL: Endpoint = { server: null, resource: 'https://localhost:8443/mcp', admin: false };
export const DEMO: Endpoint = { server: 'demo', resource: 'https://localhost:8443/mcp/demo', admin: false };
export const ADMIN: Endpoint = { server: null, resource: 'https://localhost:8444/api', admin: true };

export function principal(subject = 'alice', more: Partial<Principal> = {}): Principal {
  return {
    ...{
      issuer: 'https://issuer.test',
      subject,
      client: 'client',
      tenant: 'default',
      scopes: ['demo:use'],
      groups: [],
    },
    ...{ proof: 'bearer', actors: [], expiresAt: NOW.utc + 3_600_000, key: `default|${subject}`, authority: subject },
    ...more,
  };
}

export type Asked = CallWith<'endpoint' | 'message' | 'principal'>;

export function callOf(
  method: string,
  name: string,
  more: { endpoint?: Endpoint; principal?: Principal; way?: Call['way']; params?: Record<string, unknown> } = {},
): Asked {
  const none = { start: 0, end: 0 };
  return {
    ...{
      id: '0192',
      way: more.way ?? 'http',
      arrived: NOW,
      signal: new AbortController().signal,
      cancel: () => undefined,
      events: null,
    },
    head: {
      version: '1.1',
      method: 'POST',
      path: '/mcp',
      query: '',
      headers: {},
      rawHeaders: [],
      address: '127.0.0.1',
      certificate: null,
    },
    source: { read: () => new Uint8Array() },
    endpoint: more.endpoint ?? ALL,
    principal: more.principal ?? principal(),
    message: {
      ...{
        revision: '2026-07-28',
        kind: 'request',
        method,
        id: 1,
        name,
        params: more.params ?? {},
        bytes: new Uint8Array(),
      },
      spans: {
        id: none,
        method: none,
        params: null,
        name: null,
        arguments: null,
        meta: null,
        outcome: null,
        metaMembers: new Map(),
      },
    },
  };
}
