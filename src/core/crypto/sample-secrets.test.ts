import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openSigningKeys, openSymmetricKeys } from './keys.ts';
import { credentialIn, notRandom, sampleCredential } from './sample-secrets.ts';

const home = mkdtempSync(join(tmpdir(), 'gatewrit-samples-'));
after(() => rmSync(home, { recursive: true }));

test('keys that are repeated, counted, typed or printed in a specification are told from random ones', () => {
  const counted = Buffer.from(Array.from({ length: 32 }, (_, i) => 7 + 5 * i));
  const typed = Buffer.from('correct horse battery staple 012');
  assert.equal(typed.length, 32);
  for (const bytes of [Buffer.alloc(32), Buffer.alloc(32, 'ab'), counted, typed])
    assert.notEqual(notRandom(bytes), null);
  for (const printed of ['nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A', 'hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FXG-Onbc6mxCcYg'])
    assert.match(notRandom(Buffer.from(printed, 'base64url'))!, /specification/);
  for (let i = 0; i < 2_000; i++) assert.equal(notRandom(randomBytes(32)), null);
});

test('credentials that are placeholders, short or repeated are told from real ones', () => {
  for (const sample of [
    'changeme',
    'Bearer changeme',
    'Bearer <token>',
    'Bearer ${' + 'TOKEN}',
    'your-api-key-goes-here',
    'Bearer 0123456',
    'aaaaaaaaaaaaaaaaaaaa',
    `Basic ${Buffer.from('service-account-name:admin').toString('base64')}`,
    '',
  ])
    assert.notEqual(sampleCredential(sample), null, sample);
  for (const real of [
    `Bearer ${randomBytes(16).toString('hex')}`,
    `Basic ${Buffer.from(`bot:${randomBytes(12).toString('base64')}`).toString('base64')}`,
    randomBytes(9).toString('base64'),
  ])
    assert.equal(sampleCredential(real), null, real);
});

test('a key or credential everybody has stops the start, and is not repeated in the message', () => {
  const folder = join(home, 'keys');
  mkdirSync(folder, { mode: 0o700 });
  const write = (name: string, jwk: object) =>
    writeFileSync(join(folder, `${name}.jwks`), JSON.stringify({ keys: [jwk] }), { mode: 0o600 });
  const k = Buffer.alloc(32, 7).toString('base64url');
  write('state-seal', { kty: 'oct', k });
  assert.throws(
    () => openSymmetricKeys({ folder, generate: true }, 'state-seal'),
    (error: Error) => {
      assert.match(error.message, /key state-seal cannot be used: its bytes repeat/);
      assert.ok(!error.message.includes(k));
      return true;
    },
  );
  const d = 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A';
  write('operator', { kty: 'OKP', crv: 'Ed25519', d, x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' });
  assert.throws(() => openSigningKeys({ folder, generate: true }, 'operator'), /printed in a specification/);

  const file = join(home, 'credential');
  writeFileSync(file, 'Bearer changeme\n', { mode: 0o600 });
  assert.throws(() => credentialIn(`file:${file}`), /holds no credential: it is a placeholder; put the real one there/);
  writeFileSync(file, 'Bearer 5Jx0QmT2vN8rKcW1yZ4b\n');
  assert.equal(credentialIn(`file:${file}`), 'Bearer 5Jx0QmT2vN8rKcW1yZ4b');
});
