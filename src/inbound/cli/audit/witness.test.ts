import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { auditSettings, openAudit } from '../../../controls/audit/index.ts';
import { openSqliteStore } from '../../../core/store/sqlite.ts';
import { systemTrouble } from '../command.ts';
import { keysCommand } from '../keys.ts';
import { auditCommand } from './main.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatewrit-cli-witness-'));
const home = join(folder, 'home');
const keyFile = join(folder, 'witness.key');
after(() => rmSync(folder, { recursive: true }));

async function run(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const io = { stdout: (text: string) => void out.push(text), stderr: (text: string) => void err.push(text) };
  const code = await auditCommand.run(argv, io);
  return { code, out: out.join(''), err: err.join('') };
}

/** A log with one record more, and with the witness when there is one. */
async function write(witness?: object): Promise<void> {
  const store = openSqliteStore({ path: join(home, 'store/gatewrit.db') });
  const audit = await openAudit({
    settings: auditSettings.parse({ witness }),
    home,
    keys: { folder: join(home, 'keys'), generate: true },
    store,
    deployment: 'test',
    replica: 'node-0',
    onFatal: (error) => assert.fail(error),
  });
  try {
    await audit.record({ kind: 'settings', tenant: 'default', meta: { event: 'reloaded' } });
  } finally {
    await audit.close();
    await store.close();
  }
}

test('a witness is made, started and stopped by the commands of its page, and cosigns a log', async () => {
  const made = await run('witness', '--init', '--name', 'witness.example.org/w1', '--key', keyFile);
  assert.equal(made.code, 0, made.err);
  assert.match(made.out, /^witness\.example\.org\/w1\+[0-9a-f]{8}\+\S+\n$/);
  assert.equal(statSync(keyFile).mode & 0o777, 0o600);
  assert.equal((await run('witness', '--init', '--name', 'other', '--key', keyFile)).code, 3);
  await write();
  const log = readFileSync(join(home, 'keys/audit.pub'), 'utf8');
  const main = join(import.meta.dirname, '../../../../bin/gatewrit.mjs');
  const args = ['audit', 'witness', '--listen', '127.0.0.1:0', '--state', join(folder, 'seen'), '--key', keyFile];
  const child = spawn(process.execPath, [main, ...args, '--log', log, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  try {
    const said = await new Promise<string>((resolve, reject) => {
      child.stdout.once('data', (text) => resolve(String(text)));
      child.once('exit', () => reject(new Error(stderr)));
    });
    const { url, key } = JSON.parse(said);
    assert.equal(`${key}\n`, made.out);
    await write({ url, key });
    assert.ok(existsSync(join(home, 'audit/node-0/journal/cosigned')));
    assert.match(stderr, /add-checkpoint: 200/);
  } finally {
    child.kill('SIGTERM');
    assert.equal(await ended, 0, stderr);
  }
});

test('wrong use of witness is said, and nothing is begun', async () => {
  const good = ['--listen', '127.0.0.1:0', '--state', join(folder, 'none'), '--key', keyFile];
  for (const argv of [
    [],
    ['--init', '--key', join(folder, 'other.key')],
    good,
    [...good, '--log', 'not a key'],
    [...good, '--log', 'a+00000000+AAAA', '--tls-cert', 'x'],
    ['--init', '--name', 'two words', '--key', join(folder, 'other.key')],
  ])
    assert.notEqual((await run('witness', ...argv)).code, 0, argv.join(' '));
  assert.ok(!existsSync(join(folder, 'none')));
  assert.ok(!existsSync(join(folder, 'other.key')));
});

test('both lines of audit.pub are taken as they stand while the key is exchanged; a port that is taken is said', async (t) => {
  const io = { stdout() {}, stderr: assert.fail };
  assert.equal(await keysCommand.run(['rotate', 'checkpoint', '--home', home], io), 0);
  await write();
  const lines = readFileSync(join(home, 'keys/audit.pub'), 'utf8');
  assert.equal(lines.trim().split('\n').length, 2);
  const taken = createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await once(taken, 'listening');
  const place = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
  const state = join(folder, 'exchanged');
  await assert.rejects(
    run('witness', '--listen', place, '--state', state, '--key', keyFile, '--log', lines),
    (error) => systemTrouble(error) === `cannot listen on ${place}: address already in use`,
  );
});

test('a replica is retired once and for all, and its log still verifies', async () => {
  assert.equal((await run('retire', '--home', home, '--replica', '../keys', '--reason', 'x')).code, 3);
  assert.equal((await run('retire', '--home', home, '--replica', 'node-0')).code, 2);
  const said = await run('retire', '--home', home, '--replica', 'node-0', '--reason', 'replaced', '--json');
  assert.equal(said.code, 0, said.err);
  assert.deepEqual(JSON.parse(said.out), { retired: 'node-0', trees: 2 });
  await assert.rejects(write(), { code: 'audit.retired' });
  const verified = await run('verify', join(home, 'audit'));
  assert.equal(verified.code, 0, verified.out);
  const again = await run('retire', '--home', home, '--replica', 'node-0', '--reason', 'again');
  assert.equal(again.code, 0, again.err);
  assert.equal((await run('verify', join(home, 'audit'))).code, 0);
});

test('a witness whose key others may read does not start', async () => {
  const key = join(folder, 'wide.key');
  assert.equal((await run('witness', '--init', '--name', 'witness.example.org/w2', '--key', key)).code, 0);
  chmodSync(key, 0o644);
  const log = readFileSync(join(home, 'keys/audit.pub'), 'utf8');
  const args = ['--listen', '127.0.0.1:0', '--state', join(folder, 'wide'), '--key', key, '--log', log];
  // Should it start after all, it is stopped: it would serve for ever.
  const stop = setTimeout(() => process.emit('SIGTERM'), 2_000);
  const started = await run('witness', ...args);
  clearTimeout(stop);
  assert.equal(started.code, 3);
  assert.match(started.err, /may be read by others .* chmod 600/);
});
