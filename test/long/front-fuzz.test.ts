import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzFront } from '../fuzz/front.ts';
import { keepEvidence } from './evidence.ts';

/** Another seed every time unless one is given: GATEWRIT_FUZZ_SEED. */
const seed = Number(process.env['GATEWRIT_FUZZ_SEED'] ?? Date.now() % 1_000_000_007);
const ms = 1_000 * Number(process.env['GATEWRIT_FUZZ_SECONDS'] ?? 60);

test('a minute of mutated requests: none hangs, none crashes us, each leaves one record, a healthy client is served', async () => {
  process.stdout.write(`front fuzz: seed ${seed}, ${ms / 1000} s\n`);
  const report = await fuzzFront({ seed, ms });
  keepEvidence('front-fuzz', 'seeded fuzz of the front', report);
  assert.deepEqual(report.failures, [], `seed ${seed}`);
});
