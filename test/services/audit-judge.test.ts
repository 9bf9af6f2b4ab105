import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readVerifiers, verifyLog } from '../../src/controls/audit/index.ts';
import { verifierLine } from '../../src/core/crypto/signed-note.ts';
import { Quickstart } from '../e2e/quickstart.ts';
import { debian, find, lastLines, skipped } from './install.ts';

/**
 * The audit log of a stopped gateway before a judge that shares no line with it: a Go program on the note and tree code
 * of the Go checksum database (judge/). It must agree with `gatewrit audit verify` on good and on bad logs. It does not
 * look at the sealed parts in segments/: those only our own verifier compares with the envelopes.
 */
const judge = join(mkdtempSync(join(tmpdir(), 'gatewrit-judge-')), 'judge');
const missing = build();
/** More than a whole tile of 256 records. */
const CALLS = 160;

function build(): string | null {
  const none = find('go') ? null : debian('go', 'golang-go');
  if (none !== null) return none;
  try {
    execFileSync('go', ['build', '-o', judge, '.'], {
      cwd: join(import.meta.dirname, 'judge'),
      env: { ...process.env, GOFLAGS: '-mod=readonly' },
      timeout: 300_000,
      stdio: 'pipe',
    });
    return null;
  } catch (error) {
    return skipped('the judge in Go', `it could not be built: ${lastLines(error)}`);
  }
}

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
    replica = join(audit, readdirSync(audit)[0]!);
    key = join(quickstart.gateway.home, 'keys/audit.pub');
  });
  after(async () => {
    await quickstart?.close();
    rmSync(copies, { recursive: true, force: true });
    rmSync(join(judge, '..'), { recursive: true, force: true });
  });

  const judged = (folder: string, publicKey = key) => {
    const { status, stdout, stderr } = spawnSync(judge, [folder, publicKey], { encoding: 'utf8', timeout: 60_000 });
    return { status, said: stdout + stderr };
  };
  const ours = async (folder: string, publicKey = key) =>
    (await verifyLog(folder, readVerifiers(publicKey))).flatMap(({ findings }) => findings);
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
    const { status, said } = judged(copy);
    const findings = await ours(copy);
    assert.equal(status, 1, `the judge accepted it: ${said}`);
    assert.ok(findings.length > 0, `we accepted what the judge refused: ${said}`);
    return { theirs: said, ours: findings[0]!.what };
  }

  test('accepts a log as it is: signatures, roots, every entry and tile, proofs, the order of the journal', async (t) => {
    const { status, said } = judged(replica);
    assert.equal(status, 0, said);
    assert.ok(Number(/(\d+) entries in 2 trees/.exec(said)?.[1]) >= 2 * CALLS, said);
    assert.deepEqual(await ours(replica), []);
    t.diagnostic(said.trim());
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
    assert.equal(judged(replica, stranger).status, 1);
    assert.ok((await ours(replica, stranger)).length > 0);
  });
});
