import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { forbidden, grantingPerson, reply, rig, unauthorized, type World, world } from './fixture.test.ts';
import { credentialsInMemory } from './kept.ts';
import type { OAuthPlan } from './oauth-credential.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

async function made(options: Parameters<typeof rig>[1] = {}) {
  const at = await world();
  const one = rig(at, options);
  closing.push(at.close, one.close);
  return { at, ...one, one };
}
const paths = (at: World) => at.asked.map(({ path }) => path);
const count = (at: World, path: string) => paths(at).filter((one) => one === path).length;
const codes = (lines: readonly string[]) => lines.flatMap((line) => /"code":"(\w+)"/.exec(line)?.[1] ?? []);
const secret = { issuer: null as string | null, client: { id: 'us', secret: 'the-secret', key: null } };

describe('a sign-in by a person', () => {
  test('a 401 leads to metadata, registration, the page, the token: then every request bears it', async () => {
    const person = grantingPerson();
    const { at, credential } = await made({ person });
    at.resource = { ...at.resource, scopes_supported: ['read'] };
    assert.deepEqual(await credential.headers('POST'), []);
    assert.equal(await credential.refused(unauthorized(null)), 'renewed');
    // A plain value: nothing is waited for any more.
    assert.deepEqual(credential.headers('POST'), ['authorization', 'Bearer token-1']);
    const page = Object.fromEntries(person.pages[0]!.searchParams);
    assert.equal(page['code_challenge_method'], 'S256');
    assert.equal(page['resource'], at.endpoint);
    assert.equal(page['scope'], 'read');
    assert.equal(page['client_id'], 'registered');
    const token = at.asked.find(({ path }) => path === '/token')!;
    assert.equal(token.form.get('resource'), at.endpoint);
    assert.equal(token.form.get('code'), 'the-code');
    assert.match(token.form.get('code_verifier')!, /^[\w-]{43}$/);
  });

  const spoiled: Readonly<Record<string, (callback: URL, at: World) => void>> = {
    'another state': (callback) => callback.searchParams.set('state', 'x'),
    'no state': (callback) => callback.searchParams.delete('state'),
    'another issuer': (callback) => callback.searchParams.set('iss', 'https://evil.example'),
    'the issuer with a slash more': (callback, at) => callback.searchParams.set('iss', `${at.url}/`),
    'an error': (callback) => callback.searchParams.set('error', 'access_denied'),
    'another place': (callback) => {
      callback.pathname = '/elsewhere';
    },
  };
  for (const [what, spoil] of Object.entries(spoiled))
    test(`an answer of the page with ${what} is refused before any token is asked for`, async () => {
      const at = await world();
      const one = rig(at, { person: grantingPerson((callback) => spoil(callback, at)) });
      closing.push(at.close, one.close);
      assert.equal(await one.credential.refused(unauthorized(null)), null);
      assert.equal(count(at, '/token'), 0);
      assert.deepEqual(codes(one.lines), ['callback']);
    });

  test('a server that says it names its issuer in the answer must do so', async () => {
    const { at, credential, lines } = await made({ person: grantingPerson() });
    at.server = { ...at.server, authorization_response_iss_parameter_supported: true };
    assert.equal(await credential.refused(unauthorized(null)), null);
    assert.deepEqual(codes(lines), ['callback']);
  });

  test('no PKCE, no page', async () => {
    const person = grantingPerson();
    const { at, credential, lines } = await made({ person });
    at.server = { ...at.server, code_challenge_methods_supported: ['plain'] };
    assert.equal(await credential.refused(unauthorized(null)), null);
    assert.deepEqual([person.pages.length, codes(lines)], [0, ['pkce_unsupported']]);
  });

  test('a page with the scheme of another program is never opened', async () => {
    for (const page of ['file:///bin/sh', 'javascript:alert(1)', 'vscode://x', 'http://as.example/authorize']) {
      const person = grantingPerson();
      const { at, credential } = await made({ person });
      at.server = { ...at.server, authorization_endpoint: page };
      assert.equal(await credential.refused(unauthorized(null)), null);
      assert.equal(person.pages.length, 0, page);
    }
  });

  test('metadata of another resource ends it before anything is registered', async () => {
    const { at, credential, lines } = await made({ person: grantingPerson() });
    at.resource = { ...at.resource, resource: 'https://evil.example/mcp' };
    assert.equal(await credential.refused(unauthorized(null)), null);
    assert.deepEqual(codes(lines), ['resource_mismatch']);
    assert.deepEqual(paths(at), ['/.well-known/oauth-protected-resource/mcp']);
  });

  test('offline_access is asked for where it is offered, and only there', async () => {
    for (const offered of [true, false]) {
      const person = grantingPerson();
      const { at, credential } = await made({ person });
      at.server = { ...at.server, scopes_supported: offered ? ['offline_access'] : ['read'] };
      await credential.refused(unauthorized(null, 'Bearer scope="read offline_access"'));
      assert.equal(person.pages[0]!.searchParams.get('scope'), offered ? 'read offline_access' : 'read');
    }
  });
});

describe('who we are there', () => {
  test('a metadata document comes before registration, where the server takes one', async () => {
    const clientMetadataUrl = 'https://us.example/client.json';
    for (const takes of [true, false]) {
      const person = grantingPerson();
      const { at, credential } = await made({ person, plan: { clientMetadataUrl } });
      at.server = { ...at.server, client_id_metadata_document_supported: takes };
      assert.equal(await credential.refused(unauthorized(null)), 'renewed');
      assert.equal(person.pages[0]!.searchParams.get('client_id'), takes ? clientMetadataUrl : 'registered');
    }
  });

  test('a secret told by the operator goes to its issuer, and to no other an upstream names', async () => {
    const at = await world();
    const other = await world();
    const plan: Partial<OAuthPlan> = { ...secret, issuer: at.url };
    const one = rig(at, { person: grantingPerson(), plan });
    closing.push(at.close, other.close, one.close);
    at.resource = { ...at.resource, authorization_servers: [other.url] };
    assert.equal(await one.credential.refused(unauthorized(null)), null);
    assert.deepEqual(codes(one.lines), ['issuer_mismatch']);
    assert.deepEqual(other.asked, []);
    at.resource = { ...at.resource, authorization_servers: [other.url, at.url] };
    one.later = 10_000;
    assert.equal(await one.credential.refused(unauthorized(null)), 'renewed');
    const { headers } = at.asked.find(({ path }) => path === '/token')!;
    assert.equal(headers['authorization'], `Basic ${Buffer.from('us:the-secret').toString('base64')}`);
    assert.deepEqual(other.asked, []);
  });

  test('an upstream that moves to another authorization server gets nothing that belonged to the first', async () => {
    const at = await world();
    const other = await world();
    const person = grantingPerson();
    const one = rig(at, { person });
    closing.push(at.close, other.close, one.close);
    other.registration = { client_id: 'registered-there' };
    await one.credential.refused(unauthorized(null));
    at.resource = { ...at.resource, authorization_servers: [other.url] };
    assert.equal(await one.credential.refused(unauthorized('Bearer token-1')), 'renewed');
    assert.equal(person.pages[1]!.searchParams.get('client_id'), 'registered-there');
    assert.doesNotMatch(JSON.stringify(other.asked.map(({ form }) => String(form))), /refresh-1|token-1|=registered&/);
  });

  test('a key proves us with a signature made for that issuer alone', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const at = await world();
    const client = { id: 'us', secret: null, key: { pem, alg: 'ES256', kid: 'k1' } };
    const unattended = { kind: 'client_credentials', assertion: null, identityProvider: null } as const;
    const one = rig(at, { plan: { issuer: at.url, client, unattended } });
    closing.push(at.close, one.close);
    assert.equal(await one.credential.refused(unauthorized(null)), 'renewed');
    const { form } = at.asked.find(({ path }) => path === '/token')!;
    const keys = createLocalJWKSet({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1' }] });
    const { payload } = await jwtVerify(form.get('client_assertion')!, keys, {
      issuer: 'us',
      subject: 'us',
      audience: at.url,
      currentDate: new Date(1_800_000_000_000),
    });
    assert.equal(payload.exp! - payload.iat!, 60);
    assert.equal(form.get('client_secret'), null);
  });
});

describe('renewal', () => {
  test('a refused token is refreshed once, and whoever shared it shares the new one', async () => {
    const person = grantingPerson();
    const { at, credential } = await made({ person });
    await credential.refused(unauthorized(null));
    const all = await Promise.all([1, 2, 3].map(() => credential.refused(unauthorized('Bearer token-1'))));
    assert.deepEqual(all, ['renewed', 'renewed', 'renewed']);
    // One that was on its way meanwhile: the token it bore is not the current one, so there is nothing to do.
    assert.equal(await credential.refused(unauthorized('Bearer token-1')), 'renewed');
    assert.deepEqual(credential.headers('POST'), ['authorization', 'Bearer token-2']);
    assert.equal(count(at, '/token'), 2);
    assert.equal(at.asked.findLast(({ path }) => path === '/token')!.form.get('refresh_token'), 'refresh-1');
    assert.equal(person.pages.length, 1);
  });

  test('one request is repeated at most once for each remedy', async () => {
    const { credential } = await made({ person: grantingPerson() });
    assert.equal(await credential.refused({ ...unauthorized(null), tried: new Set(['renewed'] as const) }), null);
  });

  test('a token that is about to end is renewed before it is sent', async () => {
    const { at, credential, one } = await made({ person: grantingPerson() });
    const { token } = at;
    at.token = (form) => ({ ...token(form), expires_in: 3600 });
    await credential.refused(unauthorized(null));
    one.later = 3_600_000 - 40_000;
    assert.deepEqual(credential.headers('POST'), ['authorization', 'Bearer token-1']);
    one.later = 3_600_000 - 20_000;
    assert.deepEqual(await credential.headers('POST'), ['authorization', 'Bearer token-2']);
  });

  test('nobody at a browser: it says who has to do what, and a sign-in elsewhere is found', async () => {
    const at = await world();
    const store = credentialsInMemory();
    const gateway = rig(at, { store });
    const elsewhere = rig(at, { store, person: grantingPerson() });
    closing.push(at.close, gateway.close, elsewhere.close);
    assert.equal(await gateway.credential.refused(unauthorized(null, 'Bearer scope="read"')), null);
    assert.deepEqual(codes(gateway.lines), ['sign_in_needed']);
    assert.match(gateway.lines[0]!, /gatewrit upstream sign-in shop/);
    assert.equal(await elsewhere.credential.signIn(), null);
    assert.equal(await gateway.credential.refused(unauthorized(null)), 'renewed');
    assert.deepEqual(gateway.credential.headers('POST'), ['authorization', 'Bearer token-1']);
  });

  test('after a failure the authorization server is left alone for a while', async () => {
    const { at, credential, one } = await made();
    for (let i = 0; i < 50; i++) await credential.refused(unauthorized(null));
    assert.equal(count(at, '/.well-known/oauth-authorization-server'), 1);
    one.later = 6_000;
    await credential.refused(unauthorized(null));
    assert.equal(count(at, '/.well-known/oauth-authorization-server'), 2);
  });

  test('a token kept for another endpoint is not used', async () => {
    const at = await world();
    const store = credentialsInMemory();
    const first = rig(at, { store, person: grantingPerson() });
    await first.credential.refused(unauthorized(null));
    const second = rig(at, { store, plan: { endpoint: `${at.url}/other` } });
    closing.push(at.close, first.close, second.close);
    assert.deepEqual(await second.credential.headers('POST'), []);
  });

  test('a sign-out leaves nothing behind', async () => {
    const store = credentialsInMemory();
    const { at, credential } = await made({ store, person: grantingPerson() });
    await credential.refused(unauthorized(null));
    await credential.signOut();
    assert.deepEqual(credential.headers('POST'), []);
    for (const key of ['held', 'wanted', `client ${at.url}`]) assert.equal(await store.get(key), null, key);
  });
});

describe('step-up', () => {
  test('more scopes are asked for together with those there were, and never the same twice', async () => {
    const person = grantingPerson();
    const { credential } = await made({ person });
    await credential.refused(unauthorized(null, 'Bearer scope="read"'));
    assert.equal(await credential.refused(forbidden('Bearer token-1', 'write')), 'stepped_up');
    assert.equal(person.pages[1]!.searchParams.get('scope'), 'read write');
    assert.equal(await credential.refused(forbidden('Bearer token-2', 'write')), null);
    assert.equal(person.pages.length, 2);
  });

  test('a 403 that is no question of scopes is left as it is', async () => {
    const { at, credential } = await made({ person: grantingPerson() });
    assert.equal(await credential.refused({ ...unauthorized(null), status: 403 }), null);
    assert.deepEqual(at.asked, []);
  });

  test('an upstream that names new scopes with every answer cannot have tokens made for ever', async () => {
    const at = await world();
    const unattended = { kind: 'client_credentials', assertion: null, identityProvider: null } as const;
    const one = rig(at, { plan: { ...secret, issuer: at.url, unattended } });
    closing.push(at.close, one.close);
    await one.credential.refused(unauthorized(null));
    for (let i = 0; i < 20; i++) {
      const presented = ((await one.credential.headers('POST')) as string[])[1]!;
      await one.credential.refused(forbidden(presented, `scope-${i}`));
    }
    assert.equal(count(at, '/token'), 2);
  });

  test('the operator’s list is a ceiling', async () => {
    const person = grantingPerson();
    const { credential, lines } = await made({ person, plan: { scopes: ['read'] } });
    await credential.refused(unauthorized(null));
    assert.equal(await credential.refused(forbidden('Bearer token-1', 'admin')), null);
    assert.deepEqual([person.pages.length, codes(lines)], [1, ['scope']]);
  });
});

describe('tokens bound to a key (DPoP)', () => {
  const bound = (at: World) => {
    at.server = { ...at.server, dpop_signing_alg_values_supported: ['ES256'] };
    const { token } = at;
    at.token = (form) => ({ ...token(form), token_type: 'DPoP' });
  };

  test('every request has a proof of its own, with the hash of the token and the nonce of the server', async () => {
    const { at, credential } = await made({ person: grantingPerson() });
    bound(at);
    await credential.refused(unauthorized(null, 'DPoP'));
    const nonce = { ...unauthorized('DPoP token-1', 'DPoP error="use_dpop_nonce"'), nonce: 'n1' };
    assert.equal(await credential.refused(nonce), 'nonce');
    const proofs = await Promise.all([credential.headers('POST'), credential.headers('GET')]);
    assert.deepEqual(
      proofs.map((fields) => fields.slice(0, 3)),
      [1, 2].map(() => ['authorization', 'DPoP token-1', 'dpop']),
    );
    const [post, get] = proofs.map((fields) => decodeJwt(fields[3]!));
    assert.deepEqual([post!['htm'], get!['htm'], post!['htu'], post!['nonce']], ['POST', 'GET', at.endpoint, 'n1']);
    assert.notEqual(post!.jti, get!.jti);
    const { jwk, typ } = decodeProtectedHeader(proofs[0]![3]!);
    assert.deepEqual([typ, Object.hasOwn(jwk!, 'd')], ['dpop+jwt', false]);
  });

  test('a bearer token in answer to a proof is a downgrade, and not used', async () => {
    const { at, credential, lines } = await made({ person: grantingPerson(), plan: { dpop: 'required' } });
    at.server = { ...at.server, dpop_signing_alg_values_supported: ['ES256'] };
    assert.equal(await credential.refused(unauthorized(null)), null);
    assert.deepEqual(codes(lines), ['token_unbound']);
    assert.deepEqual(credential.headers('POST'), []);
  });

  test('required where the server cannot: no token at all', async () => {
    const { at, credential, lines } = await made({ person: grantingPerson(), plan: { dpop: 'required' } });
    assert.equal(await credential.refused(unauthorized(null)), null);
    assert.deepEqual([count(at, '/token'), codes(lines)], [0, ['token_unbound']]);
  });
});

test('no token, code, secret or text of a stranger reaches the log', async () => {
  const at = await world();
  const canary = 'C4NARY';
  const one = rig(at, {
    person: grantingPerson((callback) => callback.searchParams.set('code', canary)),
    plan: { issuer: at.url, client: { id: 'us', secret: canary, key: null } },
  });
  closing.push(at.close, one.close);
  const answers = [
    { error: canary, error_description: canary },
    { access_token: canary, token_type: canary },
    { access_token: `${canary}\r\nx: y`, token_type: 'Bearer' },
    { access_token: canary, token_type: 'Bearer', refresh_token: canary },
  ];
  for (const answer of answers) {
    at.token = () => answer;
    await one.credential.refused(unauthorized(null));
    one.later += 10_000;
  }
  at.paths.set('/token', (res) =>
    reply(res, 401, { [canary]: canary }, { 'www-authenticate': `Basic realm="${canary}"` }),
  );
  await one.credential.refused(unauthorized(`Bearer ${canary}`));
  assert.ok(one.lines.length >= 5);
  assert.doesNotMatch(one.lines.join('\n'), new RegExp(canary));
});
