import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  globSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openSqliteStore } from '../../../core/store/sqlite.ts';
import { openAudit } from '../audit.ts';
import { type Fixture, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { LogReader } from '../reader/read.ts';
import { auditSettings } from '../settings.ts';
import { readVerifiers, verifyLog } from '../verifier/verify-log.ts';

const [, , role, childHome] = process.argv;
if (role === 'writer') await writeUntilKilled(childHome!);

let log: Fixture;
beforeEach(() => {
  log = fixture();
});
afterEach(() => log.remove());

const segment = (number = 1) => join(log.home, `audit/node-1/segments/0000000${number}.seg`);
const findings = async () =>
  (await verifyLog(join(log.home, 'audit'), readVerifiers(join(log.home, 'keys/audit.pub')))).flatMap(
    (r) => r.findings,
  );
const reader = (store = log.store) =>
  LogReader.open({
    home: log.home,
    keys: { folder: join(log.home, 'keys'), generate: false },
    store,
    deployment: 'test',
  });

/** A log of `signed` calls under a checkpoint and `after` calls behind it, as a killed process leaves it. */
async function killedLog(signed: number, after: number): Promise<void> {
  const audit = await log.open();
  for (let i = 0; i < signed; i++) await runCall(audit, readyCall(log.clock), log.clock);
  await audit.checkpoint();
  for (let i = 0; i < after; i++) await runCall(audit, readyCall(log.clock), log.clock);
  const kept = join(log.home, 'kept');
  cpSync(join(log.home, 'audit'), kept, { recursive: true });
  const published = await log.store.list('audit_checkpoints', { prefix: '', limit: 100, now: log.clock.utc });
  await audit.close();
  rmSync(join(log.home, 'audit'), { recursive: true });
  cpSync(kept, join(log.home, 'audit'), { recursive: true });
  rmSync(kept, { recursive: true });
  const later = await log.store.list('audit_checkpoints', { prefix: '', limit: 100, now: log.clock.utc });
  for (const { key, version } of later) {
    const before = published.find((row) => row.key === key);
    await log.store.delete('audit_checkpoints', key, { expect: version });
    const options = { expect: 0, expiresAt: null, now: log.clock.utc };
    if (before) await log.store.set('audit_checkpoints', key, before.value, options);
  }
}

test('records behind the last checkpoint are replayed, and signed with the next', async () => {
  await killedLog(3, 4);
  const audit = await log.open();
  assert.equal(audit.stats().durable, 14);
  await audit.close();
  assert.equal(audit.stats().signed, 14);
  assert.deepEqual(await findings(), []);
});

test('a log that was killed before its first checkpoint goes on', async () => {
  await killedLog(0, 2);
  const audit = await log.open();
  await runCall(audit, readyCall(log.clock), log.clock);
  await audit.close();
  assert.equal(audit.stats().signed, 6);
  assert.deepEqual(await findings(), []);
});

test('a torn tail is copied away, cut off and recorded with its digest, wherever it was torn', async () => {
  const whole = async () => {
    await killedLog(1, 2);
    return statSync(segment()).size;
  };
  const size = await whole();
  const cuts = [1, 5, 11, 12, 40, 700].map((bytes) => size - bytes);
  for (const cut of cuts) {
    log.remove();
    log = fixture();
    await whole();
    truncateSync(segment(), cut);
    const audit = await log.open();
    assert.equal(audit.stats().durable, 6, 'five whole records and the one about the tail');
    await audit.close();
    assert.deepEqual(await findings(), []);
    const record = (await (await reader()).last(1))[0]!;
    assert.equal(record.envelope.kind, 'recovery');
    const [copy] = readdirSync(join(log.home, 'audit-work/node-1/quarantine'));
    assert.ok(copy!.endsWith('.recorded') && copy!.includes(String(record.meta!['sha256'])));
    const again = await log.open();
    assert.equal(again.stats().durable, 6, 'recorded once');
    await again.close();
  }
});

test('garbage behind the last record is a torn tail; garbage followed by a whole record is not', async () => {
  await killedLog(1, 1);
  const bytes = readFileSync(segment());
  const lastFrame = bytes.subarray(bytes.lastIndexOf('GWR1'));
  appendFileSync(segment(), Buffer.from('GWR1 garbage'));
  const audit = await log.open();
  await audit.close();
  log.remove();
  log = fixture();
  await killedLog(1, 1);
  appendFileSync(segment(), Buffer.concat([Buffer.from('garbage'), lastFrame]));
  await assert.rejects(log.open(), { code: 'audit.corrupt' });
});

test('damage below the last checkpoint is never repaired: the start is refused', async () => {
  await killedLog(3, 1);
  const bytes = readFileSync(segment());
  bytes[bytes.indexOf('GWR1', 500) + 100]! ^= 1;
  writeFileSync(segment(), bytes);
  await assert.rejects(log.open(), { code: 'audit.corrupt' });
  assert.deepEqual(readFileSync(segment()), bytes, 'left as it was found');
});

test('a damaged record above the checkpoint with whole ones behind it is refused too', async () => {
  await killedLog(1, 4);
  const bytes = readFileSync(segment());
  let at = 0;
  for (let i = 0; i < 5; i++) at = bytes.indexOf('GWR1', at + 1);
  bytes[at + 50]! ^= 1;
  writeFileSync(segment(), bytes);
  await assert.rejects(log.open(), { code: 'audit.corrupt' });
});

test('a log cut below what was signed, or tiles that are not those signed, refuse the start', async () => {
  await killedLog(3, 0);
  const whole = readFileSync(segment());
  truncateSync(segment(), whole.lastIndexOf('GWR1'));
  await assert.rejects(log.open(), { code: 'audit.corrupt' });
  writeFileSync(segment(), whole);
  const [tile] = globSync(join(log.home, 'audit/node-1/trees/*/tile/0/000.p/6'));
  const hashes = readFileSync(tile!);
  hashes[3]! ^= 1;
  writeFileSync(tile!, hashes);
  await assert.rejects(log.open(), { code: 'audit.corrupt' });
});

test('a restored backup is refused: what was published is not in it', async () => {
  let audit = await log.open();
  await runCall(audit, readyCall(log.clock), log.clock);
  await audit.close();
  cpSync(join(log.home, 'audit'), join(log.home, 'backup'), { recursive: true });
  audit = await log.open();
  await runCall(audit, readyCall(log.clock), log.clock);
  await audit.close();
  rmSync(join(log.home, 'audit'), { recursive: true });
  await assert.rejects(log.open(), { code: 'audit.rolled_back' }, 'no log at all');
  rmSync(join(log.home, 'audit'), { recursive: true });
  cpSync(join(log.home, 'backup'), join(log.home, 'audit'), { recursive: true });
  await assert.rejects(log.open(), { code: 'audit.rolled_back' });
});

test('a second writer of the same replica is refused with a sentence, another replica is not', async () => {
  const audit = await log.open();
  await assert.rejects(log.open(), (error: Error & { code: string }) => {
    assert.equal(error.code, 'audit.locked');
    assert.match(error.message, /another process writes the audit log of replica node-1; stop it/);
    return true;
  });
  const other = await log.open({ replica: 'node-2' });
  await runCall(other, readyCall(log.clock), log.clock);
  await other.close();
  await audit.close();
  const again = await log.open();
  await again.close();
});

test('kill -9 under load loses no acknowledged record and the log verifies after the next start', async (t) => {
  const rounds = 2 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
  const acknowledged = new Map<number, string>();
  let kills = 0;
  for (let round = 0; round < rounds; round++) {
    // Whatever it is doing then; and, on a machine that is busy with other things, once it is certainly at work.
    const from = round % 2 === 0 ? 'ready' : 'ack';
    for (const [index, id] of await killedWriter(log.home, from, 20 + Math.random() * 180)) acknowledged.set(index, id);
    kills++;
  }
  assert.ok(acknowledged.size > 10 * rounds, `${acknowledged.size} records acknowledged`);
  const store = openSqliteStore({ path: join(log.home, 'store/gatewrit.db') });
  const audit = await log.open({ store, clock: () => ({ utc: Date.now(), mono: performance.now() }) });
  await audit.close();
  assert.deepEqual(await findings(), []);
  const there = new Map<number, string>();
  for (const { index, envelope } of await (await reader(store)).last(1_000_000)) there.set(index, envelope.id);
  await store.close();
  for (const [index, id] of acknowledged) assert.equal(there.get(index), id, `record ${index}`);
  t.diagnostic(`${kills} kills, ${acknowledged.size} acknowledged records, all there`);
});

/** Starts a writer, kills it `afterMs` after its first line of this kind and gives what it had been told is durable. */
async function killedWriter(home: string, from: 'ready' | 'ack', afterMs: number): Promise<Map<number, string>> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'writer', home], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_TEST_CONTEXT: '' },
  });
  const acknowledged = new Map<number, string>();
  let killing = false;
  const gone = new Promise((resolve) => child.once('close', resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    if (!killing && line.startsWith(from)) {
      killing = true;
      setTimeout(() => child.kill('SIGKILL'), afterMs);
    }
    const match = /^ack ([0-9]+) ([0-9a-f-]{36}) end$/.exec(line);
    if (match) acknowledged.set(Number(match[1]), match[2]!);
  }
  await gone;
  return acknowledged;
}

/** The child: many calls at once, a line for each record that was acknowledged. */
async function writeUntilKilled(home: string): Promise<never> {
  const store = openSqliteStore({ path: join(home, 'store/gatewrit.db') });
  const audit = await openAudit({
    settings: auditSettings.parse({ checkpointMs: 20 }),
    home,
    keys: { folder: join(home, 'keys'), generate: true },
    store,
    deployment: 'test',
    replica: 'node-1',
    onFatal: (error) => {
      process.stderr.write(`${error.message}\n`);
      process.exit(1);
    },
  });
  process.stdout.write('ready\n');
  const caller = async () => {
    for (;;) {
      const now = { utc: Date.now(), mono: performance.now() };
      const call = readyCall(now, { tenant: `t${Math.floor(Math.random() * 3)}` });
      await runCall(audit, call, now);
      process.stdout.write(`ack ${call.intent!.index} ${call.intent!.id} end\n`);
      process.stdout.write(`ack ${call.receipt!.index} ${call.receipt!.id} end\n`);
    }
  };
  return Promise.all(Array.from({ length: 40 }, caller)).then(() => process.exit(1));
}
