import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agreeOnEras } from '../fuzz/eras.ts';
import { keepEvidence } from './evidence.ts';

const seed = Number(process.env['GATEWRIT_FUZZ_SEED'] ?? Date.now() % 1_000_000_007);
const RUNS = 100_000;

test('100,000 requests: the era is what the official SDK takes it for, but for a closed list of differences', () => {
  process.stdout.write(`era agreement: seed ${seed}, ${RUNS} requests\n`);
  const seen = agreeOnEras(RUNS, seed);
  for (const [what, count] of seen) process.stdout.write(`  ${String(count).padStart(6)}  ${what}\n`);
  keepEvidence('era-agreement', 'our classification of eras beside that of the official SDK', {
    ...{ seed, requests: RUNS, sdk: '@modelcontextprotocol/server 2.4.0' },
    seen: Object.fromEntries(seen),
  });
  assert.ok((seen.get('agreed: modern') ?? 0) > 5_000 && (seen.get('agreed: legacy') ?? 0) > 5_000);
});
