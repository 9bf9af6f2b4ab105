import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { Refusal } from '../../../core/stage.ts';
import { bareCall, type Fixture, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { readVerifiers, verifyLog } from '../verifier/verify-log.ts';
import type { Files } from './files.ts';

let log: Fixture;
beforeEach(() => {
  log = fixture();
});
afterEach(() => log.remove());

const findings = async () =>
  (await verifyLog(join(log.home, 'audit'), readVerifiers(join(log.home, 'keys/audit.pub')))).flatMap(
    (r) => r.findings,
  );

const fault = (code: string, syscall: string) => Object.assign(new Error(`${code}: injected`), { code, syscall });

/** The real file system, in which the n-th call of one function fails. */
function failing(name: 'write' | 'fdatasync', code: string, nth: number): { files: Files; calls: () => number } {
  let calls = 0;
  const real = { write: fs.write, fdatasync: fs.fdatasync }[name] as (...args: unknown[]) => void;
  const one = (...args: unknown[]) => {
    if (++calls !== nth) return real(...args);
    setImmediate(() => (args.at(-1) as (error: Error) => void)(fault(code, name)));
  };
  return { files: { ...fs, [name]: one }, calls: () => calls };
}

for (const [name, code] of [
  ['fdatasync', 'EIO'],
  ['fdatasync', 'ENOSPC'],
  ['write', 'EIO'],
] as const) {
  test(`a failed ${name} (${code}) is fatal: nothing is acknowledged, nothing is tried again, nothing more is taken`, async () => {
    const { files, calls } = failing(name, code, 3);
    const audit = await log.open({ files });
    await runCall(audit, readyCall(log.clock), log.clock);
    const call = readyCall(log.clock);
    const refused = await audit.stages.intent.run(call, log.clock);
    assert.ok(refused instanceof Refusal && refused.code === 'audit.unavailable');
    assert.equal(log.fatal.length, 1);
    const next = await audit.stages.intent.run(readyCall(log.clock), log.clock);
    assert.ok(next instanceof Refusal && next.code === 'audit.unavailable');
    const stranger = Object.assign(bareCall(log.clock), { refusal: new Refusal('authentication.missing') });
    assert.ok(!(audit.stages.outcome.run(stranger, log.clock) instanceof Promise));
    await assert.rejects(audit.record({ kind: 'settings', tenant: 't', meta: {} }), { code: 'audit.failed' });
    assert.equal(calls(), 3);
    assert.equal(log.fatal.length, 1);
    await audit.close();
    // The next start finds whole records, or repairs the tail, and the log verifies.
    const again = await log.open();
    assert.ok(again.stats().durable >= 2);
    await again.close();
    assert.deepEqual(await findings(), []);
  });
}

test('a call whose outcome cannot be written ends as outcome unknown', async () => {
  const { files } = failing('fdatasync', 'EIO', 2);
  const audit = await log.open({ files });
  const call = readyCall(log.clock);
  call.intent = (await audit.stages.intent.run(call, log.clock)) as NonNullable<typeof call.intent>;
  assert.ok(!(call.intent instanceof Refusal));
  const refused = await audit.stages.outcome.run(call, log.clock);
  assert.ok(refused instanceof Refusal && refused.code === 'audit.outcome_unknown');
  await audit.close();
});

for (const bytes of [4, 2_000_000]) {
  test(`a record that is not what was planned when it is sealed (${bytes} bytes) ends the log: nobody is told that it is durable`, async () => {
    const audit = await log.open();
    await runCall(audit, readyCall(log.clock), log.clock);
    const call = readyCall(log.clock);
    const memory = new ArrayBuffer(10, { maxByteLength: 2_000_000 });
    const changing = new Uint8Array(memory);
    call.arguments = { ...call.arguments, bytes: () => changing };
    const before = audit.stages.intent.run(readyCall(log.clock), log.clock);
    const waiting = audit.stages.intent.run(call, log.clock);
    memory.resize(bytes);
    for (const intent of await Promise.all([before, waiting]))
      assert.ok(intent instanceof Refusal && intent.code === 'audit.unavailable');
    assert.equal(log.fatal.length, 1);
    assert.equal(audit.stats().durable, 2);
    await audit.close();
    const again = await log.open();
    assert.equal(again.stats().durable, 2);
    await again.close();
    assert.deepEqual(await findings(), []);
  });
}

test('short writes are carried on until the group is whole', async () => {
  const short = (fd: number, bytes: Uint8Array, from: number, length: number, at: number, done: fs.WriteFileOptions) =>
    fs.write(fd, bytes, from, Math.min(length, 100), at, done as never);
  const audit = await log.open({ files: { ...fs, write: short as unknown as Files['write'] } });
  await Promise.all(Array.from({ length: 20 }, () => runCall(audit, readyCall(log.clock), log.clock)));
  await audit.close();
  assert.deepEqual(await findings(), []);
  assert.equal(audit.stats().durable, 40);
});

test('while the disk hangs further calls are refused, and go on when it answers', async () => {
  let release = () => {};
  let hang = false;
  const fdatasync = (fd: number, done: (error: Error | null) => void) => {
    if (hang) release = () => fs.fdatasync(fd, done);
    else fs.fdatasync(fd, done);
  };
  const audit = await log.open({ files: { ...fs, fdatasync: fdatasync as unknown as Files['fdatasync'] } });
  await runCall(audit, readyCall(log.clock), log.clock);
  hang = true;
  const waiting = audit.stages.intent.run(readyCall(log.clock), log.clock);
  await new Promise((resolve) => setTimeout(resolve, 50));
  log.clock.mono += 6_000;
  const refused = await audit.stages.intent.run(readyCall(log.clock), log.clock);
  assert.ok(refused instanceof Refusal && refused.code === 'audit.unavailable');
  hang = false;
  release();
  assert.ok(!((await waiting) instanceof Refusal));
  await runCall(audit, readyCall(log.clock), log.clock);
  await audit.close();
  assert.deepEqual(await findings(), []);
});

test('what a caller hands in as soon as it is answered shares the sync of those who waited meanwhile', async () => {
  let syncs = 0;
  let early: Promise<unknown> | null = null;
  const intent = () => audit.stages.intent.run(readyCall(log.clock), log.clock) as Promise<unknown>;
  const fdatasync = (fd: number, done: (error: Error | null) => void) => {
    // One record more waits while the disk is busy with the first.
    if (++syncs === 1) early = intent();
    fs.fdatasync(fd, done);
  };
  const audit = await log.open({ files: { ...fs, fdatasync: fdatasync as unknown as Files['fdatasync'] } });
  syncs = 0;
  await intent();
  await Promise.all([early, intent()]);
  assert.equal(syncs, 2);
  await audit.close();
  assert.equal(audit.stats().durable, 3);
});

test('a segment that is full or old is followed by another under new keys', async () => {
  const audit = await log.open({}, { segmentBytes: 64 * 1024 });
  for (let i = 0; i < 3; i++) {
    await runCall(audit, readyCall(log.clock, { argument: 'x'.repeat(70_000) }), log.clock);
  }
  log.clock.mono += 86_400_001;
  await runCall(audit, readyCall(log.clock), log.clock);
  await audit.close();
  assert.ok(fs.readdirSync(join(log.home, 'audit/node-1/segments')).length >= 4);
  assert.deepEqual(await findings(), []);
  const again = await log.open();
  await runCall(again, readyCall(log.clock), log.clock);
  await again.close();
  assert.deepEqual(await findings(), []);
});
