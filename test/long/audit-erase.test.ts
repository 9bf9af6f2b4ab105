import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type Audit,
  auditSettings,
  LogReader,
  openAudit,
  readVerifiers,
  verifyLog,
} from '../../src/controls/audit/index.ts';
import { openSqliteStore } from '../../src/core/store/sqlite.ts';
import type { Store } from '../../src/core/store/store.ts';
import { openBulkStore } from './bulk-store.ts';
import { keepEvidence } from './evidence.ts';

/**
 * One subject of a million is erased from a log of a million records, one of each subject, all through the real SQLite
 * store. `GATEWRIT_LONG_SUBJECTS` makes it smaller. The keys are put into its file in one transaction (bulk-store.ts).
 */
const SUBJECTS = Number(process.env['GATEWRIT_LONG_SUBJECTS'] ?? 1_000_000);
const MOST_MS = 1_000;
const AT_ONCE = 512;

test(`one subject of ${SUBJECTS} is erased within a second, and every proof holds`, async () => {
  const home = mkdtempSync(join(tmpdir(), 'gatewrit-erase-'));
  const keys = { folder: join(home, 'keys'), generate: true };
  const path = join(home, 'store', 'gatewrit.db');
  const seconds: Record<string, number> = {};
  const timed = async <T>(what: string, act: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    const result = await act();
    seconds[what] = Math.round(performance.now() - started) / 1000;
    process.stdout.write(`audit-erase: ${what} ${seconds[what]} s\n`);
    return result;
  };
  let store: Store | null = null;
  let audit: Audit | null = null;
  try {
    const onFatal = (error: Error) => assert.fail(error);
    const rest = { settings: auditSettings.parse({}), home, keys, deployment: 'long', replica: 'node-0', onFatal };
    const bulk = await openBulkStore(path);
    const writer = await openAudit({ ...rest, store: bulk });
    const indexOf = new Uint32Array(SUBJECTS);
    await timed('written', async () => {
      for (let at = 0; at < SUBJECTS; at += AT_ONCE) {
        const group = Array.from({ length: Math.min(AT_ONCE, SUBJECTS - at) }, (_, i) => at + i);
        await Promise.all(
          group.map(async (subject) => {
            const { index } = await writer.record({
              kind: 'operation',
              tenant: 'acme',
              subject: `subject ${subject}`,
              meta: { number: subject },
              payload: Buffer.from(`what ${subject} said`),
            });
            indexOf[subject] = index;
          }),
        );
      }
      await writer.close();
      await bulk.close();
    });
    store = openSqliteStore({ path });
    audit = await timed('opened', () => openAudit({ ...rest, store: store! }));
    const verifiers = () => readVerifiers(join(keys.folder, 'audit.pub'));
    const findings = async () => (await verifyLog(join(home, 'audit'), verifiers())).flatMap((one) => one.findings);
    assert.deepEqual(await timed('verified before', findings), []);

    const wanted = [0, Math.floor(SUBJECTS / 2), SUBJECTS - 1];
    const took: number[] = [];
    for (const number of wanted) {
      const started = performance.now();
      const done = await audit.erase({ tenant: 'acme', subject: `subject ${number}`, basis: 'long run', by: 'test' });
      took.push(Math.round(10 * (performance.now() - started)) / 10);
      assert.ok(done.key);
      assert.equal(await audit.keyOf({ tenant: 'acme', subject: `subject ${number}` }), null);
    }
    assert.ok(Math.max(...took) <= MOST_MS, `${took} ms`);
    await audit.checkpoint();
    assert.deepEqual(await timed('verified after', findings), []);

    const reader = await LogReader.open({ home, keys, store, deployment: 'long' });
    const open = async (number: number) => {
      const [record] = await reader.at(indexOf[number]!);
      assert.equal(record?.meta?.['number'], number);
      return record;
    };
    for (const number of wanted) {
      assert.equal((await open(number))?.payload, null, `${number} is gone`);
      const beside = number === 0 ? 1 : number - 1;
      assert.equal(String((await open(beside))?.payload?.get('event')), `what ${beside} said`);
    }
    keepEvidence('audit-erase', `one subject of ${SUBJECTS} erased from a log of as many records`, {
      subjects: SUBJECTS,
      eraseMs: took,
      seconds,
      storeBytes: statSync(path).size,
    });
  } finally {
    await audit?.close();
    await store?.close();
    rmSync(home, { recursive: true, force: true });
  }
});
