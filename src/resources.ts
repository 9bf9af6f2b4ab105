import { type AuthenticationSettings, metadataPaths, resourceMetadata } from './controls/authentication/index.ts';
import type { Resources } from './controls/transport/index.ts';

/** Public base URLs of the two listeners, without a final slash, e.g. `https://localhost:8443`. */
export interface PublicUrls {
  readonly public: string;
  readonly admin: string;
}

/** The protected resources (RFC 9728) of this gateway: what tokens name as audience. */
export interface ProtectedResources {
  /** All servers together. */
  readonly mcp: string;
  /** One server, by its name. */
  readonly servers: ReadonlyMap<string, string>;
  readonly admin: string;
}

export function protectedResources(urls: PublicUrls, servers: readonly string[]): ProtectedResources {
  return {
    mcp: `${urls.public}/mcp`,
    servers: new Map(servers.map((name) => [name, `${urls.public}/mcp/${name}`])),
    admin: `${urls.admin}/api`,
  };
}

/** Which of them a request asks for, and under which names we are asked, as transport wants to know it. */
export function servedUnder(urls: PublicUrls, { mcp, servers, admin }: ProtectedResources): Resources {
  const hosts = { public: [new URL(urls.public).host], admin: [new URL(urls.admin).host] };
  return {
    resource(listener, server) {
      if (listener === 'admin') return admin;
      return server === null ? mcp : (servers.get(server) ?? null);
    },
    hosts: (listener) => hosts[listener],
  };
}

/** Their metadata, by path of the document. */
export function metadataDocuments(
  settings: AuthenticationSettings,
  { mcp, servers, admin }: ProtectedResources,
): ReadonlyMap<string, object> {
  const documents = new Map<string, object>();
  for (const [path, resource] of metadataPaths([mcp, ...servers.values(), admin], mcp))
    documents.set(path, resourceMetadata(settings, resource));
  return documents;
}
