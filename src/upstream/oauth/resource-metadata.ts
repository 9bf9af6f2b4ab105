import { readScopes } from './challenge.ts';
import { OAuthFault } from './fault.ts';

/** What counts of protected-resource metadata (RFC 9728). */
export interface ResourceMetadata {
  /** Exactly as published: what goes into `resource` of every request. */
  readonly resource: string;
  readonly authorizationServers: readonly string[];
  readonly scopesSupported: readonly string[] | null;
  readonly dpopRequired: boolean;
}

const WELL_KNOWN = '/.well-known/oauth-protected-resource';
const MAX_SERVERS = 16;

/** Where the metadata of an MCP endpoint may be: only where the challenge says, else with its path, then the root form. */
export function resourceMetadataUrls(endpoint: string, named: string | null): readonly string[] {
  if (named !== null) return [named];
  const { origin, pathname } = new URL(endpoint);
  const path = pathname.replace(/\/+$/, '');
  return path === '' ? [origin + WELL_KNOWN] : [origin + WELL_KNOWN + path, origin + WELL_KNOWN];
}

/**
 * Metadata is believed only when it speaks of this endpoint: same origin, and its path or one above it. Otherwise a
 * malicious upstream would have tokens made for somebody else's resource, and be sent them.
 */
export function judgeResourceMetadata(json: unknown, endpoint: string): ResourceMetadata | OAuthFault {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return new OAuthFault('metadata', 'protected-resource metadata is no JSON object');
  const claims = json as Readonly<Record<string, unknown>>;
  const { resource, authorization_servers: servers } = claims;
  if (typeof resource !== 'string' || !coversEndpoint(resource, endpoint))
    return new OAuthFault('resource_mismatch', 'protected-resource metadata speaks of another resource');
  if (
    !Array.isArray(servers) ||
    servers.length === 0 ||
    servers.length > MAX_SERVERS ||
    !servers.every((server): server is string => typeof server === 'string' && URL.canParse(server))
  )
    return new OAuthFault('metadata', 'protected-resource metadata names no authorization server');
  const scopes = claims['scopes_supported'];
  return {
    resource,
    authorizationServers: servers,
    scopesSupported: Array.isArray(scopes) ? readScopes(scopes.join(' ')) : null,
    dpopRequired: claims['dpop_bound_access_tokens_required'] === true,
  };
}

function coversEndpoint(resource: string, endpoint: string): boolean {
  const of = URL.parse(resource);
  const at = new URL(endpoint);
  if (of === null || of.origin !== at.origin || of.hash !== '' || resource.includes('#')) return false;
  if (of.username !== '' || of.password !== '') return false;
  if (of.search !== '' && of.search !== at.search) return false;
  const above = of.pathname.endsWith('/') ? of.pathname : `${of.pathname}/`;
  return at.pathname === of.pathname || `${at.pathname}/`.startsWith(above);
}
