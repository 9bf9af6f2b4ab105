import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { verifierLine } from '../../src/core/crypto/signed-note.ts';
import { Quickstart } from '../e2e/quickstart.ts';
import { HARMLESS, HARMS, type Means, signerOf } from './judge/corpus.ts';
import { Forgery } from './judge/forgery.ts';
import { buildJudge, judge, judged, ours } from './judge/judge.ts';
import { inFolder, layOut, readFiles, type WrittenLog, writeLog } from './judge/written-log.ts';

/**
 * The audit log of a stopped gateway before a judge that shares no line with it: a Go program on the note and tree code
 * of the Go checksum database (judge/). It must agree with `gatewrit audit verify` on good and on bad logs.
 */
const missing = buildJudge();
after(() => rmSync(join(judge, '..'), { recursive: true, force: true }));
/** More than a whole tile of 256 records. */
const CALLS = 160;

describe('the audit log before an independent judge', { skip: missing ?? false }, () => {
  const copies = mkdtempSync(join(tmpdir(), 'gatewrit-logs-'));
  let quickstart: Quickstart;
  let replica: string;
  let key: string;

  before(async () => {
    quickstart = await Quickstart.start();
    const token = await quickstart.token('alice', ['jira:read']);
    const call = (credential: string | null) =>
      quickstart.gateway.call('readonly__jira_search', { jql: 'whiteboard' }, credential);
    for (let i = 0; i < CALLS / 8; i++) await Promise.all(Array.from({ length: 8 }, () => call(token)));
    // Records of strangers stand in a tree of their own.
    for (let i = 0; i < 3; i++) await call(null);
    await quickstart.stop();
    const audit = join(quickstart.gateway.home, 'audit');
    replica = join(audit, readdirSync(audit).find((name) => name !== 'rollup')!);
    key = join(quickstart.gateway.home, 'keys/audit.pub');
  });
  after(async () => {
    await quickstart?.close();
    rmSync(copies, { recursive: true, force: true });
  });

  const files = () =>
    (readdirSync(replica, { recursive: true, withFileTypes: true }) ?? [])
      .filter((entry) => entry.isFile() && !entry.parentPath.includes('segments'))
      .map((entry) => join(entry.parentPath, entry.name).slice(replica.length + 1));

  /** A copy of the log with something done to it; both have to refuse it. */
  async function spoiled(spoil: (copy: string) => void): Promise<{ theirs: string; ours: string }> {
    const copy = join(copies, 'node', replica.split('/').at(-1)!);
    rmSync(copy, { recursive: true, force: true });
    cpSync(replica, copy, { recursive: true });
    spoil(copy);
    const { accepted, said } = judged(copy, key);
    const findings = await ours(copy, key);
    assert.equal(accepted, false, `the judge accepted it: ${said}`);
    assert.ok(findings.length > 0, `we accepted what the judge refused: ${said}`);
    return { theirs: said, ours: findings[0]!.what };
  }

  test('accepts a log as it is: signatures, roots, every entry and tile, proofs, the order of the journal', async (t) => {
    const { accepted, said } = judged(replica, key);
    assert.equal(accepted, true, said);
    assert.ok(Number(/(\d+) entries in 2 trees/.exec(said)?.[1]) >= 2 * CALLS, said);
    assert.deepEqual(await ours(replica, key), []);
    t.diagnostic(said);
  });

  test('refuses one flipped bit at the beginning, in the middle and at the end of every checkpoint, tile and bundle', async (t) => {
    let flips = 0;
    for (const file of files()) {
      const { length } = readFileSync(join(replica, file));
      for (const at of new Set([0, length >> 1, length - 1])) {
        await spoiled((copy) => {
          const bytes = readFileSync(join(copy, file));
          bytes[at]! ^= 1;
          writeFileSync(join(copy, file), bytes);
        });
        flips++;
      }
    }
    assert.ok(flips > 30);
    t.diagnostic(`${flips} flips in ${files().length} files`);
  });

  test('refuses a file cut short, a file too many, a tree that is missing, and another key', async () => {
    for (const file of files()) {
      await spoiled((copy) => {
        const bytes = readFileSync(join(copy, file));
        writeFileSync(join(copy, file), bytes.subarray(0, bytes.length - 1));
      });
    }
    await spoiled((copy) => writeFileSync(join(copy, 'journal/tile/0/notes.txt'), 'x'));
    await spoiled((copy) => rmSync(join(copy, 'trees', readdirSync(join(copy, 'trees'))[0]!), { recursive: true }));
    const stranger = join(copies, 'stranger.pub');
    const [name = ''] = readFileSync(key, 'utf8').split('+');
    writeFileSync(stranger, `${verifierLine(name, generateKeyPairSync('ed25519').publicKey)}\n`);
    assert.equal(judged(replica, stranger).accepted, false);
    assert.ok((await ours(replica, stranger)).length > 0);
  });
});

describe('a corpus of harmed logs before both judges', { skip: missing ?? false }, () => {
  let log: WrittenLog;
  let means: Means;
  before(async () => {
    const shape = { calls: 700, tenants: 2, segmentBytes: 512 * 1024, together: 50, signedEvery: 150 };
    log = await writeLog(shape);
    const otherLog = await writeLog(shape);
    means = {
      own: signerOf(log.signer),
      stranger: signerOf(generateKeyPairSync('ed25519')),
      witness: { name: 'witness.example', ...generateKeyPairSync('ed25519') },
      older: log.older,
      other: readFiles(otherLog.replica),
    };
    otherLog.remove();
  });
  after(() => log?.remove());

  test(`each of ${HARMS.length} kinds of harm is refused by both; what is no harm is accepted by both`, async (t) => {
    const files = readFiles(log.replica);
    const wrong: string[] = [];
    await inFolder(async (folder) => {
      const copy = join(folder, 'node-1');
      const kept = join(folder, 'kept');
      writeFileSync(kept, files.get('journal/checkpoint')!);
      for (const harm of [...HARMLESS, ...HARMS]) {
        const forgery = new Forgery(files);
        harm.do(forgery, means);
        layOut(forgery.files, copy);
        const before = harm.kept ? [kept] : [];
        const theirs = judged(copy, log.key, before);
        const findings = await ours(copy, log.key, before);
        const good = HARMLESS.includes(harm);
        if (theirs.accepted !== good) wrong.push(`${harm.name}: the judge: ${theirs.said}`);
        if ((findings.length === 0) !== good)
          wrong.push(`${harm.name}: we: ${JSON.stringify(findings[0] ?? 'nothing')}; the judge: ${theirs.said}`);
      }
    });
    assert.deepEqual(wrong, []);
    t.diagnostic(`${HARMS.length} refused, ${HARMLESS.length} accepted, of a log of ${log.records} records`);
  });

  test('a log that was cut back as a whole is good to who kept nothing, and refused by who kept a checkpoint', async () => {
    await inFolder(async (folder) => {
      const copy = join(folder, 'node-1');
      layOut(log.older, copy);
      assert.equal(judged(copy, log.key).accepted, true);
      assert.deepEqual(await ours(copy, log.key), []);
      const kept = join(log.replica, 'journal/checkpoint');
      assert.equal(judged(copy, log.key, [kept]).accepted, false);
      assert.ok((await ours(copy, log.key, [kept])).length > 0);
    });
  });
});

describe('a long log before both judges', { skip: missing ?? false }, () => {
  const RECORDS = 100_000;
  test(`${RECORDS.toLocaleString('en')} records of several tenants, in several segments, small and large, are accepted by both`, async (t) => {
    const started = performance.now();
    const shape = { tenants: 7, segmentBytes: 64 * 2 ** 20, together: 256, signedEvery: 9_000 };
    const log = await writeLog({ ...shape, calls: RECORDS / 2 });
    try {
      const written = performance.now();
      const { accepted, said } = judged(log.replica, log.key);
      assert.equal(accepted, true, said);
      assert.ok(Number(/^good: (\d+) entries/.exec(said)?.[1]) >= RECORDS, said);
      const seen = performance.now();
      assert.deepEqual(await ours(log.replica, log.key), []);
      const segments = readdirSync(join(log.replica, 'segments'));
      assert.ok(segments.length > 1);
      const bytes = segments.reduce((sum, name) => sum + statSync(join(log.replica, 'segments', name)).size, 0);
      const seconds = (from: number, to: number) => `${((to - from) / 1000).toFixed(1)} s`;
      t.diagnostic(
        `${said}; ${segments.length} segments of ${Math.round(bytes / 2 ** 20)} MiB; written in ${seconds(started, written)}, ` +
          `the judge took ${seconds(written, seen)}, our verifier ${seconds(seen, performance.now())}`,
      );
    } finally {
      log.remove();
    }
  });
});
