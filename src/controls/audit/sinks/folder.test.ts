import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cosign } from '../../../core/crypto/cosignature.ts';
import { retireKeys, rotateKeys } from '../../../core/crypto/key-exchange.ts';
import { memoryRows, openMemoryStore } from '../../../core/store/memory.ts';
import type { Audit } from '../audit.ts';
import { type Fixture, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { type FrameSource, frameLength, writeFrame } from '../format/frame.ts';
import { readVerifiers, verifyLog } from '../verifier/verify-log.ts';

/** A whole record of twenty million bytes. */
function largest(): Buffer {
  const source: FrameSource = {
    envelopeLength: 2,
    partLengths: [20_000_000],
    writeInto: (to, at) => to.write('{}', at),
  };
  const frame = Buffer.alloc(frameLength(source));
  writeFrame(frame, 0, 10, Buffer.alloc(16), source);
  return frame;
}

describe('a copy of the log on another disk', () => {
  let f: Fixture;
  let disk: string;
  let copy: string;
  const opened: Audit[] = [];

  beforeEach(() => {
    f = fixture();
    disk = mkdtempSync(join(tmpdir(), 'gatewrit-copy-'));
    copy = join(disk, 'audit');
  });
  afterEach(async () => {
    for (const audit of opened.splice(0)) await audit.close();
    f.remove();
    rmSync(disk, { recursive: true, force: true });
  });

  const open = async (sink: object = {}, settings: object = {}) => {
    const sinks = [{ kind: 'folder', name: 'copy', path: disk, required: true, ...sink }];
    const audit = await f.open({}, { sinks, ...settings });
    opened.push(audit);
    return audit;
  };
  const calls = async (audit: Audit, count: number, tenant = 'acme') => {
    for (let i = 0; i < count; i++) await runCall(audit, readyCall({ ...f.clock }, { tenant }), { ...f.clock });
  };
  const signedIn = (folder: string) => {
    const path = join(folder, 'node-1/journal/checkpoint');
    return existsSync(path) ? Number(readFileSync(path, 'utf8').split('\n')[1]) : 0;
  };
  const log = () => join(f.home, 'audit');
  const caughtUp = async () => {
    for (let i = 0; i < 400 && signedIn(copy) < signedIn(log()); i++) await sleep(10);
    assert.equal(signedIn(copy), signedIn(log()), 'the copy has not caught up');
  };
  const verified = async (folder: string) => {
    const [report] = await verifyLog(folder, readVerifiers(join(f.home, 'keys/audit.pub')));
    assert.deepEqual(report!.findings, []);
    return report!;
  };
  const filesOf = (folder: string) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((item) => item.isFile())
      .map((item) => join(item.parentPath, item.name).slice(folder.length + 1))
      .sort();
  const refusal = async (audit: Audit) => {
    const outcome = await audit.stages.intent.run(readyCall({ ...f.clock }), { ...f.clock });
    return 'code' in outcome ? outcome.code : null;
  };

  test('is the log byte for byte as far as it is signed, verifies by itself, and holds no key', async () => {
    const audit = await open({}, { segmentBytes: 64 * 1024 });
    await calls(audit, 30, 'acme');
    await audit.checkpoint();
    await calls(audit, 40, 'globex');
    await audit.checkpoint();
    await caughtUp();
    const report = await verified(copy);
    assert.equal(report.records, signedIn(log()));
    assert.ok(report.segments > 1, 'several segments were copied');
    for (const file of filesOf(copy)) {
      const [there, here] = [readFileSync(join(copy, file)), readFileSync(join(log(), file))];
      assert.ok(here.subarray(0, there.length).equals(there), file);
    }
    assert.deepEqual(readdirSync(disk).sort(), ['audit', 'audit-work']);
  });

  test('whole tiles take the place of partial ones, and trees of more than a tile verify', async () => {
    const audit = await open();
    for (let i = 0; i < 5; i++) {
      await Promise.all(
        Array.from({ length: 64 }, () => audit.record({ kind: 'operation', tenant: 'acme', meta: { i } })),
      );
      await audit.checkpoint();
      await caughtUp();
    }
    await verified(copy);
    assert.ok(filesOf(copy).some((file) => file.endsWith('tile/entries/000')));
    assert.ok(!filesOf(copy).some((file) => file.includes('tile/entries/000.p/')));
  });

  test('the start after the copy was cut in the middle of a record goes on where it was', async () => {
    const first = await open();
    await calls(first, 20);
    await first.close();
    const segment = join(copy, 'node-1/segments/00000001.seg');
    const whole = readFileSync(segment);
    // As a crash leaves it: records without the checkpoint that covers them, the last one torn.
    for (const path of ['journal', ...readdirSync(join(copy, 'node-1/trees')).map((tag) => `trees/${tag}`)])
      rmSync(join(copy, 'node-1', path, 'checkpoint'));
    truncateSync(segment, whole.length - 7);
    appendFileSync(segment, Buffer.alloc(100));
    const second = await open();
    await calls(second, 3);
    await second.checkpoint();
    await caughtUp();
    await verified(copy);
    assert.ok(readFileSync(segment).equals(whole));
  });

  test('a log that was restored from a backup does not start beside a newer copy, even with its store', async () => {
    const rows = memoryRows();
    f.remove();
    f = fixture(openMemoryStore(rows));
    const first = await open();
    await calls(first, 5);
    await first.close();
    opened.length = 0;
    const backup = mkdtempSync(join(tmpdir(), 'gatewrit-backup-'));
    cpSync(f.home, backup, { recursive: true });
    const tables = structuredClone(rows.tables);
    const second = await open();
    await calls(second, 5);
    await second.close();
    opened.length = 0;
    rmSync(f.home, { recursive: true });
    cpSync(backup, f.home, { recursive: true });
    rmSync(backup, { recursive: true });
    rows.tables.clear();
    for (const [name, table] of tables) rows.tables.set(name, table);
    await assert.rejects(open(), { code: 'audit.rolled_back', message: /the sink copy holds \d+ signed records/ });
    await assert.doesNotReject(open({ path: `${disk}/elsewhere`, required: false }), 'without the copy nobody knows');
  });

  for (const [what, more] of [
    ['records', (last: Buffer) => last],
    ['a record as large as one may be', largest],
  ] as const)
    test(`${what} in the copy that the log does not have close the log, and the copy is not touched`, async () => {
      const first = await open();
      await calls(first, 5);
      await first.close();
      const segment = join(copy, 'node-1/segments/00000001.seg');
      const bytes = readFileSync(segment);
      // The last record once more: whole, and not in the log.
      appendFileSync(segment, more(bytes.subarray(bytes.lastIndexOf('GWR1'))));
      const forged = readFileSync(segment);
      const second = await open();
      await second.checkpoint();
      for (let i = 0; i < 200 && (await refusal(second)) === null; i++) await sleep(10);
      assert.equal(await refusal(second), 'audit.unavailable');
      assert.ok(readFileSync(segment).equals(forged));
    });

  test('a copy that another key signed closes the log', async () => {
    const first = await open();
    await calls(first, 5);
    await first.close();
    const checkpoint = join(copy, 'node-1/journal/checkpoint');
    writeFileSync(checkpoint, readFileSync(checkpoint, 'utf8').replace(/^test/, 'tesT'));
    const second = await open();
    await second.checkpoint();
    for (let i = 0; i < 200 && (await refusal(second)) === null; i++) await sleep(10);
    assert.equal(await refusal(second), 'audit.unavailable');
  });

  test('while a required copy is out of reach longer than its deadline calls are refused, and go on by themselves', async () => {
    const audit = await open({ deadlineMs: 1_000 });
    await calls(audit, 2);
    await audit.checkpoint();
    await caughtUp();
    renameSync(disk, `${disk}-away`);
    await calls(audit, 1);
    await audit.checkpoint();
    await sleep(50);
    assert.equal(await refusal(audit), null, 'within the deadline');
    f.clock.mono += 2_000;
    assert.equal(await refusal(audit), 'audit.unavailable');
    renameSync(`${disk}-away`, disk);
    await audit.checkpoint();
    await caughtUp();
    for (let i = 0; i < 200 && (await refusal(audit)) !== null; i++) await sleep(10);
    assert.equal(await refusal(audit), null, 'open again');
    await verified(copy);
  });

  test('a copy that is not required never closes the log, and a missing folder is not made', async () => {
    const audit = await open({ path: join(disk, 'not-mounted'), required: false });
    await calls(audit, 2);
    await audit.checkpoint();
    f.clock.mono += 60_000_000;
    assert.equal(await refusal(audit), null);
    assert.ok(!existsSync(join(disk, 'not-mounted')));
  });

  test('checkpoints that a new key has signed anew replace those of the old one, also where nothing grew', async () => {
    const audit = await open();
    await calls(audit, 3, 'acme');
    await calls(audit, 3, 'globex');
    await audit.checkpoint();
    await caughtUp();
    rotateKeys(join(f.home, 'keys'), 'checkpoint');
    await audit.takeOverKeys();
    const same = () =>
      filesOf(copy)
        .filter((file) => file.endsWith('/checkpoint'))
        .every((file) => readFileSync(join(copy, file)).equals(readFileSync(join(log(), file))));
    for (let i = 0; i < 200 && !same(); i++) await sleep(10);
    assert.ok(same());
    retireKeys(join(f.home, 'keys'), 'checkpoint');
    await audit.takeOverKeys();
    await verified(copy);
  });

  test('a copy that was away while a key was exchanged and retired is taken up where it was', async () => {
    const first = await open();
    await calls(first, 3, 'acme');
    await first.close();
    renameSync(disk, `${disk}-away`);
    const second = await open({ required: false });
    rotateKeys(join(f.home, 'keys'), 'checkpoint');
    await second.takeOverKeys();
    retireKeys(join(f.home, 'keys'), 'checkpoint');
    await second.takeOverKeys();
    await second.close();
    renameSync(`${disk}-away`, disk);
    const third = await open();
    await calls(third, 3, 'globex');
    await third.checkpoint();
    await caughtUp();
    await verified(copy);
  });

  test('what a witness has signed is copied as soon as the copy reaches that far', async () => {
    const audit = await open();
    await calls(audit, 3);
    await audit.checkpoint();
    await caughtUp();
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const witness = { name: 'witness.example', privateKey, publicKey };
    const trees = ['journal', ...readdirSync(join(log(), 'node-1/trees')).map((tag) => `trees/${tag}`)];
    for (const path of trees) {
      const note = readFileSync(join(log(), 'node-1', path, 'checkpoint'), 'utf8');
      const line = cosign(note.slice(0, note.indexOf('\n\n') + 1), witness, 1_790_000_000);
      writeFileSync(join(log(), 'node-1', path, 'cosigned'), `${note}${line}`);
    }
    await audit.checkpoint();
    const copied = () => filesOf(copy).filter((file) => file.endsWith('/cosigned'));
    for (let i = 0; i < 200 && copied().length < trees.length; i++) await sleep(10);
    assert.equal(copied().length, trees.length);
    for (const file of copied())
      assert.ok(readFileSync(join(copy, file)).equals(readFileSync(join(log(), file))), file);
    await verified(copy);
  });

  test('the home is no place for a copy, by whatever path: the log is not touched, and the start says so', async () => {
    const link = join(disk, 'home');
    symlinkSync(f.home, link);
    for (const path of [f.home, link])
      await assert.rejects(open({ path }), {
        code: 'settings.invalid',
        message: /the sink copy at .* is the log itself/,
      });
  });

  test('verifies at any moment while the log grows under it', async () => {
    const audit = await open({}, { checkpointMs: 20, segmentBytes: 64 * 1024 });
    let running = true;
    const load = (async () => {
      while (running) await calls(audit, 4, `tenant-${Math.floor(f.clock.mono) % 3}`);
    })();
    try {
      for (let i = 0; i < 8; i++) {
        await sleep(60);
        if (signedIn(copy) > 0) await verified(copy);
      }
    } finally {
      running = false;
      await load;
    }
    await audit.close();
    assert.equal((await verified(copy)).records, signedIn(log()));
    assert.equal(statSync(join(copy, 'node-1/segments/00000001.seg')).mode & 0o777, 0o600);
  });
});
