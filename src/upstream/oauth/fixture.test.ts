import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { Log } from '../../core/log.ts';
import { GuardedHttp } from './guarded-http.ts';
import { type CredentialStore, credentialsInMemory } from './kept.ts';
import { OAuthCredential, type OAuthPlan } from './oauth-credential.ts';
import type { Person } from './person.ts';

/** An MCP server with its authorization server on one port, told by the test what to say. */
export interface Asked {
  readonly path: string;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly form: URLSearchParams;
}

type Json = Readonly<Record<string, unknown>>;

export interface World {
  readonly url: string;
  readonly endpoint: string;
  readonly asked: Asked[];
  /** Changed by tests while the world turns. */
  resource: Json;
  server: Json;
  registration: Json;
  token: (form: URLSearchParams) => Json;
  /** Path → answer, before everything else. */
  readonly paths: Map<string, (res: ServerResponse, asked: Asked) => void>;
  close(): void;
}

export function reply(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
) {
  res.writeHead(status, { 'content-type': 'application/json', ...headers });
  res.end(JSON.stringify(body));
}

export async function world(): Promise<World> {
  const asked: Asked[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const { pathname } = new URL(req.url ?? '', 'http://x');
      const form = new URLSearchParams(Buffer.concat(chunks).toString());
      const one = { path: pathname, method: req.method ?? '', headers: req.headers, form };
      asked.push(one);
      const scripted = it.paths.get(pathname);
      if (scripted) scripted(res, one);
      else if (pathname === '/.well-known/oauth-protected-resource/mcp') reply(res, 200, it.resource);
      else if (pathname === '/.well-known/oauth-authorization-server') reply(res, 200, it.server);
      else if (pathname === '/register') reply(res, 201, it.registration);
      else if (pathname === '/token') {
        const answer = it.token(form);
        reply(res, 'error' in answer ? 400 : 200, answer);
      } else reply(res, 404, {});
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let made = 0;
  const it: World = {
    url,
    endpoint: `${url}/mcp`,
    asked,
    resource: { resource: `${url}/mcp`, authorization_servers: [url] },
    server: {
      issuer: url,
      authorization_endpoint: `${url}/authorize`,
      token_endpoint: `${url}/token`,
      registration_endpoint: `${url}/register`,
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'private_key_jwt'],
    },
    registration: { client_id: 'registered' },
    token: () => ({ access_token: `token-${++made}`, token_type: 'Bearer', refresh_token: `refresh-${made}` }),
    paths: new Map(),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return it;
}

/** Grants everything at once; `change` spoils what comes back. */
export function grantingPerson(change: (callback: URL, page: URL) => void = () => {}): Person & { pages: URL[] } {
  const pages: URL[] = [];
  return {
    pages,
    redirectUri: 'http://127.0.0.1:1/callback',
    async open(url) {
      const page = new URL(url);
      pages.push(page);
      const callback = new URL(page.searchParams.get('redirect_uri')!);
      callback.searchParams.set('code', 'the-code');
      callback.searchParams.set('state', page.searchParams.get('state')!);
      change(callback, page);
      return callback.href;
    },
  };
}

export interface Rig {
  readonly credential: OAuthCredential;
  readonly store: CredentialStore;
  readonly lines: string[];
  /** Added to both clocks. */
  later: number;
  close(): Promise<void>;
}

export function rig(
  at: World,
  options: { plan?: Partial<OAuthPlan>; person?: Person | null; store?: CredentialStore } = {},
): Rig {
  const http = new GuardedHttp({ reach: 'loopback', named: [at.url] });
  const store = options.store ?? credentialsInMemory();
  const lines: string[] = [];
  const line = (message: string, fields: unknown) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { info: line, warn: line, error: line };
  const plan: OAuthPlan = {
    name: 'shop',
    endpoint: at.endpoint,
    issuer: null,
    client: null,
    clientMetadataUrl: null,
    clientName: 'Gatewrit',
    scopes: null,
    dpop: 'auto',
    unattended: null,
    ...options.plan,
  };
  const now = { later: 0 };
  const credential = new OAuthCredential(plan, {
    http,
    store,
    clock: () => ({ utc: 1_800_000_000_000 + now.later, mono: 1_000_000 + now.later }),
    log,
    person: options.person ?? null,
  });
  return {
    credential,
    store,
    lines,
    get later() {
      return now.later;
    },
    set later(ms) {
      now.later = ms;
    },
    close: () => http.close(),
  };
}

/** A 401 to a request that bore `presented`. */
export function unauthorized(presented: string | null, challenge = 'Bearer') {
  return { status: 401, challenge, nonce: null, presented, tried: new Set<never>() };
}

export function forbidden(presented: string, scope: string) {
  const challenge = `Bearer error="insufficient_scope", scope="${scope}"`;
  return { status: 403, challenge, nonce: null, presented, tried: new Set<never>() };
}

test('the world answers', async () => {
  const at = await world();
  at.close();
});
