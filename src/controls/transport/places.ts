import type { Endpoint } from '../../core/call.ts';

export type Listener = 'public' | 'admin';

/** What transport asks for: which places are served, under which names. The composition root knows. */
export interface Resources {
  /**
   * The protected resource (what tokens name as audience) of `/mcp` (`server` null) or `/mcp/{server}`, or of the admin
   * API; null when no such place is served. Called per request with an attacker-controlled but well-formed name.
   */
  resource(listener: Listener, server: string | null): string | null;
  /** Values of the Host header that are us, lower case, e.g. `localhost:8443`. The same array until they change. */
  hosts(listener: Listener): readonly string[];
}

const MCP = '/mcp';

/**
 * The closed route table of MCP: `/mcp` and `/mcp/{server}`. Compared byte for byte: a final or doubled slash, upper
 * case, a percent sign or a dot segment names nothing (AUTH-02).
 * @returns the server's name, null for all servers, or undefined when the path names nothing
 */
function serverOf(path: string): string | null | undefined {
  if (path === MCP) return null;
  if (path.length > 69 || !path.startsWith('/mcp/')) return undefined;
  const name = path.slice(5);
  return isServerName(name) ? name : undefined;
}

/** `[a-z0-9-]+`. */
function isServerName(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    if (!((c >= 0x61 && c <= 0x7a) || (c >= 0x30 && c <= 0x39) || c === 0x2d)) return false;
  }
  return name.length > 0;
}

/** One object per place, so that whoever caches by endpoint can. Holds at most the servers that are served. */
export class Endpoints {
  readonly #resources: Resources;
  readonly #made = new Map<string | null, Endpoint>();
  #admin: Endpoint | null = null;

  constructor(resources: Resources) {
    this.#resources = resources;
  }

  mcp(path: string): Endpoint | null {
    const server = serverOf(path);
    if (server === undefined) return null;
    const resource = this.#resources.resource('public', server);
    const made = this.#made.get(server);
    if (resource === null) {
      if (made !== undefined) this.#made.delete(server);
      return null;
    }
    if (made?.resource === resource) return made;
    const endpoint: Endpoint = Object.freeze({ server, resource, admin: false });
    this.#made.set(server, endpoint);
    return endpoint;
  }

  admin(): Endpoint | null {
    const resource = this.#resources.resource('admin', null);
    if (resource === null) return null;
    if (this.#admin?.resource !== resource) this.#admin = Object.freeze({ server: null, resource, admin: true });
    return this.#admin;
  }
}

/** The names we answer to on one listener, and the origins whose pages may call there. */
export class Names {
  readonly #listener: Listener;
  readonly #resources: Resources;
  readonly #moreHosts: readonly string[];
  readonly #moreOrigins: readonly string[];
  #from: readonly string[] | null = null;
  #hosts = new Set<string>();
  #origins = new Set<string>();

  constructor(
    listener: Listener,
    resources: Resources,
    more: { hosts: readonly string[]; origins: readonly string[] },
  ) {
    this.#listener = listener;
    this.#resources = resources;
    this.#moreHosts = more.hosts;
    this.#moreOrigins = more.origins;
  }

  /** Host names are compared without case (RFC 9110 4.2.3), everything else of them byte for byte. */
  isOurs(host: string): boolean {
    this.#refresh();
    return this.#hosts.has(host) || this.#hosts.has(host.toLowerCase());
  }

  /** Pages we served ourselves, and those on the list. */
  mayCall(origin: string): boolean {
    this.#refresh();
    return this.#origins.has(origin);
  }

  #refresh(): void {
    const hosts = this.#resources.hosts(this.#listener);
    if (hosts === this.#from) return;
    this.#from = hosts;
    this.#hosts = new Set([...hosts, ...this.#moreHosts]);
    this.#origins = new Set([...[...this.#hosts].map((host) => `https://${host}`), ...this.#moreOrigins]);
  }
}
