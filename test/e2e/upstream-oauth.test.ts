import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { silentLog } from '../../src/core/log.ts';
import {
  credentialsInMemory,
  GuardedHttp,
  OAuthCredential,
  type OAuthPlan,
  type Person,
} from '../../src/upstream/oauth/index.ts';
import { openServer } from '../../src/upstream/servers.ts';
import { WireFault } from '../../src/upstream/wire.ts';

/**
 * Our OAuth client against an authorization server that others wrote (oidc-provider, which demands PKCE, resource
 * indicators and exact redirects), and an MCP server that checks signature, issuer, audience and scope of what it gives.
 */
interface Provider {
  readonly Grant: new (of: {
    accountId: string;
    clientId: string;
  }) => {
    addOIDCScope(scopes: string): void;
    addResourceScope(resource: string, scopes: string): void;
    save(): Promise<string>;
  };
  callback(): (req: IncomingMessage, res: ServerResponse) => void;
  interactionDetails(
    req: IncomingMessage,
    res: ServerResponse,
  ): Promise<{ params: { client_id: string; scope?: string } }>;
  interactionFinished(req: IncomingMessage, res: ServerResponse, result: object): Promise<void>;
}

const REDIRECT = 'http://127.0.0.1:1/callback';
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const closing: (() => unknown)[] = [];

let issuer: string;
let endpoint: string;
/** Tokens the MCP server took, and how it wants them. */
const taken: string[] = [];
const lifeSeconds = 60;
let bound = false;

before(async () => {
  const [as, mcp] = [createServer(), createServer()];
  for (const server of [as, mcp]) {
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    closing.push(() => {
      server.closeAllConnections();
      server.close();
    });
  }
  issuer = `http://127.0.0.1:${(as.address() as AddressInfo).port}`;
  endpoint = `http://127.0.0.1:${(mcp.address() as AddressInfo).port}/mcp`;
  const library = (await import('oidc-provider' as string)) as {
    default: new (issuer: string, of: object) => Provider;
  };
  const provider = new library.default(issuer, configuration());
  const callback = provider.callback();
  as.on('request', (req, res) => {
    if (req.url?.startsWith('/interaction/')) void agree(provider, req, res);
    else callback(req, res);
  });
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  mcp.on('request', (req, res) => void serve(req, res, keys));
});
after(async () => {
  for (const close of closing.reverse()) await close();
});

function configuration(): object {
  return {
    jwks: { keys: [{ ...signing, alg: 'ES256', use: 'sig' }] },
    scopes: ['openid', 'offline_access'],
    clients: [
      {
        client_id: 'workload',
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256', use: 'sig' }] },
      },
    ],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clientAuthMethods: ['none', 'client_secret_basic', 'private_key_jwt'],
    enabledJWA: { idTokenSigningAlgValues: ['ES256'], clientAuthSigningAlgValues: ['ES256'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      registration: { enabled: true },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'read write',
          accessTokenFormat: 'jwt',
          accessTokenTTL: lifeSeconds,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    ttl: { AccessToken: 60, ClientCredentials: 60, Grant: 600, Interaction: 60, RefreshToken: 600, Session: 600 },
    pkce: { required: () => true },
    issueRefreshToken: () => true,
    rotateRefreshToken: () => true,
    interactions: { url: (_: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    findAccount: (_: unknown, sub: string) => ({ accountId: sub, claims: () => ({ sub }) }),
    cookies: { keys: ['k'] },
  };
}

/** Signs somebody in and grants what was asked for. */
async function agree(provider: Provider, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { params } = await provider.interactionDetails(req, res);
  const grant = new provider.Grant({ accountId: 'operator', clientId: params.client_id });
  grant.addOIDCScope(params.scope ?? '');
  grant.addResourceScope(endpoint, params.scope ?? '');
  const grantId = await grant.save();
  await provider.interactionFinished(req, res, { login: { accountId: 'operator' }, consent: { grantId } });
}

/** A modern MCP server: lists need `read`. */
async function serve(req: IncomingMessage, res: ServerResponse, keys: Parameters<typeof jwtVerify>[1]): Promise<void> {
  const say = (status: number, body: object, headers: Readonly<Record<string, string>> = {}) => {
    res.writeHead(status, { 'content-type': 'application/json', ...headers });
    res.end(JSON.stringify(body));
  };
  if (req.url?.startsWith('/.well-known/oauth-protected-resource'))
    return say(200, { resource: endpoint, authorization_servers: [issuer], dpop_bound_access_tokens_required: bound });
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  const [scheme, token = ''] = (req.headers.authorization ?? '').split(' ');
  try {
    const { payload } = await jwtVerify(token, keys as ReturnType<typeof createRemoteJWKSet>, {
      issuer,
      audience: endpoint,
    });
    if (String(payload['scope']).includes('read') && (scheme === 'DPoP') === (payload['cnf'] !== undefined)) {
      taken.push(token);
      const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as { id: number; method: string };
      const discovered = { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } };
      const result = method === 'server/discover' ? discovered : { tools: [{ name: 'buy', inputSchema: {} }] };
      return say(200, {
        jsonrpc: '2.0',
        id,
        result: { resultType: 'complete', ttlMs: 0, cacheScope: 'private', ...result },
      });
    }
  } catch {
    // No token, or one that is not good here: refused like any other.
  }
  say(401, {}, { 'www-authenticate': `${bound ? 'DPoP' : 'Bearer'} scope="read"` });
}

/** A browser with cookies that follows redirects until it is sent back to us. */
const browser: Person = {
  redirectUri: REDIRECT,
  async open(url) {
    const cookies = new Map<string, string>();
    for (let at = url, hop = 0; hop < 10; hop++) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const answer = await fetch(at, { redirect: 'manual', headers: { cookie } });
      await answer.arrayBuffer();
      for (const set of answer.headers.getSetCookie()) {
        const [name = '', value = ''] = set.split(';')[0]!.split('=');
        cookies.set(name, value);
      }
      const location = answer.headers.get('location');
      if (location === null) throw new Error(`the page at ${at} answered HTTP ${answer.status}`);
      at = new URL(location, at).href;
      if (at.startsWith(REDIRECT)) return at;
    }
    throw new Error('redirects without end');
  },
};

function connect(plan: Partial<OAuthPlan> = {}, person: Person | null = browser) {
  const now = { later: 0 };
  const clock = () => ({ utc: Date.now() + now.later, mono: performance.now() + now.later });
  const http = new GuardedHttp({ reach: 'loopback', named: [new URL(endpoint).origin] });
  const credential = new OAuthCredential(
    {
      name: 'shop',
      endpoint,
      issuer: null,
      client: null,
      clientMetadataUrl: null,
      clientName: 'Gatewrit',
      scopes: null,
      dpop: 'auto',
      unattended: null,
      ...plan,
    },
    { http, store: credentialsInMemory(), clock, log: silentLog, person },
  );
  const settings = { http: { url: endpoint, ca: undefined, authorization: undefined, maxConnections: 4, credential } };
  const server = openServer('shop', settings, { clock, log: silentLog, onChanged: () => {}, onEnded: () => {} });
  closing.push(() => http.close());
  closing.push(() => server.close());
  return { server, now };
}

async function tools(server: ReturnType<typeof connect>['server']): Promise<readonly unknown[]> {
  const live = await server.introspect();
  assert.ok(!(live instanceof WireFault), live instanceof WireFault ? live.evidence : '');
  return live.tools.map((tool) => tool['name']);
}

describe('an upstream behind an authorization server that others wrote', () => {
  test('registration, a person’s consent, a token for this resource; renewed before it ends', async () => {
    const { server, now } = connect();
    assert.deepEqual(await tools(server), ['buy']);
    const { sub, aud, scope } = decodeJwt(taken.at(-1)!);
    assert.deepEqual({ sub, aud, scope }, { sub: 'operator', aud: endpoint, scope: 'read' });
    const first = taken.at(-1);
    now.later = lifeSeconds * 1000;
    assert.deepEqual(await tools(server), ['buy']);
    assert.notEqual(taken.at(-1), first);
    // The refresh token was rotated: the second renewal works with the new one.
    now.later = 2 * lifeSeconds * 1000;
    const second = taken.at(-1);
    assert.deepEqual(await tools(server), ['buy']);
    assert.notEqual(taken.at(-1), second);
  });

  test('client credentials with a key, without a person', async () => {
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const plan: Partial<OAuthPlan> = {
      issuer,
      client: { id: 'workload', secret: null, key: { pem, alg: 'ES256', kid: 'k1' } },
      unattended: { kind: 'client_credentials', assertion: null, identityProvider: null },
    };
    const { server } = connect(plan, null);
    assert.deepEqual(await tools(server), ['buy']);
    assert.equal(decodeJwt(taken.at(-1)!)['client_id'], 'workload');
  });

  test('tokens bound to our key', async () => {
    bound = true;
    try {
      const { server } = connect();
      assert.deepEqual(await tools(server), ['buy']);
      assert.match(JSON.stringify(decodeJwt(taken.at(-1)!)['cnf']), /"jkt"/);
    } finally {
      bound = false;
    }
  });
});
