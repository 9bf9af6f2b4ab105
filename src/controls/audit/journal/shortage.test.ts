import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Refusal } from '../../../core/stage.ts';
import type { Audit } from '../audit.ts';
import { bareCall, type Fixture, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { LogReader } from '../reader/read.ts';
import { readVerifiers, verifyLog } from '../verifier/verify-log.ts';
import type { Files } from './files.ts';

type Callback = (error: Error | null, ...values: unknown[]) => void;

/** The real file system, which can be told that it has room for so many bytes more, and what it says then. */
class Disk {
  room = Number.POSITIVE_INFINITY;
  code = 'ENOSPC';
  /** Whether new files can be opened for writing. */
  opens = true;
  readonly files: Files;

  constructor() {
    this.files = {
      ...fs,
      write: ((fd: number, bytes: Buffer, from: number, length: number, at: number, done: Callback) => {
        const taken = this.#take(length);
        if (taken === 0) setImmediate(done, this.#fault('write'));
        else fs.write(fd, bytes, from, taken, at, done);
      }) as Files['write'],
      writeSync: ((fd: number, bytes: Buffer, from: number, length: number, at: number) => {
        const taken = this.#take(length);
        if (taken === 0) throw this.#fault('write');
        return fs.writeSync(fd, bytes, from, taken, at);
      }) as Files['writeSync'],
      writeFile: ((path: string, bytes: Buffer, options: fs.WriteFileOptions, done: Callback) => {
        const fault = this.opens ? null : this.#fault('open');
        if (fault) return setImmediate(done, fault);
        const taken = this.#take(bytes.length);
        fs.writeFile(path, bytes.subarray(0, taken), options, (error) =>
          done(error ?? (taken < bytes.length ? this.#fault('write') : null)),
        );
      }) as unknown as Files['writeFile'],
      openSync: ((path: string, flags: string, mode?: number) => {
        if (!this.opens && flags !== 'r') throw this.#fault('open');
        return fs.openSync(path, flags, mode);
      }) as Files['openSync'],
      unlinkSync: ((path: string) => {
        const { size } = fs.statSync(path);
        fs.unlinkSync(path);
        this.room += size;
      }) as Files['unlinkSync'],
      ftruncateSync: ((fd: number, length: number) => {
        this.room += fs.fstatSync(fd).size - length;
        fs.ftruncateSync(fd, length);
      }) as Files['ftruncateSync'],
    };
  }

  #take(bytes: number): number {
    const taken = Math.min(bytes, this.room);
    this.room -= taken;
    return taken;
  }

  #fault(syscall: string): Error {
    // As Node says it: it has no name for this one.
    const unnamed = { code: 'Unknown system error -122', errno: -122 };
    return Object.assign(new Error(`${this.code}: injected`), {
      ...(this.code === 'EDQUOT' && process.platform === 'linux' ? unnamed : { code: this.code }),
      syscall,
    });
  }
}

const findings = async (log: Fixture) =>
  (await verifyLog(join(log.home, 'audit'), readVerifiers(join(log.home, 'keys/audit.pub')))).flatMap(
    (r) => r.findings,
  );

const kinds = async (log: Fixture) => {
  const keys = { folder: join(log.home, 'keys'), generate: false };
  const reader = await LogReader.open({ home: log.home, keys, store: log.store, deployment: 'test' });
  return (await reader.last(1_000)).map(({ envelope, meta }) => ({ kind: envelope.kind, meta }));
};

const reserve = (log: Fixture) => join(log.home, 'audit-work/node-1/reserve');

async function refusedCall(audit: Audit, log: Fixture): Promise<Refusal> {
  const refused = await audit.stages.intent.run(readyCall(log.clock), log.clock);
  assert.ok(refused instanceof Refusal && refused.code === 'audit.unavailable');
  return refused;
}

/** Room again: the log opens by itself. */
async function open(audit: Audit, log: Fixture): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    const intent = await audit.stages.intent.run(readyCall(log.clock), log.clock);
    if (!(intent instanceof Refusal)) return;
    await sleep(50);
  }
  assert.fail('it did not open again');
}

const CASES = [
  { code: 'ENOSPC', room: 0, reason: 'the disk is full' },
  { code: 'ENOSPC', room: 700, reason: 'the disk is full' },
  { code: 'EDQUOT', room: 1, reason: 'the disk quota is used up' },
  { code: 'EROFS', room: 0, reason: 'the disk is read-only' },
  { code: 'EMFILE', room: Number.POSITIVE_INFINITY, reason: 'no file descriptor is left' },
  { code: 'ENFILE', room: Number.POSITIVE_INFINITY, reason: 'the machine has no file descriptor left' },
] as const;

describe('a shortage', { concurrency: true }, () => {
  test('no room, no descriptor, a read-only disk: calls are refused, nothing is half written, and the log opens again by itself', async () => {
    await Promise.all(
      CASES.map(async ({ code, room, reason }) => {
        const log = fixture();
        const disk = new Disk();
        const audit = await log.open({ files: disk.files }, { segmentBytes: 64 * 1024, reserveBytes: 8_192 });
        // A full segment: the next group needs a new file.
        await runCall(audit, readyCall(log.clock, { argument: 'x'.repeat(70_000) }), log.clock);
        await runCall(audit, readyCall(log.clock), log.clock);
        const before = audit.stats();
        assert.equal(before.durable, 4);

        disk.code = code;
        disk.room = room;
        disk.opens = code !== 'EMFILE' && code !== 'ENFILE';
        if (!disk.opens) log.clock.mono += 86_400_001;
        const refusals = await Promise.all(Array.from({ length: 30 }, () => refusedCall(audit, log)));
        assert.ok(String(refusals[0]!.facts.evidence).startsWith(reason), String(refusals[0]!.facts.evidence));
        assert.deepEqual(log.fatal, []);
        await assert.rejects(audit.record({ kind: 'settings', tenant: 't', meta: {} }), { code: 'audit.no_room' });
        const stranger = Object.assign(bareCall(log.clock), { refusal: new Refusal('authentication.missing') });
        assert.deepEqual(audit.stages.outcome.run(stranger, log.clock), { index: -1, id: '' });
        log.clock.mono += 2_000;
        await audit.checkpoint();
        await sleep(1_200);
        await refusedCall(audit, log);
        assert.deepEqual(log.fatal, []);

        disk.room = Number.POSITIVE_INFINITY;
        disk.opens = true;
        await open(audit, log);
        await runCall(audit, readyCall(log.clock), log.clock);
        assert.equal(fs.statSync(reserve(log)).size, 8_192, 'the reserve is there again');
        await audit.close();
        assert.deepEqual(await findings(log), [], code);
        const records = await kinds(log);
        const said = records.filter(({ kind }) => kind === 'full' || kind === 'recovery');
        assert.equal(said.length, 2);
        assert.equal(said[0]!.meta!['reason'], `${reason}; refusing`);
        assert.equal(said.at(-1)!.meta!['reason'], reason);
        assert.ok(Number(said.at(-1)!.meta!['closed_ms']) >= 2_000);
        const again = await log.open();
        assert.equal(again.stats().durable, audit.stats().durable);
        await again.close();
        log.remove();
      }),
    );
  });

  test('outcomes of calls that ran when the disk filled are unknown, of several tenants, and each tree goes on without a gap', async () => {
    const log = fixture();
    const disk = new Disk();
    const audit = await log.open({ files: disk.files }, { reserveBytes: 8_192 });
    const calls = Array.from({ length: 12 }, (_, i) => readyCall(log.clock, { tenant: `t${i % 3}` }));
    for (const call of calls) {
      const intent = await audit.stages.intent.run(call, log.clock);
      assert.ok(!(intent instanceof Refusal) && 'index' in intent);
      call.intent = intent;
    }
    disk.room = 3_000;
    for (const outcome of await Promise.all(calls.map((call) => audit.stages.outcome.run(call, log.clock))))
      assert.ok(outcome instanceof Refusal && outcome.code === 'audit.outcome_unknown');
    disk.room = Number.POSITIVE_INFINITY;
    await open(audit, log);
    for (let i = 0; i < 6; i++) await runCall(audit, readyCall(log.clock, { tenant: `t${i % 3}` }), log.clock);
    await audit.close();
    assert.deepEqual(await findings(log), []);
    assert.deepEqual(log.fatal, []);
    log.remove();
  });

  test('while there is room for a record but not for the reserve the log stays closed', async () => {
    const log = fixture();
    const disk = new Disk();
    const audit = await log.open({ files: disk.files }, { reserveBytes: 8_192 });
    disk.room = 0;
    await refusedCall(audit, log);
    disk.room = 6_000;
    await sleep(1_200);
    await refusedCall(audit, log);
    await audit.close();
    assert.deepEqual(await findings(log), []);
    log.remove();
  });

  test('trees that cannot be written for want of room do not end the process: the next signature brings them up', async () => {
    const log = fixture();
    const disk = new Disk();
    const audit = await log.open({ files: disk.files });
    await runCall(audit, readyCall(log.clock), log.clock);
    for (const room of [0, 10, 100, 300]) {
      disk.room = room;
      await audit.checkpoint();
      assert.ok(audit.stats().signed < 2);
    }
    disk.room = Number.POSITIVE_INFINITY;
    await audit.checkpoint();
    assert.equal(audit.stats().signed, 2);
    await audit.close();
    assert.deepEqual([await findings(log), log.fatal], [[], []]);
    log.remove();
  });

  test('bytes that cannot be taken back end the log', async () => {
    const log = fixture();
    const disk = new Disk();
    const ftruncateSync = () => {
      throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
    };
    const audit = await log.open({ files: { ...disk.files, ftruncateSync } });
    disk.room = 500;
    await refusedCall(audit, log);
    assert.equal(log.fatal.length, 1);
    await audit.close();
    const again = await log.open();
    await again.close();
    assert.deepEqual(await findings(log), []);
    log.remove();
  });
});
