import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { Agent, request } from 'undici';
import {
  type AuthenticationSettings,
  authenticationSettings,
  type DevelopmentIssuer,
  developmentIssuerSettings,
  ensureDevelopmentCertificates,
  openAuthentication,
  resourceMetadata,
  startDevelopmentIssuer,
} from '../../controls/authentication/index.ts';
import { madeCertificate } from '../../controls/transport/clients-kit.test.ts';
import type { CallWith, Principal } from '../../core/call.ts';
import { challengeFor, protectedResourceMetadataPath } from '../../core/mcp/challenge.ts';
import { Refusal } from '../../core/stage.ts';
import { tokenCommand } from '../cli/token.ts';
import { certificateDemand } from '../client-certificate.ts';
import { authorizationCodeTokens, developmentTokens } from './token-source.ts';

const home = mkdtempSync(join(tmpdir(), 'token-source-'));
let issuer: DevelopmentIssuer;
let gateway: Server;
let resource: string;
let settings: AuthenticationSettings;
let agent: Agent;
let ca: string;
/** What the little gateway below does differently, for tests of a hostile or broken one. */
let twist: { document?: object; challenge?: string; status?: number } = {};

before(async () => {
  const paths = await ensureDevelopmentCertificates(home);
  ca = readFileSync(paths.ca, 'utf8');
  gateway = createServer({ cert: readFileSync(paths.cert), key: readFileSync(paths.key) }, (request, response) => {
    if (request.url === protectedResourceMetadataPath(resource)) {
      return void response.end(JSON.stringify(twist.document ?? resourceMetadata(settings, resource)));
    }
    const challenge = twist.challenge ?? challengeFor(new Refusal('authentication.missing'), resource)!;
    response.writeHead(twist.status ?? 401, { 'www-authenticate': challenge }).end('{}');
  });
  await new Promise<void>((done) => gateway.listen(0, '127.0.0.1', done));
  resource = `https://localhost:${(gateway.address() as AddressInfo).port}/mcp`;
  issuer = await startDevelopmentIssuer({ home, port: 0, resources: [resource], scopes: ['s3:list', 'jira:write'] });
  settings = authenticationSettings.parse({
    development: true,
    issuers: [developmentIssuerSettings(home, issuer.url)],
    metadata: { scopesSupported: ['s3:list'] },
  });
  agent = new Agent({ connect: { ca } });
});
after(async () => {
  await agent.destroy();
  gateway.closeAllConnections();
  gateway.close();
  await issuer.close();
  rmSync(home, { recursive: true });
});

/** Plays the browser: follows redirects with cookies, presses one button on the sign-in page, ends at the loopback port. */
async function browse(
  url: string,
  person: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const jar = new Map<string, string>();
  let next = url;
  let form: string | undefined;
  for (let hops = 0; hops < 12; hops++) {
    const answer = await request(next, {
      dispatcher: agent,
      method: form === undefined ? 'GET' : 'POST',
      headers: {
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded', ...headers }),
      },
      ...(form === undefined ? {} : { body: form }),
    });
    const text = await answer.body.text();
    for (const cookie of [answer.headers['set-cookie'] ?? []].flat()) {
      const [pair] = cookie.split(';');
      jar.set(pair!.slice(0, pair!.indexOf('=')), pair!.slice(pair!.indexOf('=') + 1));
    }
    const location = answer.headers['location'];
    if (location !== undefined) {
      next = new URL(String(location), next).href;
      form = undefined;
    } else if (text.includes('<form') && form === undefined) {
      assert.match(text, new RegExp(`value="${person}"`));
      assert.match(String(answer.headers['content-security-policy']), /frame-ancestors 'none'/);
      form = `person=${person}`;
    } else return { status: answer.statusCode, text };
  }
  throw new Error('no end of redirects');
}

async function principalOf(token: string): Promise<Principal | Refusal> {
  const { stage, close } = await openAuthentication({ settings, home });
  const call = {
    head: { rawHeaders: ['Authorization', `Bearer ${token}`], certificate: null, address: '127.0.0.1' },
    endpoint: { server: null, resource, admin: false },
  } as unknown as CallWith<'endpoint' | 'door'>;
  const left = (await stage.run(call, { utc: Date.now(), mono: 1 })) as Principal | Refusal;
  await close();
  return left;
}

const signIn = (person: string, more: Partial<Parameters<typeof authorizationCodeTokens>[0]> = {}) => {
  const seen: { urls: string[]; ended: Promise<{ status: number; text: string }>[] } = { urls: [], ended: [] };
  const source = authorizationCodeTokens({
    resource,
    ca,
    scopes: ['s3:list', 'jira:write'],
    patienceMs: 5000,
    onUrl: (url) => {
      seen.urls.push(url);
      const end = browse(url, person);
      end.catch(() => undefined);
      seen.ended.push(end);
    },
    ...more,
  });
  return { source, seen };
};

test('a person signs in with code and PKCE, and the gateway takes the token for that person', async () => {
  const { source, seen } = signIn('approver1');
  const token = await source.token();
  const who = (await principalOf(token)) as Principal;
  assert.ok(!(who instanceof Refusal), JSON.stringify(who));
  assert.deepEqual(
    [who.subject, who.groups, who.scopes, who.client],
    ['approver1', ['approvers'], ['jira:write', 's3:list'], 'gatewrit-cli'],
  );
  assert.equal((await seen.ended[0]!).text, 'Done. You can close this page.\n');
  assert.equal(await source.token(), token, 'kept while it is good');
  assert.equal(seen.urls.length, 1);
});

test('our certificate is shown to the gateway that demands it, and to no issuer it names', async () => {
  const authority = await madeCertificate(null);
  const certificate = await madeCertificate(authority);
  const paths = await ensureDevelopmentCertificates(home);
  const tls = { cert: readFileSync(paths.cert), key: readFileSync(paths.key), requestCert: true, ca: authority.cert };
  const shown: string[] = [];
  const nameOf = (socket: unknown) => (socket as TLSSocket).getPeerX509Certificate()?.subject ?? 'nothing';
  const stranger = createServer({ ...tls, rejectUnauthorized: false }, (request, response) => {
    shown.push(`issuer: ${nameOf(request.socket)}`);
    response.writeHead(404).end();
  });
  const demanding = createServer({ ...tls, rejectUnauthorized: true }, (request, response) => {
    shown.push(`gateway: ${nameOf(request.socket)}`);
    if (request.method === 'GET')
      return void response.end(JSON.stringify({ resource: at, authorization_servers: [urlOf(stranger)] }));
    response.writeHead(401, { 'www-authenticate': 'Bearer' }).end('{}');
  });
  const urlOf = (server: Server) => `https://localhost:${(server.address() as AddressInfo).port}`;
  for (const server of [stranger, demanding]) await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const at = `${urlOf(demanding)}/mcp`;
  try {
    const { cert, key } = certificate;
    const pair = { cert: Buffer.from(cert), key: Buffer.from(key) };
    const source = authorizationCodeTokens({ resource: at, ca, certificate: pair });
    await assert.rejects(source.token(), /publishes no metadata/);
    assert.deepEqual(new Set(shown), new Set(['gateway: CN=alice', 'issuer: nothing']));
    const without = await authorizationCodeTokens({ resource: at, ca })
      .token()
      .catch((cause: unknown) => cause);
    assert.match(String(certificateDemand(without, false)), /demands? a client certificate/);
  } finally {
    for (const server of [stranger, demanding]) {
      server.closeAllConnections();
      server.close();
    }
  }
});

test('a reader is granted only what he may read', async () => {
  assert.deepEqual(((await principalOf(await signIn('alice').source.token())) as Principal).scopes, ['s3:list']);
});

test('an expiring token is refreshed without asking the person again; parallel callers share one refresh', async () => {
  let now = Date.now();
  const { source, seen } = signIn('bob', { clock: () => now });
  const first = await source.token();
  now += 590_000;
  const [second, third] = await Promise.all([source.token(), source.token()]);
  assert.notEqual(second, first);
  assert.equal(second, third);
  assert.equal(seen.urls.length, 1);
  assert.equal(((await principalOf(second)) as Principal).subject, 'bob');
});

test('a client id metadata document is fetched and its client may sign people in', async () => {
  const clientId = `${issuer.url}/clients/cli.json`;
  const who = (await principalOf(await signIn('bob', { clientId }).source.token())) as Principal;
  assert.deepEqual([who.subject, who.client], ['bob', clientId]);
});

test('scopes default to those the metadata document lists', async () => {
  const { source } = signIn('bob', { scopes: undefined });
  assert.deepEqual(((await principalOf(await source.token())) as Principal).scopes, ['s3:list']);
});

test('cancelling ends the sign-in with an error, and nobody waits for ever', async () => {
  await assert.rejects(signIn('').source.token(), /did not work/);
  await assert.rejects(signIn('bob', { patienceMs: 30, onUrl: () => undefined }).source.token(), /in time/);
});

test('a form sent from another site does not sign anybody in', async () => {
  let ended: Promise<{ status: number }> | undefined;
  const { source } = signIn('bob', {
    patienceMs: 700,
    onUrl: (url) => {
      ended = browse(url, 'bob', { origin: 'https://evil.example' });
    },
  });
  await assert.rejects(source.token(), /in time/);
  assert.equal((await ended!).status, 400);
});

test('a hostile endpoint cannot lead the sign-in elsewhere', async () => {
  const good = resourceMetadata(settings, resource);
  const cases: [typeof twist, RegExp][] = [
    [{ status: 200 }, /does not ask for a bearer token/],
    [{ challenge: 'Basic realm="x"' }, /does not ask for a bearer token/],
    [{ challenge: 'Bearer resource_metadata="https://evil.example/x"' }, /not on the origin/],
    [{ document: { ...good, resource: 'https://other.example/mcp' } }, /names another resource/],
    [{ document: { ...good, authorization_servers: ['http://evil.example'] } }, /no https issuer/],
    [{ document: { ...good, authorization_servers: [] } }, /no https issuer/],
    [{ document: { ...good, authorization_servers: ['https://localhost:1/'] } }, /./],
  ];
  for (const [change, sentence] of cases) {
    twist = change;
    const { source, seen } = signIn('bob');
    await assert.rejects(source.token(), sentence);
    assert.equal(seen.urls.length, 0);
  }
  twist = {};
});

test('development tokens carry the person’s groups and are renewed before they expire', async () => {
  let now = Date.now();
  const options = { home, issuer: issuer.url, audience: resource, scopes: ['s3:list'], clock: () => now };
  const source = developmentTokens({ ...options, subject: 'approver2' });
  const first = await source.token();
  assert.deepEqual(((await principalOf(first)) as Principal).groups, ['approvers']);
  now += 269_000;
  assert.equal(await source.token(), first);
  now += 2000;
  assert.notEqual(await source.token(), first);
});

async function run(argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await tokenCommand.run(argv, { stdout: (text) => out.push(text), stderr: (text) => err.push(text) });
  return { code, out: out.join(''), err: err.join('') };
}

test('gatewrit token prints the token alone on stdout, and the gateway takes it', async () => {
  const where = ['--home', home, '--issuer', issuer.url, '--audience', resource];
  const { code, out, err } = await run([
    '--sub',
    'approver1',
    '--scope',
    's3:list jira:write',
    '--ttl',
    '90s',
    ...where,
  ]);
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const who = (await principalOf(out.trim())) as Principal;
  assert.deepEqual([who.subject, who.groups, who.scopes], ['approver1', ['approvers'], ['jira:write', 's3:list']]);
  const json = JSON.parse((await run(['--sub', 'bob', '--scope', '', '--json', ...where])).out);
  assert.deepEqual(
    [json.issuer, json.audience, typeof json.token, typeof json.expiresAt],
    [issuer.url, resource, 'string', 'string'],
  );
});

test('gatewrit token says what is wrong: 2 for wrong use, 3 when no gateway runs', async () => {
  const base = ['--sub', 'a', '--scope', 'x'];
  for (const argv of [
    [],
    ['--sub', 'a'],
    ['--scope', 'x'],
    [...base, '--ttl', '5'],
    [...base, '--ttl', '25h'],
    [...base, '--nope'],
  ]) {
    const { code, out, err } = await run(argv);
    assert.equal(code, 2, argv.join(' '));
    assert.equal(out, '');
    assert.match(err, /--help/);
  }
  const { code, err } = await run([...base, '--home', join(home, 'nowhere')]);
  assert.equal(code, 3);
  assert.match(err, /no gateway runs/);
});
