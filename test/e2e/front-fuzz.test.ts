import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzFront } from '../fuzz/front.ts';

/** Set GATEWRIT_FUZZ_SEED to play a run again. The full minute is test/long/front-fuzz.test.ts. */
const seed = Number(process.env['GATEWRIT_FUZZ_SEED'] ?? 20_261_122);

test('four seconds of mutated requests: none hangs, none crashes us, each leaves one record, a healthy client is served', async (context) => {
  const report = await fuzzFront({ seed, ms: 4_000 });
  context.diagnostic(`seed ${seed}: ${JSON.stringify({ ...report, failures: report.failures.length })}`);
  assert.deepEqual(report.failures, [], `seed ${seed}`);
  assert.ok(report.requests > 200 && report.answers > 150 && report.healthy.calls > 10, JSON.stringify(report));
});
