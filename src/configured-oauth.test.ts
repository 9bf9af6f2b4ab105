import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { configurationOf } from './configuration.ts';
import { openUpstreamCredential } from './configured-oauth.ts';
import { silentLog } from './core/log.ts';
import { openMemoryStore } from './core/store/memory.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatewrit-oauth-settings-'));
after(() => rmSync(folder, { recursive: true }));
const secret = join(folder, 'secret');
writeFileSync(secret, 'the-secret\n', { mode: 0o600 });

const read = (oauth: object, url = 'https://shop.example/mcp', more: object = {}) =>
  configurationOf({ upstreams: { shop: { http: { url, oauth, ...more } } } }, folder).upstreams['shop']!;
const at = { issuer: 'https://as.example', clientId: 'us' };

describe('upstreams.*.http.oauth', () => {
  test('an empty section is a sign-in by a person, as far as public addresses', () => {
    const settings = read({});
    assert.ok('http' in settings);
    const { grant, dpop, reach } = settings.http.oauth!;
    assert.deepEqual({ grant, dpop, reach }, { grant: 'authorization_code', dpop: 'auto', reach: 'public' });
  });

  const wrong: Readonly<Record<string, object>> = {
    'clientId without its issuer': { clientId: 'us' },
    'a secret without clientId': { issuer: at.issuer, clientSecret: `file:${secret}` },
    'a secret in clear': { ...at, clientSecret: 'the-secret' },
    'both a secret and a key': { ...at, clientSecret: `file:${secret}`, clientKey: `file:${secret}` },
    'client_credentials without a credential': { ...at, grant: 'client_credentials' },
    'a workload without its assertion': { grant: 'workload' },
    'enterprise without an identity provider': { ...at, grant: 'enterprise', assertion: `file:${secret}` },
    'an issuer in clear text': { issuer: 'http://as.example' },
    'an issuer that only looks like this machine': { issuer: 'http://localhost.evil.example' },
    'a scope with a blank': { scopes: ['a b'] },
    'an unknown key': { clientID: 'us' },
  };
  for (const [what, oauth] of Object.entries(wrong))
    test(`${what} is refused`, () => {
      assert.throws(() => read(oauth), { code: 'settings.invalid' });
    });

  test('tokens do not go to an upstream in clear text, unless it is on this machine', () => {
    assert.throws(() => read({}, 'http://shop.example/mcp'), { code: 'settings.invalid' });
    assert.doesNotThrow(() => read({}, 'http://localhost:1/mcp'));
  });

  test('either a fixed credential or OAuth', () => {
    assert.throws(() => read({}, undefined, { authorization: `file:${secret}` }), { code: 'settings.invalid' });
  });
});

describe('opening the credential of an upstream', () => {
  const around = (generate: boolean) => ({
    store: openMemoryStore(),
    keys: { folder: join(folder, generate ? 'made' : 'none'), generate },
    clock: () => ({ utc: 0, mono: 0 }),
    log: silentLog,
    person: null,
    path: (relative: string) => join(folder, relative),
  });

  test('an upstream without the section has none, and no key is needed', () => {
    const plain = configurationOf({ upstreams: { shop: { http: { url: 'https://shop.example/mcp' } } } }, folder);
    assert.equal(openUpstreamCredential('shop', plain.upstreams['shop']!, around(false)), null);
  });

  test('outside development a missing key stops the start', async () => {
    assert.throws(() => openUpstreamCredential('shop', read({}), around(false)), /key upstream-credentials is missing/);
    const opened = openUpstreamCredential('shop', read({}), around(true));
    assert.deepEqual(await opened!.credential.headers('POST'), []);
    await opened!.close();
  });

  test('a secret that cannot be read stops the start', () => {
    const settings = read({ ...at, clientSecret: `file:${join(folder, 'missing')}` });
    assert.throws(() => openUpstreamCredential('shop', settings, around(true)), { code: 'settings.invalid' });
  });
});
