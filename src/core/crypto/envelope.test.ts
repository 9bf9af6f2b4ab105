import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { SEAL_ALG, SEAL_OVERHEAD, seal, sealKey, unseal } from './envelope.ts';

const key = sealKey(randomBytes(32));

test('what was sealed opens with its key in its place, and only there', () => {
  const sealed = seal(key, Buffer.from('plain'), 'here');
  assert.equal(sealed.length, 5 + SEAL_OVERHEAD);
  assert.equal(unseal(key, sealed, 'here')?.toString(), 'plain');
  assert.equal(unseal(key, sealed, 'there'), null);
  assert.equal(unseal(sealKey(randomBytes(32)), sealed, 'here'), null);
});

test('any flipped bit, cut or empty input does not open', () => {
  const sealed = seal(key, Buffer.from('plain'), 'here');
  for (let i = 0; i < sealed.length; i++) {
    const bent = Buffer.from(sealed);
    bent[i] = bent[i]! ^ 0x10;
    assert.equal(unseal(key, bent, 'here'), null, `byte ${i}`);
  }
  for (let length = 0; length < sealed.length; length++)
    assert.equal(unseal(key, sealed.subarray(0, length), 'here'), null);
});

test('a ciphertext is committed to one key: a changed commitment is refused before anything is decrypted', () => {
  const sealed = seal(key, Buffer.from('plain'), 'here');
  const other = seal(sealKey(randomBytes(32)), Buffer.from('other'), 'here');
  const mixed = Buffer.concat([sealed.subarray(0, 24), other.subarray(24, 56), sealed.subarray(56)]);
  assert.equal(unseal(key, mixed, 'here'), null);
});

test('the same plaintext sealed twice has nothing in common', () => {
  const a = seal(key, Buffer.alloc(64), 'here');
  const b = seal(key, Buffer.alloc(64), 'here');
  assert.notDeepEqual(a.subarray(0, 24), b.subarray(0, 24));
  assert.notDeepEqual(a.subarray(56, 120), b.subarray(56, 120));
});

test('the derivation is HMAC-SHA-512 as the platform has it', () => {
  for (let i = 0; i < 50; i++) {
    const secret = randomBytes(32);
    const salt = randomBytes(24);
    const expected = createHmac('sha512', secret).update(`gatewrit ${SEAL_ALG}\n`).update(salt).digest();
    assert.deepEqual(sealKey(secret).derive(salt), expected);
  }
});
