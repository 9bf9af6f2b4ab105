import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sealAndCollect } from '../../src/controls/audit/keys/nonces-kit.test.ts';
import { keepEvidence } from './evidence.ts';

/**
 * The nonce is constant because a key is used once: HMAC-SHA-512(long-lived key, salt) gives it, so two parts share
 * (key, nonce) only when they share long-lived key and salt. 192 random bits per salt; here they are all compared.
 */
const RECORDS = Number(process.env['GATEWRIT_LONG_RECORDS'] ?? 100_000);

test(`${RECORDS} records are sealed without a repeated salt, over 20 crashes`, async () => {
  const started = performance.now();
  const seen = await sealAndCollect(RECORDS, 20);
  assert.ok(seen.records >= RECORDS);
  assert.equal(seen.salts, seen.parts);
  assert.ok(seen.reused >= 20);
  keepEvidence('audit-nonces', `${RECORDS} records sealed over 20 crashes: every salt compared`, {
    ...seen,
    repeated: seen.parts - seen.salts,
    seconds: Math.round((performance.now() - started) / 100) / 10,
  });
});
