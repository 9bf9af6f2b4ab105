import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompactSign } from 'jose';
import { canonicalJson } from '../../core/crypto/jcs.ts';
import { readManifest } from './manifest.ts';
import { NOW, sampleManifest, sampleTool, signingKey } from './samples.test.ts';
import { MANIFEST_TYPE, signManifest, verifyManifest } from './signature.ts';

const key = signingKey();
const stranger = signingKey('operator-1');
const trust = new Map([[key.kid, key.publicKey]]);
const expect = { trust, server: 'demo', now: NOW.utc };
const b64 = (text: string) => Buffer.from(text).toString('base64url');
const good = await signManifest(sampleManifest(), key);
const [head, body, mac] = good.split('.') as [string, string, string];
const goodHeader = { alg: 'EdDSA', kid: key.kid, typ: MANIFEST_TYPE };

/** Signed with the right key over any header and payload: what an operator's machine could be tricked into. */
async function signedAs(payload: string, header: object = goodHeader): Promise<string> {
  return await new CompactSign(Buffer.from(payload)).setProtectedHeader(header as { alg: string }).sign(key.privateKey);
}
const text = canonicalJson(sampleManifest());
const hmac = await new CompactSign(Buffer.from(text))
  .setProtectedHeader({ ...goodHeader, alg: 'HS256' })
  .sign(new Uint8Array(32));

const ATTACKS: readonly [what: string, token: string, code: string][] = [
  ['wrong key under a trusted kid', await signManifest(sampleManifest(), stranger), 'signature'],
  ['a kid nobody trusts', await signManifest(sampleManifest(), signingKey('other')), 'unknown_key'],
  ['alg none without signature', `${b64(canonicalJson({ ...goodHeader, alg: 'none' }))}.${body}.`, 'malformed'],
  ['alg none with a signature', `${b64(canonicalJson({ ...goodHeader, alg: 'none' }))}.${body}.${mac}`, 'algorithm'],
  ['another algorithm, keyed by a stranger', hmac, 'algorithm'],
  [
    'algorithm name in other case',
    `${b64(canonicalJson({ ...goodHeader, alg: 'eddsa' }))}.${body}.${mac}`,
    'algorithm',
  ],
  ['damaged payload', `${head}.${b64(text.replace('Demo', 'Demi'))}.${mac}`, 'signature'],
  ['damaged signature', `${head}.${body}.${mac.startsWith('A') ? 'B' : 'A'}${mac.slice(1)}`, 'signature'],
  [
    'signature of another manifest',
    `${head}.${body}.${(await signManifest(sampleManifest({ version: '2' }), key)).split('.')[2]}`,
    'signature',
  ],
  [
    'member added after signing',
    `${head}.${b64(text.replace('"format":1', '"format":1,"more":true'))}.${mac}`,
    'signature',
  ],
  [
    'member of format unknown, well signed',
    await signedAs(canonicalJson(sampleManifest({ command: 'rm -rf /' }))),
    'format',
  ],
  ['newer format, well signed', await signedAs(canonicalJson(sampleManifest({ format: 2 }))), 'format'],
  [
    'duplicate member, well signed',
    await signedAs(text.replace('"format":1', '"format":1,"format":1')),
    'duplicate_member',
  ],
  [
    'duplicate member in another escaping',
    await signedAs(text.replace('"format":1', '"format":1,"for\\u006dat":1')),
    'duplicate_member',
  ],
  [
    'member __proto__, well signed',
    await signedAs(text.replace('"format":1', '"__proto__":{},"format":1')),
    'malformed',
  ],
  ['blanks between members, well signed', await signedAs(JSON.stringify(sampleManifest(), null, 1)), 'not_canonical'],
  ['expired', await signManifest(sampleManifest({ expires: '2026-11-22T11:59:59Z' }), key), 'expired'],
  ['another subject', await signManifest(sampleManifest({ server: 'other' }), key), 'other_subject'],
  ["the gateway's own name", await signManifest(sampleManifest({ server: 'gatewrit' }), key), 'format'],
  ['other type of token', await signedAs(text, { ...goodHeader, typ: 'JWT' }), 'type'],
  ['no type', await signedAs(text, { alg: 'EdDSA', kid: key.kid }), 'type'],
  [
    'key carried in the header',
    await signedAs(text, { ...goodHeader, jwk: stranger.publicKey.export({ format: 'jwk' }) }),
    'header',
  ],
  ['key address in the header', await signedAs(text, { ...goodHeader, jku: 'https://evil.test/keys' }), 'header'],
  [
    'unencoded payload option',
    `${b64(canonicalJson({ ...goodHeader, b64: false, crit: ['b64'] }))}.${body}.${mac}`,
    'header',
  ],
  [
    'header names kid twice',
    `${b64(`{"alg":"EdDSA","kid":"x","kid":"${key.kid}","typ":"${MANIFEST_TYPE}"}`)}.${body}.${mac}`,
    'header',
  ],
  ['header is a list', `${b64('[]')}.${body}.${mac}`, 'header'],
  ['JSON serialization', JSON.stringify({ payload: body, protected: head, signature: mac }), 'malformed'],
  ['four parts', `${good}.x`, 'malformed'],
  ['padding in base64url', `${head}=.${body}.${mac}`, 'malformed'],
  [
    'stray bits at the end of base64url',
    `${head}.${body}.${mac.slice(0, -1)}${mac.endsWith('B') ? 'C' : 'B'}`,
    'malformed',
  ],
  ['payload not UTF-8', `${head}.${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}.${mac}`, 'malformed'],
  ['nothing', '', 'malformed'],
  [
    'no scope for a tool',
    await signManifest(sampleManifest({ tools: [sampleTool('query', {}, { scopes: [] })] }), key),
    'format',
  ],
  ['no review', await signManifest(sampleManifest({ review: { by: '', at: '', note: '' } }), key), 'format'],
  [
    'one name twice',
    await signManifest(sampleManifest({ tools: [sampleTool('query'), sampleTool('query')] }), key),
    'format',
  ],
];

test('a manifest signed by the operator verifies, and its digest is that of the signed bytes', async () => {
  const verified = await verifyManifest(`${good}\n`, expect);
  assert.ok('manifest' in verified);
  assert.equal(verified.manifest.server, 'demo');
  assert.equal(verified.kid, key.kid);
  assert.equal(verified.digest.length, 43);
});

for (const [what, token, code] of ATTACKS) {
  test(`a manifest is refused for: ${what}`, async () => {
    const verified = await verifyManifest(token, expect);
    assert.ok('faults' in verified, 'it was accepted');
    assert.ok(
      verified.faults.some((fault) => fault.code === code),
      `expected ${code}, got ${JSON.stringify(verified.faults)}`,
    );
  });
}

test('all reasons against a manifest are told in one go', async () => {
  const payload = canonicalJson(sampleManifest({ server: 'other', expires: '2020-01-01T00:00:00Z' }));
  const token = `${b64(canonicalJson({ alg: 'none', jku: 'x', kid: 'nobody', typ: 'JWT' }))}.${b64(payload)}.${mac}`;
  const verified = await verifyManifest(token, expect);
  assert.ok('faults' in verified);
  assert.deepEqual(
    verified.faults.map((fault) => fault.code),
    ['header', 'algorithm', 'type', 'unknown_key', 'expired', 'other_subject'],
  );
});

test('reasons never repeat text of the manifest or of its header', async () => {
  const token = await signedAs(
    canonicalJson({ ...sampleManifest({ title: 5 }), owner: 'CANARY\u001b[31m'.repeat(100) }),
    { ...goodHeader, typ: 'CANARY' },
  );
  const verified = await verifyManifest(token, expect);
  assert.ok('faults' in verified);
  assert.doesNotMatch(JSON.stringify(verified.faults), /CANARY/);
});

test('every single changed character of a signed manifest is noticed', async () => {
  let random = 7;
  for (let i = 0; i < 200; i++) {
    random = (random * 48_271) % 2_147_483_647;
    const at = random % good.length;
    const changed = `${good.slice(0, at)}${good[at] === 'Q' ? 'R' : 'Q'}${good.slice(at + 1)}`;
    assert.ok('faults' in (await verifyManifest(changed, expect)), `position ${at}`);
  }
});

test('a review is complete or there is nothing to sign', () => {
  const read = readManifest(
    Buffer.from(JSON.stringify(sampleManifest({ owner: '', version: '', review: { by: '', at: '', note: '' } }))),
  );
  assert.ok('faults' in read);
  assert.deepEqual(read.faults.map((fault) => fault.text.split(':')[0]).sort(), [
    'owner',
    'review.at',
    'review.by',
    'review.note',
    'version',
  ]);
});
