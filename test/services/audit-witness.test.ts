import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { fixture, readyCall, runCall } from '../../src/controls/audit/audit-kit.test.ts';
import { newWitnessKey, openWitness, parseWitnessedLog, readVerifiers } from '../../src/controls/audit/index.ts';
import { EMPTY_ROOT } from '../../src/core/crypto/merkle.ts';
import { parseCheckpoint, verifierLine } from '../../src/core/crypto/signed-note.ts';
import { memoryRows, openMemoryStore } from '../../src/core/store/memory.ts';
import { find, goProgram, lastLines, skipped } from './install.ts';
import { accepts, freePort, RunningServer } from './running.ts';

/**
 * Witness and log against those of others: litewitness cosigns our log, and a log built on the code of the Go checksum
 * database is cosigned by our witness. Cosignatures are read by torchwood (witness-feeder/). Later versions of both
 * want a later Go.
 */
const litewitness = goProgram('filippo.io/torchwood/cmd/litewitness@v0.9.0');
const folder = mkdtempSync(join(tmpdir(), 'gw-witness-'));
const feeder = join(folder, 'feeder');
const missing = litewitness.missing ?? needsAgent() ?? buildFeeder();
after(() => rmSync(folder, { recursive: true, force: true }));

function needsAgent(): string | null {
  const lacking = ['ssh-agent', 'ssh-add', 'ssh-keygen'].filter((name) => !find(name));
  return lacking.length === 0 ? null : skipped('litewitness', `there is no ${lacking.join(', ')} here`);
}

function buildFeeder(): string | null {
  try {
    execFileSync('go', ['build', '-o', feeder, '.'], {
      cwd: join(import.meta.dirname, 'witness-feeder'),
      env: { ...process.env, GOFLAGS: '-mod=readonly' },
      timeout: 300_000,
      stdio: 'pipe',
    });
    return null;
  } catch (error) {
    return skipped('the feeder in Go', `it could not be built: ${lastLines(error)}`);
  }
}

function feed(...args: string[]): string {
  const { stdout, stderr } = spawnSync(feeder, args, { encoding: 'utf8', timeout: 60_000 });
  return stdout + stderr;
}

describe('our log before litewitness', { skip: missing ?? false }, () => {
  const home = fixture();
  const log = join(home.home, 'audit', 'node-1');
  const database = join(folder, 'litewitness.db');
  let agent: RunningServer;
  let witness: RunningServer;
  let key: string;
  let settings: { witness: object };

  before(async () => {
    const first = await home.open();
    await calls(first, 3);
    await first.close();
    const socket = join(folder, 'agent');
    agent = new RunningServer(find('ssh-agent')!, ['-D', '-a', socket]);
    const file = join(folder, 'id');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
    const env = { ...process.env, SSH_AUTH_SOCK: socket };
    await agent.until(async () => execFileSync('ssh-add', ['-q', file], { env, stdio: 'pipe' }));
    const fingerprint = execFileSync('ssh-keygen', ['-lf', `${file}.pub`], { encoding: 'utf8' }).split(' ')[1]!;
    const port = await freePort();
    const args = ['-name', 'witness.example/w1', '-db', database, '-ssh-agent', socket, '-key', fingerprint];
    witness = new RunningServer(litewitness.path, [...args, '-listen', `127.0.0.1:${port}`]);
    await witness.until(() => accepts(port));
    key = /vkey=(\S+)/.exec(witness.output)![1]!;
    introduce();
    const url = `http://127.0.0.1:${port}`;
    settings = { witness: { url, key, everyMs: 1_000, deadlineMs: 5_000 } };
  });
  after(async () => {
    await witness?.stop();
    await agent?.stop();
    home.remove();
  });

  async function calls(audit: Awaited<ReturnType<typeof home.open>>, count: number): Promise<void> {
    for (let i = 0; i < count; i++) await runCall(audit, readyCall({ ...home.clock }), { ...home.clock });
  }

  const trees = () => ['journal', ...readdirSync(join(log, 'trees')).map((tag) => `trees/${tag}`)];

  /** What its witnessctl does: the origins of the log and the key that signs for them. */
  function introduce(): void {
    const line = readFileSync(join(home.home, 'keys/audit.pub'), 'utf8').trim();
    const rows = new DatabaseSync(database);
    for (const tree of trees()) {
      const origin = readFileSync(join(log, tree, 'checkpoint'), 'utf8').split('\n')[0]!;
      const root = Buffer.from(EMPTY_ROOT).toString('base64');
      rows.prepare('INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)').run(origin, root);
      rows.prepare('INSERT INTO key (origin, key) VALUES (?, ?)').run(origin, line);
    }
    rows.close();
  }

  test('every tree is cosigned as it grows over 600 records, and torchwood opens what we keep', async () => {
    for (const count of [1, 40, 259]) {
      const audit = await home.open({}, settings);
      await calls(audit, count);
      await audit.close();
    }
    assert.deepEqual(home.fatal, []);
    const [verifier] = readVerifiers(join(home.home, 'keys/audit.pub'));
    for (const tree of trees()) {
      const note = readFileSync(join(log, tree, 'checkpoint'), 'utf8');
      const { origin, size } = parseCheckpoint(note.split('\n\n')[0]!.concat('\n'))!;
      const line = verifierLine(verifier!.name, verifier!.publicKey);
      assert.equal(feed('open', line, key, join(log, tree, 'cosigned')), `good: ${origin} ${size}\n`);
    }
  });

  test('a log cut back behind its back does not start', async () => {
    rmSync(join(home.home, 'audit'), { recursive: true });
    const store = openMemoryStore(memoryRows());
    await assert.rejects(home.open({ store }, settings), { code: 'audit.rolled_back' });
  });
});

describe('our witness before a log that is no part of this project', { skip: missing ?? false }, () => {
  test('it cosigns what grew and refuses what did not, as the specification says', async (t) => {
    const pair = generateKeyPairSync('ed25519');
    const name = 'log.example/behind-the-sofa';
    const line = verifierLine(name, pair.publicKey);
    const seed = pair.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(16);
    const secret = `PRIVATE+KEY+${name}+${line.split('+')[1]}+${Buffer.concat([Buffer.from([1]), seed]).toString('base64')}`;
    const key = newWitnessKey('witness.example/w2', join(folder, 'witness.key'));
    const witness = await openWitness({
      keyText: readFileSync(join(folder, 'witness.key'), 'utf8'),
      logs: [parseWitnessedLog(`${line}:${name}`)!],
      state: join(folder, 'state'),
      maxOrigins: 10,
      host: '127.0.0.1',
      port: 0,
      tls: null,
      say: () => undefined,
    });
    t.after(() => witness.close());
    const said = await new Promise<string>((resolve) => {
      const run = new RunningServer(feeder, ['feed', witness.url, key, secret, name]);
      const look = setInterval(() => {
        if (!/^(good|bad)/m.test(run.output)) return;
        clearInterval(look);
        resolve(run.output);
      }, 50);
    });
    assert.equal(said, 'good: 9 cosigned, 3 refused\n');
  });
});
