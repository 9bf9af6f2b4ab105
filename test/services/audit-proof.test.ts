import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readVerifiers, verifyProofs } from '../../src/controls/audit/index.ts';
import { verifierLine } from '../../src/core/crypto/signed-note.ts';
import { auditCommand } from '../../src/inbound/cli/audit/main.ts';
import { Quickstart } from '../e2e/quickstart.ts';
import { recordsOf } from '../e2e/recorded.ts';
import { debian, find, lastLines, skipped } from './install.ts';

/**
 * Proofs of single records, as `gatewrit audit prove` writes them, before a judge that shares no line with the gateway:
 * a Go program on the note and tree code of the Go checksum database (proof-judge/). It must agree with
 * `gatewrit audit verify-proof` on good and on bad proofs.
 */
const folder = mkdtempSync(join(tmpdir(), 'gatewrit-proof-judge-'));
const judge = join(folder, 'judge');
const missing = build();
const CALLS = 150;
const RECORDS = 60;

function build(): string | null {
  const none = find('go') ? null : debian('go', 'golang-go');
  if (none !== null) return none;
  try {
    execFileSync('go', ['build', '-o', judge, '.'], {
      cwd: join(import.meta.dirname, 'proof-judge'),
      env: { ...process.env, GOFLAGS: '-mod=readonly' },
      timeout: 300_000,
      stdio: 'pipe',
    });
    return null;
  } catch (error) {
    return skipped('the judge of proofs in Go', `it could not be built: ${lastLines(error)}`);
  }
}

describe('proofs of records before an independent judge', { skip: missing ?? false }, () => {
  let quickstart: Quickstart;
  let key: string;
  const proofs: string[] = [];

  before(async () => {
    quickstart = await Quickstart.start();
    const { gateway } = quickstart;
    const token = await quickstart.token('alice', ['jira:read']);
    for (let i = 0; i < CALLS; i++) await gateway.call('readonly__jira_search', { jql: 'whiteboard' }, token);
    for (let i = 0; i < 3; i++) await gateway.call('readonly__jira_search', {}, null);
    await quickstart.stop();
    key = join(gateway.home, 'keys/audit.pub');
    mkdirSync(join(folder, 'proofs'));
    const last = (await recordsOf(gateway.home)).at(-1)!.index;
    for (let i = 0; i < RECORDS; i++) {
      const index = Math.round((i * last) / (RECORDS - 1));
      const disclose = (['meta', 'payload', 'all'] as const)[i % 3]!;
      const out: string[] = [];
      const io = { stdout: (text: string) => void out.push(text), stderr: () => undefined };
      assert.equal(
        await auditCommand.run(['prove', `${index}`, '--disclose', disclose, '--home', gateway.home], io),
        0,
      );
      proofs.push(out.join(''));
    }
  });
  after(async () => {
    await quickstart?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What each of the two says of each text: is it proven? */
  function judged(texts: readonly string[], publicKey = key): { theirs: boolean[]; ours: boolean[] } {
    const files = texts.map((text, i) => {
      const file = join(folder, 'proofs', `${i}.tlog-proof`);
      writeFileSync(file, text);
      return file;
    });
    const { stdout, stderr, status } = spawnSync(judge, [publicKey, ...files], { encoding: 'utf8', timeout: 60_000 });
    assert.ok(status === 0 || status === 1, stderr);
    const theirs = stdout
      .trim()
      .split('\n')
      .map((line) => line.startsWith('good: '));
    const verifiers = readVerifiers(publicKey);
    const ours = texts.map((text) => verifyProofs(text, { verifiers }).every(({ ok }) => ok));
    assert.equal(theirs.length, texts.length, stdout);
    return { theirs, ours };
  }

  test('both accept every proof, alone and several in one file', () => {
    const { theirs, ours } = judged([...proofs, proofs.join('')]);
    assert.deepEqual(theirs, Array(proofs.length + 1).fill(true));
    assert.deepEqual(ours, theirs);
  });

  test('both refuse every spoiled one', (t) => {
    const swapped = (text: string, i: number) => text.slice(0, i) + (text[i] === 'A' ? 'B' : 'A') + text.slice(i + 1);
    const line = (text: string, n: number) => text.split('\n').map((one) => `${one}\n`)[n] ?? '';
    const spoiled = proofs.flatMap((text, i) => {
      const other = proofs[(i + 1) % proofs.length]!;
      return [
        swapped(text, text.indexOf('extra ') + 40 + i),
        swapped(text, text.indexOf('\nindex') - 30 - i),
        text.replace(/^index (\d+)$/m, (_, index) => `index ${Number(index) + 1}`),
        text.replace(line(text, 3), ''),
        text.replace(line(text, 3), line(other, 4)),
        text.replace(line(text, 1), line(other, 1)),
        text.slice(0, text.indexOf('\n\n') + 2) + other.slice(other.indexOf('\n\n') + 2).replace(/^\d+$/m, '1'),
        swapped(text, text.length - 20),
        text.slice(0, text.length / 2),
      ].filter((one) => one !== text);
    });
    const { theirs, ours } = judged(spoiled);
    assert.deepEqual(
      theirs,
      spoiled.map(() => false),
    );
    assert.deepEqual(ours, theirs);
    t.diagnostic(`${spoiled.length} spoiled proofs`);
  });

  test('both refuse all of them under another key', () => {
    const other = join(folder, 'other.pub');
    const [name] = readFileSync(key, 'utf8').split('+');
    writeFileSync(other, `${verifierLine(name!, generateKeyPairSync('ed25519').publicKey)}\n`);
    const { theirs, ours } = judged(proofs, other);
    assert.deepEqual(
      theirs,
      proofs.map(() => false),
    );
    assert.deepEqual(ours, theirs);
  });
});
