import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { get as httpsGet } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Agent, request } from 'undici';
import type { Principal } from '../../../core/call.ts';
import { SettingsError } from '../../../core/internal-error.ts';
import { Refusal } from '../../../core/stage.ts';
import { openAuthentication } from '../authentication.ts';
import { authenticationSettings } from '../settings.ts';
import { bearer, callWith, RESOURCE } from '../token-kit.test.ts';
import { ensureDevelopmentCertificates, stillGood } from './certificates.ts';
import { type DevelopmentIssuer, startDevelopmentIssuer } from './issuer.ts';
import { ensureIssuerKeys, issuerKeyPaths } from './issuer-keys.ts';
import { developmentIssuerSettings, mintDevelopmentToken } from './mint.ts';
import { DEVELOPMENT_PEOPLE, scopesFor } from './people.ts';

const home = mkdtempSync(join(tmpdir(), 'development-'));
const SCOPES = ['s3:list', 'jira:read', 'jira:write', 'gatewrit:approvals:read'];
let issuer: DevelopmentIssuer;
let agent: Agent;
before(async () => {
  issuer = await startDevelopmentIssuer({ home, port: 0, resources: [RESOURCE], scopes: SCOPES });
  agent = new Agent({ connect: { ca: readFileSync(join(home, 'keys', 'ca.pem')) } });
});
after(async () => {
  await agent.destroy();
  await issuer.close();
  rmSync(home, { recursive: true });
});

const get = async (url: string) => {
  const answer = await request(url, { dispatcher: agent });
  return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
};

async function judge(token: string, utc = Date.now()): Promise<Principal | Refusal> {
  const settings = authenticationSettings.parse({
    development: true,
    issuers: [developmentIssuerSettings(home, issuer.url)],
  });
  const { stage, close } = await openAuthentication({ settings, home });
  const left = (await stage.run(callWith(bearer(token)), { utc, mono: 1 })) as Principal | Refusal;
  await close();
  return left;
}

test('the development certificates are for localhost only, private to the owner, and kept while good', async () => {
  const paths = await ensureDevelopmentCertificates(home);
  const leaf = new X509Certificate(readFileSync(paths.cert));
  assert.equal(leaf.subjectAltName, 'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1');
  const days = (leaf.validToDate.getTime() - leaf.validFromDate.getTime()) / 86_400_000;
  assert.ok(days > 30 && days < 100);
  assert.equal(statSync(join(home, 'keys')).mode & 0o777, 0o700);
  for (const name of ['ca.pem', 'ca.key', 'tls.pem', 'tls.key', 'issuer.jwks']) {
    assert.equal(statSync(join(home, 'keys', name)).mode & 0o777, 0o600, name);
  }
  const before = readFileSync(paths.cert, 'utf8');
  await ensureDevelopmentCertificates(home);
  assert.equal(readFileSync(paths.cert, 'utf8'), before);
  assert.ok(stillGood(paths, Date.now()) && !stillGood(paths, Date.now() + 61 * 86_400_000));
});

test('a broken leaf is replaced under the same CA; a broken CA is replaced with its leaf', async () => {
  const other = mkdtempSync(join(tmpdir(), 'certificates-'));
  const paths = await ensureDevelopmentCertificates(other);
  const ca = readFileSync(paths.ca, 'utf8');
  writeFileSync(paths.cert, 'broken');
  await ensureDevelopmentCertificates(other);
  assert.ok(stillGood(paths, Date.now()));
  assert.equal(readFileSync(paths.ca, 'utf8'), ca);
  writeFileSync(paths.ca, readFileSync(paths.cert));
  await ensureDevelopmentCertificates(other);
  assert.ok(stillGood(paths, Date.now()));
  assert.notEqual(readFileSync(paths.ca, 'utf8'), ca);
  rmSync(other, { recursive: true });
});

test('the issuer runs with TLS and publishes what clients of this protocol look for, and no private key', async () => {
  for (const path of ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']) {
    const document = JSON.parse((await get(issuer.url + path)).text);
    assert.equal(document.issuer, issuer.url);
    assert.deepEqual(document.code_challenge_methods_supported, ['S256']);
    assert.equal(document.client_id_metadata_document_supported, true);
    assert.equal(document.authorization_response_iss_parameter_supported, true);
    assert.ok(document.grant_types_supported.includes('authorization_code'));
    assert.ok(!document.response_types_supported.includes('token'));
    const keys = JSON.parse((await get(document.jwks_uri)).text).keys;
    assert.equal(keys.length, 1);
    assert.deepEqual([keys[0].kty, keys[0].crv, keys[0].d], ['EC', 'P-256', undefined]);
    assert.equal(keys[0].kid, JSON.parse(readFileSync(issuerKeyPaths(home).public, 'utf8')).keys[0].kid);
  }
});

test('the public key set holds no private part, and keys survive a restart', () => {
  const set = readFileSync(issuerKeyPaths(home).public, 'utf8');
  assert.doesNotMatch(set, /"d"/);
  assert.equal(ensureIssuerKeys(home).kid, JSON.parse(set).keys[0].kid);
});

test('a name rebound to loopback gets nothing: only Host localhost with the right port is served', async () => {
  const { port } = new URL(issuer.url);
  const ask = (host: string) =>
    new Promise<number | undefined>((done, fail) => {
      const ca = readFileSync(join(home, 'keys', 'ca.pem'));
      const options = {
        host: '127.0.0.1',
        port,
        path: '/jwks',
        ca,
        servername: 'localhost',
        agent: false,
        headers: { host },
      };
      httpsGet(options, (answer) => done(answer.resume().statusCode)).on('error', fail);
    });
  assert.equal(await ask(`localhost:${port}`), 200);
  for (const host of ['evil.example', `evil.example:${port}`, 'localhost', `127.0.0.1:${port}`]) {
    assert.equal(await ask(host), 421, host);
  }
});

test('authorization without PKCE, for another resource or to a foreign redirect is refused', async () => {
  const good = {
    response_type: 'code',
    client_id: 'gatewrit-cli',
    redirect_uri: 'http://127.0.0.1:5/callback',
    scope: 's3:list',
    resource: RESOURCE,
    code_challenge: 'x'.repeat(43),
    code_challenge_method: 'S256',
    state: 's',
  };
  const ask = async (change: Record<string, string | undefined>) => {
    const parameters = Object.entries({ ...good, ...change }).filter(([, value]) => value !== undefined) as [
      string,
      string,
    ][];
    const answer = await get(`${issuer.url}/auth?${new URLSearchParams(parameters)}`);
    return `${answer.status} ${answer.headers['location'] ?? answer.text}`;
  };
  assert.match(await ask({}), /^303 .*\/interaction\//);
  assert.match(await ask({ code_challenge: undefined, code_challenge_method: undefined }), /error=invalid_request/);
  assert.match(await ask({ code_challenge_method: 'plain' }), /error=invalid_request/);
  assert.match(await ask({ resource: 'https://other.example/mcp' }), /error=invalid_target/);
  assert.match(await ask({ redirect_uri: 'https://evil.example/callback' }), /^400 /);
  assert.match(await ask({ client_id: 'nobody' }), /^400 /);
});

test('a minted token is taken by the gateway for its resource and lasts as long as asked', async () => {
  const order = {
    home,
    issuer: issuer.url,
    audience: RESOURCE,
    subject: 'approver1',
    scopes: ['s3:list'],
    groups: ['approvers'],
  };
  const who = (await judge(await mintDevelopmentToken({ ...order, ttlSeconds: 60 }))) as Principal;
  assert.deepEqual(
    [who.subject, who.groups, who.scopes, who.client],
    ['approver1', ['approvers'], ['s3:list'], 'gatewrit-cli'],
  );
  const old = await judge(await mintDevelopmentToken({ ...order, ttlSeconds: 60 }), Date.now() + 91_000);
  assert.ok(old instanceof Refusal && old.code === 'authentication.expired');
  const elsewhere = await judge(await mintDevelopmentToken({ ...order, audience: 'https://other.example/mcp' }));
  assert.ok(elsewhere instanceof Refusal && elsewhere.code === 'authentication.wrong_audience');
});

test('minting refuses a home without an issuer, and a key others may read', async () => {
  const order = { issuer: issuer.url, audience: RESOURCE, subject: 'alice', scopes: [] };
  const empty = mkdtempSync(join(tmpdir(), 'no-issuer-'));
  await assert.rejects(mintDevelopmentToken({ home: empty, ...order }), SettingsError);
  ensureIssuerKeys(empty);
  chmodSync(issuerKeyPaths(empty).secret, 0o644);
  await assert.rejects(mintDevelopmentToken({ home: empty, ...order }), /chmod 600/);
  rmSync(empty, { recursive: true });
});

test('people get what they may have: readers read, writers do not administer, approvers do', () => {
  const of = (subject: string) => scopesFor(DEVELOPMENT_PEOPLE.find((person) => person.subject === subject)!, SCOPES);
  assert.deepEqual(of('alice'), ['s3:list', 'jira:read']);
  assert.deepEqual(of('bob'), ['s3:list', 'jira:read', 'jira:write']);
  assert.deepEqual(of('approver1'), SCOPES);
  assert.deepEqual(DEVELOPMENT_PEOPLE.filter((person) => person.groups.includes('approvers')).length, 2);
});

test('a busy port moves to a free one', async () => {
  const busy = createServer();
  await new Promise<void>((done) => busy.listen(0, '127.0.0.1', done));
  const { port } = busy.address() as { port: number };
  const second = await startDevelopmentIssuer({ home, port, resources: [RESOURCE], scopes: SCOPES });
  assert.notEqual(new URL(second.url).port, String(port));
  await second.close();
  busy.close();
});

test('the issuer ends with its parent, even when the parent is killed', async () => {
  const script = `
    import { startDevelopmentIssuer } from ${JSON.stringify(new URL('./issuer.ts', import.meta.url).href)};
    const issuer = await startDevelopmentIssuer({ home: ${JSON.stringify(home)}, port: 0, resources: ['https://r.example'], scopes: [] });
    console.log(issuer.url);
    setInterval(() => undefined, 1000);`;
  const parent: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = await new Promise<string>((done) =>
    parent.stdout!.once('data', (line: Buffer) => done(line.toString().trim())),
  );
  assert.equal((await get(`${url}/jwks`)).status, 200);
  parent.kill('SIGKILL');
  for (let tries = 0; tries < 50; tries++) {
    await new Promise((done) => setTimeout(done, 50));
    const gone = await get(`${url}/jwks`).then(
      () => false,
      () => true,
    );
    if (gone) return;
  }
  assert.fail('the issuer is still there');
});
