import { ISSUER } from './home.ts';
import { SCOPE, SERVER } from './tool.ts';

type Sections = Readonly<Record<string, object>>;

const NEVER = { limit: 1_000_000_000 };

/**
 * gatewrit.yaml of the measured gateway: all ten controls as they are by default. Only the bounds of section `limits`
 * are raised so far that they are counted and never met, and the issuer and the upstream are the bench's own.
 */
export function settingsOf(run: { jwks: string; upstream: number; changes: Sections }): Sections {
  const { jwks, upstream, changes } = run;
  const sections: Sections = {
    listen: { public: { port: 0 }, admin: { port: 0 } },
    upstreams: { [SERVER]: { http: { url: `http://127.0.0.1:${upstream}/mcp` } } },
    telemetry: { level: 'error' },
    authentication: { issuers: [{ issuer: ISSUER, jwks: `file:${jwks}`, algorithms: ['ES256'], typ: ['at+jwt'] }] },
    limits: { principal: NEVER, tenant: NEVER, address: NEVER, tool: NEVER, maxConcurrentPerPrincipal: 4096 },
  };
  const changed = Object.entries(changes).map(([name, section]) => [name, { ...sections[name], ...section }]);
  return { ...sections, ...Object.fromEntries(changed) };
}

/** One control taken down as far as its settings go: what the whole costs without it. */
export interface Variant {
  readonly name: string;
  readonly what: string;
  readonly changes: Sections;
  /** The home lies in memory: fdatasync has nothing to wait for. */
  readonly inMemory?: boolean;
  /** Calls bear no token; one that nobody reads would be refused. */
  readonly anonymous?: boolean;
}

export const VARIANTS: readonly Variant[] = [
  { name: 'redaction.profile none', what: 'nothing is looked for', changes: { redaction: { profile: 'none' } } },
  { name: 'limits.driver unlimited', what: 'no windows', changes: { limits: { driver: 'unlimited' } } },
  {
    name: 'authentication anonymous',
    what: 'no token is read',
    changes: { authentication: { driver: 'anonymous', anonymousScopes: [SCOPE], issuers: [] } },
    anonymous: true,
  },
  { name: 'audit.replyBytes 0', what: 'replies as digests', changes: { audit: { replyBytes: 0 } } },
  { name: 'journal in memory', what: 'the disk never waits', changes: {}, inMemory: true },
];
