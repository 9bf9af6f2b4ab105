import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { keepEvidence } from './evidence.ts';

const REQUESTS = 100_000;

test(`${REQUESTS} requests of strangers cannot fill the log of a real gateway, and a known caller is served meanwhile`, () => {
  const started = performance.now();
  // A test runner that finds this variable takes itself for a part of this one, and runs nothing.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(
    process.execPath,
    ['--test', '--test-reporter=spec', join(import.meta.dirname, '../e2e/audit-outage.test.ts')],
    { env: { ...env, GATEWRIT_FLOOD: String(REQUESTS) }, encoding: 'utf8' },
  );
  process.stdout.write(stdout);
  assert.equal(status, 0);
  assert.match(stdout, new RegExp(`✔ ${REQUESTS} requests of strangers`));
  keepEvidence('audit-flood', 'anonymous requests leave counted records, not bytes', {
    requests: REQUESTS,
    seconds: Math.round((performance.now() - started) / 1_000),
  });
});
