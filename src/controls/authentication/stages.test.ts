import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import type { Now, Principal } from '../../core/call.ts';
import { REFUSALS } from '../../core/mcp/refusals.ts';
import { readSection } from '../../core/settings.ts';
import { Refusal } from '../../core/stage.ts';
import { openAuthentication } from './authentication.ts';
import { authenticationSettings } from './settings.ts';
import {
  b64,
  bearer,
  callWith,
  goodClaims,
  ISSUER,
  jwks,
  later,
  makeKey,
  makeToken,
  RESOURCE,
  START,
  seconds,
  signatureOf,
  type TestKey,
} from './token-kit.test.ts';

const home = mkdtempSync(join(tmpdir(), 'authentication-'));
after(() => rmSync(home, { recursive: true }));

const rsa = makeKey('RS256', 'rsa-1');
const ec = makeKey('ES256', 'ec-1');
const ed = makeKey('EdDSA', 'ed-1');
const stranger = makeKey('ES256', 'ec-1');
writeFileSync(join(home, 'keys.jwks'), jwks(rsa, ec, ed));

async function open(issuer: Record<string, unknown> = {}, more: Record<string, unknown> = {}) {
  const settings = readSection('authentication', authenticationSettings, {
    issuers: [{ issuer: ISSUER, jwks: 'file:keys.jwks', algorithms: ['RS256', 'ES256'], ...issuer }],
    ...more,
  });
  return openAuthentication({ settings, home });
}

const main = await open();
const judge = async (
  token: string,
  now: Now = START,
  more: Parameters<typeof callWith>[1] = {},
  at = main.stage,
): Promise<Principal | Refusal> => (await at.run(callWith(bearer(token), more), now)) as Principal | Refusal;

function assertRefused(left: Principal | Refusal, code?: string): void {
  assert.ok(left instanceof Refusal, 'must be refused');
  assert.ok(left.code.startsWith('authentication.'));
  assert.equal(REFUSALS[left.code].status, 401);
  assert.ok(left.facts.evidence, 'the record must say why');
  if (code) assert.equal(left.code, code);
}

const headAndBody = (header: object, claims: object = {}) => `${b64(header)}.${b64({ ...goodClaims(), ...claims })}`;
const unsigned = (alg: string, signature: string) => `${headAndBody({ alg, typ: 'at+jwt' })}.${signature}`;
function hmac(alg: string, secret: string | Buffer): string {
  const input = headAndBody({ alg, typ: 'at+jwt', kid: 'rsa-1' });
  return `${input}.${createHmac(`sha${alg.slice(2)}`, secret)
    .update(input)
    .digest('base64url')}`;
}
/** A correct signature of `alg` by a key that is configured (or a fresh one on another curve). */
function signedAs(alg: string, key: TestKey): string {
  const input = headAndBody({ alg, typ: 'at+jwt', kid: key.kid });
  return `${input}.${signatureOf(alg, key.privateKey, input)}`;
}
const flip = (text: string, at: number, bit: number) =>
  `${text.slice(0, at)}${String.fromCharCode(text.charCodeAt(at) ^ bit)}${text.slice(at + 1)}`;
/** Texts that a lax decoder reads as the same token: the last character of the signature carries four unused bits. */
const sameBytesOtherText = (token: string) => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const value = alphabet.indexOf(token.at(-1)!);
  return Array.from({ length: 15 }, (_, low) => token.slice(0, -1) + alphabet[(value & 0b110000) | (low + 1)]);
};
const good = makeToken(ec);
const [head, body, signature] = good.split('.') as [string, string, string];
const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string;
const attackerKey = { jwk: stranger.jwk, jku: 'http://127.0.0.1:9/keys', x5u: 'http://127.0.0.1:9/c', x5c: ['MIIB'] };

/** threats.md section 3 "Tokens", class by class: every one of these is a 401. */
const REFUSED: Record<string, readonly string[]> = {
  'JWT-01 no algorithm': ['none', 'None', 'NONE', 'nOnE'].flatMap((alg) => [
    unsigned(alg, ''),
    unsigned(alg, signature),
  ]),
  'JWT-02 public key as secret': ['HS256', 'HS384', 'HS512'].flatMap((alg) => [
    hmac(alg, pem),
    hmac(alg, ` ${pem}`),
    hmac(alg, rsa.publicKey.export({ type: 'spki', format: 'der' })),
    hmac(alg, JSON.stringify(rsa.jwk)),
    hmac(alg, Buffer.from(String(rsa.jwk['n']), 'base64url')),
  ]),
  'JWT-03 other algorithm': [
    signedAs('PS256', rsa),
    signedAs('RS512', rsa),
    signedAs('RS384', rsa),
    signedAs('ES384', makeKey('ES384', 'ec-1')),
    signedAs('EdDSA', ed),
    makeToken(ec, {}, { alg: undefined }),
  ],
  'JWT-04 damage': [
    ...[0, head.length - 1, head.length + 2, head.length + body.length, good.length - 1].flatMap((at) =>
      [1, 2, 4, 8, 16].map((bit) => flip(good, at, bit)),
    ),
    `${head}.${body}`,
    `${head}.${body}.`,
    `${head}..${signature}`,
    `.${body}.${signature}`,
    `${good}.`,
    `${good}.${signature}`,
    JSON.stringify({ protected: head, payload: body, signature }),
    `${b64({ alg: 'RSA-OAEP', enc: 'A256GCM' })}.AAAA.AAAA.AAAA.AAAA`,
    `${good}=`,
    `${head}=.${body}.${signature}`,
    `${head} .${body}.${signature}`,
    `${head}.${body}\t.${signature}`,
    good.replace('.', '%2e'),
    ...sameBytesOtherText(good),
  ],
  'JWT-05 key in the header': Object.entries(attackerKey).flatMap(([name, value]) => [
    makeToken(stranger, {}, { [name]: value }),
    makeToken(stranger, {}, { [name]: value, kid: undefined }),
    makeToken(stranger, {}, { [name]: value, kid: '../../etc/passwd' }),
  ]),
  'JWT-06 time': [
    makeToken(ec, { exp: seconds - 31 }),
    makeToken(ec, { nbf: seconds + 31 }),
    makeToken(ec, { iat: seconds + 3600, exp: seconds + 7200 }),
    makeToken(ec, { exp: undefined }),
    makeToken(ec, { exp: String(seconds + 60) }),
    makeToken(ec, { exp: 1e300 }),
    makeToken(ec, { exp: -1 }),
    makeToken(ec, { nbf: 'soon' }),
    makeToken(ec, { iat: [] }),
    makeToken(ec, { exp: seconds + 90_000 }),
    makeToken(ec, { iat: undefined, exp: seconds + 90_000 }),
  ],
  'JWT-07 issuer': [
    undefined,
    'https://other.example',
    `${ISSUER}/`,
    ISSUER.toUpperCase(),
    [ISSUER],
    { 0: ISSUER },
    7,
    ` ${ISSUER}`,
  ].map((iss) => makeToken(ec, { iss })),
  'JWT-08 audience': [
    undefined,
    'https://other.example/mcp',
    'https://localhost:8443',
    `${RESOURCE}/`,
    `${RESOURCE}/jira`,
    'https://staging.localhost:8443/mcp',
    RESOURCE.toUpperCase(),
    [],
    ['https://other.example/mcp'],
    { [RESOURCE]: true },
    [RESOURCE, 7],
    7,
  ].map((aud) => makeToken(ec, { aud })),
  'JWT-09 critical header': [
    { crit: ['nobody-knows'], 'nobody-knows': 1 },
    { crit: [] },
    { crit: ['b64'], b64: false },
    { b64: false },
    { crit: 'x' },
  ].map((header) => makeToken(ec, {}, header)),
  'JWT-10 size': [16, 64, 1024]
    .map((kib) => makeToken(ec, { padding: 'x'.repeat(kib * 1024) }))
    .concat(makeToken(ec, Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`c${i}`, i])))),
  'claims of other types': [
    makeToken(ec, { sub: undefined }),
    makeToken(ec, { sub: '' }),
    makeToken(ec, { sub: 7 }),
    makeToken(ec, { sub: ['alice'] }),
    makeToken(ec, { sub: 'alice\r\nadmin' }),
    makeToken(ec, { sub: 'alice ' }),
    makeToken(ec, { sub: 'a\u0000b' }),
    makeToken(ec, { scope: 7 }),
    makeToken(ec, { scope: { a: 1 } }),
    makeToken(ec, { scope: ['jira:read jira:write'] }),
    makeToken(ec, { scope: 'jira:"read' }),
    makeToken(ec, { groups: [1] }),
    makeToken(ec, { client_id: {} }),
    makeToken(ec, { act: 'bob' }),
    makeToken(ec, { act: { iss: ISSUER } }),
  ],
  'bound to a proof nobody gave': [
    { jkt: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I' },
    { 'x5t#S256': 'A'.repeat(43) },
    { 'x5t#S256': 'A'.repeat(43), jkt: 'x' },
    { 'x5t#S256': 7 },
    {},
    null,
    'x',
    [],
  ].map((cnf) => makeToken(ec, { cnf })),
  'other types of token': ['dpop+jwt', 'logout+jwt', 'id_token', 'application/jwt+x', '', undefined, 7].map((typ) =>
    makeToken(ec, {}, { typ }),
  ),
  'invented credentials': [
    'null',
    'undefined',
    'x',
    'gho_0123456789abcdef',
    'sk-live-0123456789',
    '..',
    'a.b.c',
    'e30.e30.e30',
  ],
};

for (const [name, tokens] of Object.entries(REFUSED)) {
  test(`${name}: all ${tokens.length} are refused`, async () => {
    for (const [index, token] of tokens.entries()) {
      const left = await judge(token);
      assert.ok(left instanceof Refusal, `case ${index} was let in: ${token.slice(0, 200)}`);
      assertRefused(left);
    }
  });
}

test('property: a token edited anywhere, by any character, is never let in', async () => {
  const runs = 150 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
  const character = fc.constantFrom(...'ABCXYZabcxyz0189-_.=+/ ~"%');
  const edit = fc.record({
    at: fc.nat({ max: good.length }),
    take: fc.nat({ max: 3 }),
    put: fc.array(character, { maxLength: 3 }).map((list) => list.join('')),
  });
  await fc.assert(
    fc.asyncProperty(edit, async ({ at, take, put }) => {
      const edited = good.slice(0, at) + put + good.slice(at + take);
      // Blanks before the token and after the header value are HTTP's own, not the token's.
      fc.pre(edited.trim() !== good);
      assertRefused(await judge(edited));
    }),
    { numRuns: runs, seed: Number(process.env['GATEWRIT_TEST_SEED'] ?? 20261122) },
  );
});

test('every refusal of a sent token looks the same outside, and evidence quotes nothing of it', async () => {
  const rows = new Set<string>();
  for (const token of Object.values(REFUSED).flat()) {
    const left = (await judge(token)) as Refusal;
    rows.add(JSON.stringify(REFUSALS[left.code]));
    assert.equal(left.facts.text, undefined);
    assert.doesNotMatch(left.facts.evidence!, /alice|other\.example|nobody-knows|passwd/);
  }
  assert.equal(rows.size, 1);
});

test('a token in the size class is refused in under 100 ms', async () => {
  const token = makeToken(ec, { padding: 'x'.repeat(1024 * 1024) });
  const began = performance.now();
  assertRefused(await judge(token));
  assert.ok(performance.now() - began < 100);
});

test('each allowed algorithm is taken, and only from an issuer that allows it', async () => {
  const all = await open({ algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'] });
  for (const token of [signedAs('RS256', rsa), signedAs('PS256', rsa), signedAs('ES256', ec), signedAs('EdDSA', ed)]) {
    assert.equal(((await judge(token, START, {}, all.stage)) as Principal).subject, 'alice');
  }
  await all.close();
});

test('accepted: within leeway, a list of audiences with ours, type in any case, key-carrying headers of an honest signer', async () => {
  for (const token of [
    makeToken(ec, { exp: seconds - 29 }),
    makeToken(ec, { nbf: seconds + 29 }),
    makeToken(ec, { iat: seconds + 29 }),
    makeToken(ec, { aud: ['https://other.example/mcp', RESOURCE] }),
    makeToken(ec, {}, { typ: 'application/AT+JWT' }),
    makeToken(ec, {}, { typ: 'JWT' }),
    makeToken(ec, {}, attackerKey),
    makeToken(ec, {}, { kid: undefined }),
  ]) {
    const left = await judge(token);
    assert.ok(!(left instanceof Refusal), JSON.stringify(left));
  }
});

test('only one Authorization header of scheme Bearer counts, and never the query string', async () => {
  const run = async (headers: string[], query = '') =>
    (await main.stage.run(callWith(headers, { query }), START)) as Principal | Refusal;
  assertRefused(await run([]), 'authentication.missing');
  assertRefused(await run([], `access_token=${good}`), 'authentication.missing');
  assertRefused(await run([...bearer(good), ...bearer(good)]), 'authentication.invalid');
  assertRefused(await run([...bearer(good), 'authorization', 'Bearer x']), 'authentication.invalid');
  for (const value of [
    good,
    `Basic ${good}`,
    `DPoP ${good}`,
    'Bearer',
    'Bearer ',
    `Bearer ${good}, Bearer ${good}`,
    `Bearer\t${good}`,
  ]) {
    assertRefused(await run(['Authorization', value]), 'authentication.invalid');
  }
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
    assert.ok(!((await run(['aUTHORIZATION', `${scheme} ${good}`])) instanceof Refusal));
  }
});

test('the principal says what the token says, sorted and frozen', async () => {
  const token = makeToken(ec, {
    scope: undefined,
    scp: ['s3:list', 'jira:read', 's3:list'],
    groups: ['b', 'a'],
    client_id: undefined,
    azp: 'console',
    act: { sub: 'agent', act: { sub: 'robot', iss: 'https://elsewhere.example' } },
  });
  const who = (await judge(token)) as Principal;
  assert.deepEqual(
    { ...who, key: '', authority: '' },
    {
      issuer: ISSUER,
      subject: 'alice',
      client: 'console',
      tenant: 'default',
      scopes: ['jira:read', 's3:list'],
      groups: ['a', 'b'],
      proof: 'bearer',
      actors: [
        { issuer: ISSUER, subject: 'agent' },
        { issuer: 'https://elsewhere.example', subject: 'robot' },
      ],
      expiresAt: START.utc + 300_000,
      key: '',
      authority: '',
    },
  );
  assert.ok(
    Object.isFrozen(who) && Object.isFrozen(who.scopes) && Object.isFrozen(who.groups) && Object.isFrozen(who.actors),
  );
});

test('whoever acts for somebody is named as he is when he comes himself, or nobody could tell that it is he', async () => {
  const { stage, close } = await open({ claims: { subject: 'uid' } });
  const subjectOf = async (claims: object) =>
    (await judge(makeToken(ec, { ...claims }), START, {}, stage)) as Principal;
  const himself = await subjectOf({ sub: 'approver@example.com', uid: '00u1' });
  const chain = {
    sub: 'approver@example.com',
    uid: '00u1',
    act: { sub: 'service', act: { sub: 'x', uid: 'y', iss: 'https://elsewhere.example' } },
  };
  const delegated = await subjectOf({ sub: 'alice@example.com', uid: '00u2', act: chain });
  assert.deepEqual(delegated.actors, [
    { issuer: ISSUER, subject: himself.subject },
    { issuer: ISSUER, subject: 'service' },
    { issuer: 'https://elsewhere.example', subject: 'x' },
  ]);
  for (const uid of [7, '', { a: 1 }, null])
    assertRefused(await judge(makeToken(ec, { uid: '00u2', act: { sub: 'a', uid } }), START, {}, stage));
  assertRefused(await judge(makeToken(ec, { uid: '00u2', act: { sub: 'a', iss: null } }), START, {}, stage));
  await close();
});

test('claims may stand inside others, and groups and roles in several; all that are there count', async () => {
  const inner = await open({
    claims: {
      subject: '/user/id',
      tenant: '/user/org',
      scopes: ['/access/scopes', 'scope'],
      client: ['/app/a~1b~0c'],
      groups: ['groups', '/realm_access/roles', '/resource_access/gatewrit/roles', 'https://a.example/roles'],
    },
  });
  const claims = {
    sub: 'not this one',
    user: { id: 'alice', org: 'blue' },
    app: { 'a/b~c': 'desk' },
    access: { scopes: ['jira:read'] },
    groups: ['g', 'ops'],
    realm_access: { roles: ['ops', 'r'] },
    'https://a.example/roles': 'h',
  };
  const who = (await judge(makeToken(ec, claims), START, {}, inner.stage)) as Principal;
  assert.deepEqual(
    [who.subject, who.tenant, who.client, who.scopes, who.groups],
    ['alice', 'blue', 'desk', ['jira:read'], ['g', 'h', 'ops', 'r']],
  );
  for (const wrong of [
    { user: 'alice' },
    { user: ['alice'] },
    { user: { id: 7, org: 'blue' } },
    { user: { id: 'alice', org: 'system' } },
    { user: null },
    { '/user/id': 'alice', user: {} },
    { realm_access: { roles: [7] } },
    { realm_access: { roles: {} } },
    { groups: 7 },
    {
      groups: Array.from({ length: 600 }, (_, i) => `a${i}`),
      realm_access: { roles: Array.from({ length: 600 }, (_, i) => `b${i}`) },
    },
  ])
    assertRefused(await judge(makeToken(ec, { ...claims, ...wrong }), START, {}, inner.stage));
  await inner.close();
  const everywhere = await open({
    claims: { groups: ['/constructor/name', '/groups/0', '/groups/length', '/scope/length'] },
  });
  const none = (await judge(makeToken(ec, { groups: ['ops'] }), START, {}, everywhere.stage)) as Principal;
  assert.deepEqual(none.groups, [], 'only members of objects of the token are found');
  await everywhere.close();
});

test('key stays the same for a person; authority changes with whatever a decision may read', async () => {
  const who = async (claims: Record<string, unknown>) => (await judge(makeToken(ec, claims))) as Principal;
  const base = await who({});
  assert.equal((await who({ scope: 's3:list jira:read', exp: seconds + 200 })).authority, base.authority);
  for (const claims of [{ scope: 'jira:read' }, { groups: ['x'] }, { client_id: 'other' }, { act: { sub: 'x' } }]) {
    const other = await who(claims);
    assert.equal(other.key, base.key);
    assert.notEqual(other.authority, base.authority);
  }
  assert.notEqual((await who({ sub: 'bob' })).key, base.key);
});

test('the tenant comes from the issuer settings or a named claim, never from the request or another claim', async () => {
  assert.equal(((await judge(makeToken(ec, { tenant: 'evil', tid: 'evil' }))) as Principal).tenant, 'default');
  const fixed = await open({ tenant: 'acme' });
  assert.equal(((await judge(makeToken(ec, { tenant: 'evil' }), START, {}, fixed.stage)) as Principal).tenant, 'acme');
  const claimed = await open({ claims: { tenant: 'tid' } });
  assert.equal(((await judge(makeToken(ec, { tid: 'blue' }), START, {}, claimed.stage)) as Principal).tenant, 'blue');
  for (const tid of [undefined, '', 'system', 'Blue', '../x', 'a\u0000b', ['blue'], 'x'.repeat(65)]) {
    assertRefused(await judge(makeToken(ec, { tid }), START, {}, claimed.stage));
  }
  const headers = [...bearer(makeToken(ec)), 'X-Tenant', 'evil', 'X-Forwarded-User', 'root'];
  assert.equal(((await main.stage.run(callWith(headers), START)) as Principal).tenant, 'default');
});

test('a certificate-bound token is taken only from the client that holds the certificate, on every use', async () => {
  const thumbprint = 'B'.repeat(43);
  const token = makeToken(ec, { cnf: { 'x5t#S256': thumbprint } });
  assertRefused(await judge(token));
  assert.equal(((await judge(token, START, { certificate: thumbprint })) as Principal).proof, 'mtls');
  assertRefused(await judge(token), 'authentication.invalid');
  assertRefused(await judge(token, START, { certificate: 'C'.repeat(43) }));
});

test('a token seen before answers without a promise, for its own resource only, until it expires', async () => {
  const { stage, close } = await open();
  const token = makeToken(ec);
  assert.ok(stage.run(callWith(bearer(token)), START) instanceof Promise);
  const first = await judge(token, START, {}, stage);
  const again = stage.run(callWith(bearer(token)), later(1000));
  assert.equal(again, first);
  assertRefused(
    await judge(token, later(1000), { resource: 'https://localhost:8444/api' }, stage),
    'authentication.wrong_audience',
  );
  assertRefused(await judge(token, later(330_000), {}, stage), 'authentication.expired');
  await close();
});

test('a remembered token is judged anew when the memory is over, even with the wall clock set back', async () => {
  const { stage, close } = await open({}, { cache: { seconds: 60 } });
  const token = makeToken(ec, { exp: seconds + 3000 });
  await judge(token, START, {}, stage);
  await judge(token, { utc: START.utc, mono: START.mono + 59_999 }, {}, stage);
  assert.ok(
    stage.run(callWith(bearer(token)), { utc: START.utc - 9000, mono: START.mono + 60_000 }) instanceof Promise,
  );
  await close();
});

test('the memory of tokens is bounded and drops what was not used for longest', async () => {
  const { stage, close } = await open({}, { cache: { entries: 4 } });
  const tokens = ['a', 'b', 'c', 'd', 'e'].map((sub) => makeToken(ec, { sub }));
  for (const token of tokens) {
    await judge(token, START, {}, stage);
    await judge(tokens[0]!, START, {}, stage);
    assert.ok((stage as unknown as { remembered: { size: number } }).remembered.size <= 4);
  }
  assert.ok(!(stage.run(callWith(bearer(tokens[0]!)), START) instanceof Promise));
  assert.ok(stage.run(callWith(bearer(tokens[1]!)), START) instanceof Promise);
  await close();
});

test('the back-off may ask whether a credential was verified before: exactly this one, at this endpoint, until it is refused', async () => {
  const { stage, verified, close } = await open();
  const call = callWith(bearer(makeToken(ec)));
  assert.equal(verified(call), false);
  await stage.run(call, START);
  assert.equal(verified(call), true);
  assert.equal(verified(callWith(call.head.rawHeaders, { resource: 'https://localhost:8444/api' })), false);
  assert.equal(verified(callWith(bearer(makeToken(ec, { sub: 'bob' })))), false);
  assert.equal(verified(callWith([])), false);
  await stage.run(call, later(400_000));
  assert.equal(verified(call), false, 'an expired token gets one more look, not more');
  await close();
});

test('anonymous lets everybody in as nobody, but never a request that brought a credential', async () => {
  const settings = readSection('authentication', authenticationSettings, {
    driver: 'anonymous',
    anonymousScopes: ['s3:list'],
  });
  const { stage } = await openAuthentication({ settings, home });
  const who = stage.run(callWith([]), START) as Principal;
  assert.deepEqual([who.subject, who.proof, who.scopes], ['anonymous', 'none', ['s3:list']]);
  assertRefused(stage.run(callWith(bearer(good)), START) as Refusal);
  assertRefused(stage.run(callWith(['Authorization', 'Basic eDp5']), START) as Refusal);
});
