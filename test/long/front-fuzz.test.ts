import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fuzzFront } from '../fuzz/front.ts';

const root = join(import.meta.dirname, '../..');
/** Another seed every time unless one is given: GATEWRIT_FUZZ_SEED. */
const seed = Number(process.env['GATEWRIT_FUZZ_SEED'] ?? Date.now() % 1_000_000_007);
const ms = 1_000 * Number(process.env['GATEWRIT_FUZZ_SECONDS'] ?? 60);

test('a minute of mutated requests: none hangs, none crashes us, each leaves one record, a healthy client is served', async () => {
  process.stdout.write(`front fuzz: seed ${seed}, ${ms / 1000} s\n`);
  const report = await fuzzFront({ seed, ms });
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
    node: process.version,
  };
  const evidence = { what: 'seeded fuzz of the front', commit, at: new Date().toISOString(), machine, ...report };
  mkdirSync(join(root, 'docs/evidence'), { recursive: true });
  writeFileSync(join(root, 'docs/evidence/front-fuzz.json'), `${JSON.stringify(evidence, null, 2)}\n`);
  process.stdout.write(`${JSON.stringify(evidence)}\n`);
  assert.deepEqual(report.failures, [], `seed ${seed}`);
});
