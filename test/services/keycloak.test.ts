import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  Client,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { Agent, request, fetch as undiciFetch } from 'undici';
import { Quickstart } from '../e2e/quickstart.ts';
import { debian } from './install.ts';
import { Keycloak, keycloakDistribution } from './keycloak.ts';
import { freePort, RunningServer } from './running.ts';

/**
 * Keycloak as people run it, a gateway without anything of development, and the official client that finds its way by
 * discovery alone: challenge, metadata document, issuer, code with PKCE, token, call.
 */
const missing = debian('openssl', 'openssl') ?? keycloakDistribution();
const root = join(import.meta.dirname, '../..');
const CALLBACK = 'http://127.0.0.1:9/callback';

describe('Keycloak as issuer', { skip: missing ?? false }, () => {
  let home: string;
  let agent: Agent;
  let keycloak: Keycloak;
  let gateway: RunningServer;
  let mcp: string;

  before(async () => {
    // One start in development leaves what production brings along: keys, a certificate, policy, signed manifests.
    const made = await Quickstart.start();
    home = made.gateway.home;
    await made.stop();
    const tls = ownCertificate(home);
    const ca = tls.cert;
    agent = new Agent({ connect: { ca: readFileSync(ca, 'utf8') } });
    const [publicPort, adminPort] = [await freePort(), await freePort()];
    mcp = `https://localhost:${publicPort}/mcp`;
    keycloak = await Keycloak.start({ tls, agent, resource: mcp });
    appendFileSync(
      join(home, 'policy/scopes.yaml'),
      `groups:\n  ${keycloak.issuer}:\n    ops: ["jira:read"]\n    platform: ["jira:write"]\n`,
    );
    const config = join(home, 'gatewrit.yaml');
    const settings = JSON.parse(readFileSync(config, 'utf8')) as Record<string, unknown>;
    const production = {
      ...settings,
      listen: { public: { port: publicPort }, admin: { port: adminPort } },
      transport: { tls: { certificate: tls.cert, key: `file:${tls.key}` } },
      authentication: { issuers: [issuerOfGuide(keycloak.issuer)] },
    };
    writeFileSync(config, JSON.stringify(production));
    gateway = new RunningServer(
      process.execPath,
      [join(root, 'bin/gatewrit.mjs'), 'start', '--json', '--home', home, '--config', config],
      { env: { ...process.env, NODE_EXTRA_CA_CERTS: ca } },
    );
    await gateway.until(async () => {
      const { body } = await request(mcp, { method: 'POST', dispatcher: agent });
      await body.dump();
    });
  });

  after(async () => {
    await gateway?.stop();
    await keycloak?.stop();
    await agent?.destroy();
    if (home) rmSync(home, { recursive: true, force: true });
  });

  test('the client finds the issuer by itself, signs in with code and PKCE, and calls with the scope it was given', async () => {
    const person = new Person('desk', 'openid s3:list');
    const client = await signedIn(person, 'alice');
    try {
      assert.equal(person.authorization!.searchParams.get('code_challenge_method'), 'S256');
      assert.equal(person.authorization!.searchParams.get('resource'), mcp);
      const { claims, header } = person.read();
      assert.equal(header['typ'], 'JWT');
      assert.equal(claims['azp'], 'desk');
      assert.deepEqual(claims['groups'], ['/platform']);
      assert.ok((claims['realm_access'] as { roles: string[] }).roles.includes('ops'));
      const listed = await client.callTool({ name: 'readonly__s3_list', arguments: { prefix: 'public/' } });
      assert.notEqual(listed.isError, true, JSON.stringify(listed));
    } finally {
      await client.close();
    }
  });

  test('a role brings the scope that scopes.yaml lists for it, and a group in another spelling brings nothing', async () => {
    const alice = await signedIn(new Person('desk', 'openid'), 'alice');
    try {
      const found = await alice.callTool({ name: 'readonly__jira_search', arguments: { jql: 'login' } });
      assert.notEqual(found.isError, true, JSON.stringify(found));
    } finally {
      await alice.close();
    }
    const person = new Person('desk', 'openid');
    const bob = await signedIn(person, 'bob');
    try {
      const { status, challenge } = await raw(person.token(), 'readonly__jira_search', { jql: 'login' });
      assert.equal(status, 403);
      assert.match(challenge, /error="insufficient_scope", scope="jira:read"/);
    } finally {
      await bob.close();
    }
    const { status, challenge } = await raw(await tokenOf('alice', 'openid'), 'destructive__jira_create', {
      title: 'x',
    });
    assert.equal(status, 403, 'Keycloak names groups as paths: /platform is not platform');
    assert.match(challenge, /jira:write/);
  });

  test('a token of the same realm and person for something else, an ID token and a refresh token are all refused alike', async () => {
    const person = new Person('elsewhere', 'openid s3:list');
    await assert.rejects(signedIn(person, 'alice'));
    const answers = [];
    for (const token of [person.token(), person.saved!.id_token!, person.saved!.refresh_token!, 'x'])
      answers.push(await raw(token, 'readonly__s3_list', {}));
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    assert.equal(answers[0]!.status, 401);
    assert.match(answers[0]!.challenge, /^Bearer error="invalid_token"/);
  });

  /** Connects as the SDK tells people to: the first try ends in a sign-in, the second has a token. */
  async function signedIn(person: Person, username: string): Promise<Client> {
    const fetch = (input: string | URL, init?: RequestInit) =>
      undiciFetch(input, { ...init, dispatcher: agent } as Parameters<
        typeof undiciFetch
      >[1]) as unknown as Promise<Response>;
    const connect = async () => {
      const client = new Client({ name: 'desk', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
      const transport = new StreamableHTTPClientTransport(new URL(mcp), { fetch, authProvider: person });
      return { client, transport, connected: client.connect(transport) };
    };
    const first = await connect();
    await assert.rejects(first.connected, UnauthorizedError);
    const callback = await keycloak.signIn(person.authorization!, username);
    assert.equal(callback.searchParams.get('state'), person.authorization!.searchParams.get('state'));
    await first.transport.finishAuth(callback.searchParams);
    const second = await connect();
    await second.connected;
    return second.client;
  }

  async function tokenOf(username: string, scope: string): Promise<string> {
    const person = new Person('desk', scope);
    const client = await signedIn(person, username);
    await client.close();
    return person.token();
  }

  async function raw(
    token: string,
    name: string,
    args: object,
  ): Promise<{ status: number; challenge: string; text: string }> {
    const answer = await request(mcp, {
      method: 'POST',
      dispatcher: agent,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': name,
        authorization: `Bearer ${token}`,
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: {
          name,
          arguments: args,
          _meta: {
            'io.modelcontextprotocol/protocolVersion': '2026-07-28',
            'io.modelcontextprotocol/clientCapabilities': {},
          },
        },
      }),
    });
    const said = answer.headers['www-authenticate'];
    return { status: answer.statusCode, challenge: String(said), text: withoutId(await answer.body.text()) };
  }
});

/** Correlation ids differ from answer to answer and say nothing; everything else must be the same. */
function withoutId(text: string): string {
  return text.replace(/"correlationId":"[0-9a-f-]{36}"/, '"correlationId":""');
}

/** Self-signed, since a start beyond development refuses the certificate that development makes. */
function ownCertificate(folder: string): { cert: string; key: string } {
  const [cert, key] = [join(folder, 'own.pem'), join(folder, 'own.key')];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync('openssl', ['req', ...kind, ...names, '-keyout', key, '-out', cert], { stdio: 'pipe' });
  chmodSync(key, 0o600);
  return { cert, key };
}

/** The block of docs/guides/issuers.md, with the realm at the place where it runs here. */
function issuerOfGuide(issuer: string): unknown {
  const guide = readFileSync(join(root, 'docs/guides/issuers.md'), 'utf8');
  const [, groups] = /## Keycloak[\s\S]*?groups: \[(.*)\]/.exec(guide)!;
  assert.match(guide, /\/realms\/staff\/protocol\/openid-connect\/certs/);
  return {
    issuer,
    jwks: `${issuer}/protocol/openid-connect/certs`,
    algorithms: ['RS256'],
    claims: { scopes: ['scope'], groups: groups!.split(', '), client: ['azp'] },
  };
}

type Tokens = Parameters<OAuthClientProvider['saveTokens']>[0];

/** What the SDK asks of an application: a registered client, a place for tokens, somebody who is sent to sign in. */
class Person implements OAuthClientProvider {
  readonly redirectUrl = CALLBACK;
  readonly clientMetadata;
  readonly #client: string;
  authorization: URL | null = null;
  saved: Tokens | null = null;
  #discovered: OAuthDiscoveryState | undefined;
  #verifier = '';

  constructor(client: string, scope: string) {
    this.#client = client;
    this.clientMetadata = { client_name: client, redirect_uris: [CALLBACK], scope };
  }
  state() {
    return 'a-state-of-this-sign-in';
  }
  clientInformation() {
    return { client_id: this.#client };
  }
  tokens() {
    return this.saved ?? undefined;
  }
  saveTokens(tokens: Tokens) {
    this.saved = tokens;
  }
  saveDiscoveryState(state: OAuthDiscoveryState) {
    this.#discovered = state;
  }
  discoveryState() {
    return this.#discovered;
  }
  redirectToAuthorization(url: URL) {
    this.authorization = url;
  }
  saveCodeVerifier(verifier: string) {
    this.#verifier = verifier;
  }
  codeVerifier() {
    return this.#verifier;
  }
  token(): string {
    return this.saved!.access_token;
  }
  read(): { header: Record<string, unknown>; claims: Record<string, unknown> } {
    const [header, claims] = this.token()
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString() || '{}'));
    return { header, claims };
  }
}
