import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as oauth from 'oauth4webapi';
import { Agent, fetch as undiciFetch } from 'undici';
import { DEVELOPMENT_PEOPLE, mintDevelopmentToken } from '../../controls/authentication/index.ts';
import { InternalError } from '../../core/internal-error.ts';
import { protectedResourceMetadataUrl } from '../../core/mcp/challenge.ts';
import type { ClientCertificate } from '../client-certificate.ts';

/** Where a way in that acts for a local person gets its access token; asked before each call. */
export interface TokenSource {
  /** A token that is good for some time yet. */
  token(): Promise<string>;
}

/** A token with less life than this is renewed before it is used, ms. */
const SPARE_MS = 30_000;
const DEVELOPMENT_SECONDS = 300;

/**
 * Tokens of the development issuer, signed locally and renewed before they expire.
 * @throws SettingsError from `token()` when this home has no development issuer
 */
export function developmentTokens(options: {
  home: string;
  /** URL of the development issuer. */
  issuer: string;
  /** The resource: the endpoint the tokens are for. */
  audience: string;
  subject: string;
  scopes: readonly string[];
  /** Those of the development person of that name unless given. */
  groups?: readonly string[];
  /** ms UTC. */
  clock?: () => number;
}): TokenSource {
  const { home, issuer, audience, subject, scopes, clock = Date.now } = options;
  const groups = options.groups ?? DEVELOPMENT_PEOPLE.find((person) => person.subject === subject)?.groups;
  const common = {
    home,
    issuer,
    audience,
    subject,
    scopes,
    groups,
    client: 'gatewrit-stdio',
    ttlSeconds: DEVELOPMENT_SECONDS,
  };
  let current: { readonly token: string; readonly until: number } | null = null;
  return {
    async token() {
      const now = clock();
      if (current !== null && now < current.until - SPARE_MS) return current.token;
      const token = await mintDevelopmentToken({ ...common, now });
      current = { token, until: now + DEVELOPMENT_SECONDS * 1000 };
      return token;
    },
  };
}

export interface SignIn {
  /** The MCP endpoint tokens are for. */
  readonly resource: string;
  /**
   * OAuth client id: one registered at the issuer for loopback redirects, or the URL of a client id
   * metadata document. Unless given, the client the development issuer knows. */
  readonly clientId?: string | undefined;
  /** Scopes to ask for; those the metadata document lists unless given. */
  readonly scopes?: readonly string[] | undefined;
  /** PEM of a private CA; the system's own otherwise. */
  readonly ca?: string | undefined;
  /** Shown at the origin of the endpoint when it asks for one, and nowhere else: it says who we are. */
  readonly certificate?: ClientCertificate | undefined;
  /** Shows a person the URL to open; stderr unless given. stdout belongs to the protocol. */
  readonly onUrl?: (url: string) => void;
  /** How long a person may take, ms. */
  readonly patienceMs?: number;
  /** ms UTC. */
  readonly clock?: () => number;
}

/** The client id the development issuer knows without a document. */
const DEVELOPMENT_CLIENT = 'gatewrit-cli';

interface Grant {
  readonly access: string;
  readonly refresh: string | null;
  readonly until: number;
}

/**
 * Tokens by code + PKCE: the endpoint's 401 names its metadata (RFC 9728), that names the issuer, a person signs in
 * with the browser, the code comes back to a loopback port. Refreshed while the issuer allows; kept in memory only.
 */
export function authorizationCodeTokens(options: SignIn): TokenSource {
  const clock = options.clock ?? Date.now;
  let grant: Grant | null = null;
  let renewing: Promise<Grant> | null = null;

  async function renew(): Promise<Grant> {
    const wire = guardedFetch(options);
    try {
      const { issuer, scopes } = await discover(options.resource, wire.fetch);
      const client: oauth.Client = { client_id: options.clientId ?? DEVELOPMENT_CLIENT };
      const asked = options.scopes ?? scopes;
      const refreshed = grant?.refresh
        ? await refresh({ ...options, issuer, client, clock, fetch: wire.fetch }, grant.refresh)
        : null;
      return refreshed ?? (await signIn({ ...options, issuer, client, clock, fetch: wire.fetch, scopes: asked }));
    } finally {
      await wire.close();
    }
  }
  return {
    async token() {
      if (grant !== null && clock() < grant.until - SPARE_MS) return grant.access;
      renewing ??= renew().finally(() => {
        renewing = null;
      });
      grant = await renewing;
      return grant.access;
    },
  };
}

type Fetch = (url: string, init?: object) => Promise<Response>;

/** fetch that trusts the given CA, follows no redirects and gives up: every address here came from somebody else. */
function guardedFetch({ resource, ca, certificate }: SignIn): { fetch: Fetch; close(): Promise<void> } {
  const connect = ca === undefined ? {} : { ca };
  const maxResponseSize = 256 * 1024;
  const anywhere = new Agent({ connect, maxResponseSize });
  const gateway = new Agent({ connect: { ...connect, ...certificate }, maxResponseSize });
  const { origin } = new URL(resource);
  const guarded = (url: string, init: object = {}) =>
    undiciFetch(url, {
      ...init,
      dispatcher: new URL(url).origin === origin ? gateway : anywhere,
      redirect: 'manual',
      signal: AbortSignal.timeout(10_000),
    });
  // undici's own Response is the same class of object under another name of type.
  return {
    fetch: guarded as unknown as Fetch,
    close: async () => void (await Promise.all([gateway.destroy(), anywhere.destroy()])),
  };
}

const failed = (message: string, cause?: unknown) =>
  new InternalError('stdio.sign_in', message, { kind: 'outage', cause });

interface Discovered {
  readonly issuer: oauth.AuthorizationServer;
  readonly scopes: readonly string[];
}

/** Endpoint → resource metadata → issuer metadata. Each document must name what it was asked for, byte for byte. */
async function discover(resource: string, fetch: Fetch): Promise<Discovered> {
  const refusal = await fetch(resource, {
    method: 'POST',
    body: '{}',
    headers: { 'content-type': 'application/json' },
  });
  await refusal.body?.cancel();
  const challenge = refusal.headers.get('www-authenticate') ?? '';
  if (refusal.status !== 401 || !/^bearer\b/i.test(challenge)) {
    throw failed(`${resource} does not ask for a bearer token (status ${refusal.status}); check the URL`);
  }
  const named = /resource_metadata="([^"]+)"/.exec(challenge)?.[1] ?? protectedResourceMetadataUrl(resource);
  // Metadata on another origin could name any issuer.
  if (URL.parse(named)?.origin !== new URL(resource).origin)
    throw failed('the resource metadata is not on the origin of the endpoint');
  const document = (await readJson(await fetch(named))) as {
    resource?: unknown;
    authorization_servers?: unknown;
    scopes_supported?: unknown;
  };
  if (document.resource !== resource) throw failed(`the metadata of ${resource} names another resource`);
  const [first] = Array.isArray(document.authorization_servers) ? (document.authorization_servers as unknown[]) : [];
  const issuer = typeof first === 'string' ? URL.parse(first) : null;
  if (issuer === null || issuer.protocol !== 'https:')
    throw failed(`the metadata of ${resource} names no https issuer`);
  const metadata = await issuerMetadata(issuer, fetch);
  if (!metadata.code_challenge_methods_supported?.includes('S256')) {
    throw failed(`${metadata.issuer} does not offer PKCE with S256; signing in there would not be safe`);
  }
  const supported = document.scopes_supported;
  const scopes = Array.isArray(supported) ? supported.filter((scope) => typeof scope === 'string') : [];
  return { issuer: metadata, scopes };
}

async function issuerMetadata(issuer: URL, fetch: Fetch): Promise<oauth.AuthorizationServer> {
  for (const algorithm of ['oauth2', 'oidc'] as const) {
    const answer = await oauth.discoveryRequest(issuer, { algorithm, [oauth.customFetch]: fetch });
    if (answer.status === 200) return oauth.processDiscoveryResponse(issuer, answer);
    await answer.body?.cancel();
  }
  throw failed(`${issuer.href} publishes no metadata`);
}

async function readJson(answer: Response): Promise<object> {
  if (answer.status !== 200) throw failed(`resource metadata answered with status ${answer.status}`);
  const value: unknown = await answer.json();
  if (typeof value !== 'object' || value === null) throw failed('resource metadata is not a JSON object');
  return value;
}

/** What both ways to a token need. */
interface Talk {
  readonly issuer: oauth.AuthorizationServer;
  readonly client: oauth.Client;
  readonly resource: string;
  readonly clock: () => number;
  readonly fetch: Fetch;
}

async function signIn(options: Talk & SignIn & { readonly scopes: readonly string[] }): Promise<Grant> {
  const { issuer, client, clock, fetch } = options;
  const verifier = oauth.generateRandomCodeVerifier();
  const state = randomBytes(16).toString('base64url');
  const door = await openRedirect(options.patienceMs ?? 300_000);
  try {
    const url = new URL(issuer.authorization_endpoint ?? failThrough('authorization_endpoint'));
    const parameters = {
      response_type: 'code',
      client_id: client.client_id,
      redirect_uri: door.redirect,
      scope: options.scopes.join(' '),
      resource: options.resource,
      state,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    (options.onUrl ?? showOnStderr)(url.href);
    // Checks state, and `iss` against the issuer we asked (RFC 9207).
    const answer = oauth.validateAuthResponse(issuer, client, await door.answer, state);
    const sent = await oauth.authorizationCodeGrantRequest(
      issuer,
      client,
      oauth.None(),
      answer,
      door.redirect,
      verifier,
      {
        additionalParameters: { resource: options.resource },
        [oauth.customFetch]: fetch,
      },
    );
    return toGrant(await oauth.processAuthorizationCodeResponse(issuer, client, sent), clock(), null);
  } catch (cause) {
    throw cause instanceof InternalError ? cause : failed(`the sign-in at ${issuer.issuer} did not work`, cause);
  } finally {
    door.close();
  }
}

/** A fresh grant, or null when the issuer no longer accepts the refresh token: then a person is asked again. */
async function refresh({ issuer, client, resource, clock, fetch }: Talk, token: string): Promise<Grant | null> {
  try {
    const sent = await oauth.refreshTokenGrantRequest(issuer, client, oauth.None(), token, {
      additionalParameters: { resource },
      [oauth.customFetch]: fetch,
    });
    return toGrant(await oauth.processRefreshTokenResponse(issuer, client, sent), clock(), token);
  } catch (cause) {
    if (cause instanceof oauth.ResponseBodyError) return null;
    throw failed(`${issuer.issuer} could not be reached to renew the token`, cause);
  }
}

function toGrant(answer: oauth.TokenEndpointResponse, now: number, refreshToken: string | null): Grant {
  return {
    access: answer.access_token,
    refresh: answer.refresh_token ?? refreshToken,
    until: now + (answer.expires_in ?? 60) * 1000,
  };
}

function failThrough(member: string): never {
  throw failed(`the issuer's metadata lacks ${member}`);
}

function showOnStderr(url: string): void {
  process.stderr.write(`Sign in with your browser: ${url}\n`);
}

/** A loopback port that takes one redirect (RFC 8252 section 7.3). */
async function openRedirect(patienceMs: number): Promise<{ redirect: string; answer: Promise<URL>; close(): void }> {
  const { promise: answer, resolve, reject } = Promise.withResolvers<URL>();
  // Whoever gave up before waiting has been told already.
  answer.catch(() => undefined);
  const server = createServer((request, response) => {
    const url = URL.parse(request.url ?? '', redirect());
    if (request.method !== 'GET' || url?.pathname !== '/callback' || !url.searchParams.has('state')) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
    response.end('Done. You can close this page.\n');
    resolve(url);
  });
  const redirect = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`;
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(0, '127.0.0.1', done);
  });
  const timer = setTimeout(() => reject(failed('nobody signed in in time')), patienceMs);
  return {
    redirect: redirect(),
    answer,
    close() {
      clearTimeout(timer);
      server.closeAllConnections();
      server.close();
    },
  };
}
