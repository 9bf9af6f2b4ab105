import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSqliteStore } from '../../../core/store/sqlite.ts';
import { openAudit } from '../audit.ts';
import { settingsOf } from '../audit-kit.test.ts';
import { readVerifiers, verifyLog } from '../verifier/verify-log.ts';

const ROUNDS = 1 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const LEAST_MS = 150;
const MOST_MS = 500;

/** Opens the log of a home with a copy beside it. */
async function open(home: string, checkpointMs: number) {
  const store = openSqliteStore({ path: join(home, 'store', 'gatewrit.db') });
  const audit = await openAudit({
    settings: settingsOf({
      checkpointMs,
      segmentBytes: 256 * 1024,
      sinks: [{ kind: 'folder', name: 'copy', path: join(home, 'disk'), required: true }],
    }),
    home,
    keys: { folder: join(home, 'keys'), generate: true },
    store,
    deployment: 'test',
    replica: 'node-1',
    onFatal: (error) => {
      throw error;
    },
  });
  return { audit, store };
}

if (process.argv[2] === 'load') {
  const { audit } = await open(process.argv[3]!, 10);
  for (let i = 0; ; i++) {
    const tenant = `tenant-${i % 3}`;
    await Promise.all([1, 2, 3, 4].map(() => audit.record({ kind: 'operation', tenant, meta: { i } })));
  }
} else
  test('a copy stays whole when its writer is killed at any instant, and the next start brings it up to date', async () => {
    const home = mkdtempSync(join(tmpdir(), 'gatewrit-copy-kill-'));
    const seed = randomInt(2 ** 31);
    const disk = join(home, 'disk');
    const key = join(home, 'keys/audit.pub');
    const signed = (folder: string) =>
      Number(readFileSync(join(folder, 'node-1/journal/checkpoint'), 'utf8').split('\n')[1]);
    try {
      mkdirSync(disk);
      for (let round = 0; round < ROUNDS; round++) {
        const child = spawn(process.execPath, [import.meta.filename, 'load', home], {
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        let errors = '';
        child.stderr.on('data', (chunk) => {
          errors += chunk;
        });
        const ended = new Promise((resolve) => child.once('exit', resolve));
        const before = existsSync(join(disk, 'audit/node-1/journal/checkpoint')) ? signed(join(disk, 'audit')) : 0;
        for (let i = 0; i < 500 && !existsSync(join(disk, 'audit/node-1/journal/checkpoint')); i++) await sleep(10);
        for (let i = 0; i < 500 && signed(join(disk, 'audit')) <= before; i++) await sleep(10);
        await sleep(LEAST_MS + ((seed + round * 7_919) % (MOST_MS - LEAST_MS)));
        child.kill('SIGKILL');
        await ended;
        assert.equal(errors, '', `seed ${seed}, round ${round}`);
        const [report] = await verifyLog(join(disk, 'audit'), readVerifiers(key));
        const findings = report!.findings.filter(({ what }) => !what.includes('an interrupted write'));
        assert.deepEqual(findings, [], `seed ${seed}, round ${round}`);
      }
      const { audit, store } = await open(home, 60_000);
      await audit.record({ kind: 'operation', tenant: 'tenant-0', meta: {} });
      await audit.close();
      await store.close();
      const [report] = await verifyLog(join(disk, 'audit'), readVerifiers(key));
      assert.deepEqual(report!.findings, []);
      assert.equal(signed(join(disk, 'audit')), signed(join(home, 'audit')));
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });
