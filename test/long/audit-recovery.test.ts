import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openAudit } from '../../src/controls/audit/audit.ts';
import { auditSettings } from '../../src/controls/audit/settings.ts';
import { openSqliteStore } from '../../src/core/store/sqlite.ts';
import { startWriter } from './audit-writing.ts';
import { keepEvidence } from './evidence.ts';

const RECORDS = Number(process.env['GATEWRIT_LONG_RECORDS'] ?? 1_000_000);
const GOAL_MS = 5_000;

test(`a log whose last ${RECORDS} records were never signed takes records again within ${GOAL_MS} ms`, async () => {
  const home = mkdtempSync(join(tmpdir(), 'gatewrit-recovery-'));
  let written = 0;
  const options = {
    home,
    callers: 400,
    tenants: 3,
    calls: null,
    point: null,
    checkpointMs: 60_000,
    segmentBytes: 2 ** 30,
  };
  const { child, said } = startWriter(options, (line) => {
    if (line === 'waiting') child.stdin.write('open\nwrite\n');
    if (line.startsWith('ack ') && ++written === RECORDS) child.kill('SIGKILL');
  });
  await said;
  const store = openSqliteStore({ path: join(home, 'store/gatewrit.db') });
  const started = performance.now();
  const audit = await openAudit({
    settings: auditSettings.parse({ checkpointMs: 60_000 }),
    home,
    keys: { folder: join(home, 'keys'), generate: false },
    store,
    deployment: 'test',
    replica: 'node-1',
    onFatal: (error) => {
      throw error;
    },
  });
  const openedMs = Math.round(performance.now() - started);
  const { durable, bytes } = audit.stats();
  await audit.close();
  await store.close();
  rmSync(home, { recursive: true, force: true });
  assert.ok(durable >= RECORDS);
  process.stdout.write(`audit-recovery: ${durable} records, ${bytes} bytes, ${openedMs} ms\n`);
  keepEvidence('audit-recovery', 'start after a kill with an unsigned tail', { records: durable, bytes, openedMs });
  assert.ok(openedMs <= GOAL_MS, `${openedMs} ms`);
});
