import { protectedResourceMetadataPath } from '../../core/mcp/challenge.ts';
import type { AuthenticationSettings } from './settings.ts';

/** The protected-resource metadata document (RFC 9728). `resource` is byte for byte what clients and tokens use. */
export interface ResourceMetadata {
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly bearer_methods_supported: readonly ['header'];
  readonly resource_name: string;
  readonly scopes_supported?: readonly string[];
}

/** The document for one resource. Scopes are named only when settings list them: never the whole catalogue. */
export function resourceMetadata(settings: AuthenticationSettings, resource: string): ResourceMetadata {
  const { resourceName, scopesSupported } = settings.metadata;
  return {
    resource,
    authorization_servers: settings.issuers.map((issuer) => issuer.issuer),
    bearer_methods_supported: ['header'],
    resource_name: resourceName,
    ...(scopesSupported.length > 0 ? { scopes_supported: scopesSupported } : {}),
  };
}

/**
 * Every path a document is served at, and which resource it describes: one per resource, and the root form for the
 * default resource (RFC 9728 section 3.1).
 */
export function metadataPaths(resources: readonly string[], defaultResource?: string): ReadonlyMap<string, string> {
  const paths = new Map(resources.map((resource) => [protectedResourceMetadataPath(resource), resource]));
  if (defaultResource !== undefined) paths.set('/.well-known/oauth-protected-resource', defaultResource);
  return paths;
}
