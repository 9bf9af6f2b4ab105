import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { parseWitnessLine, witnessLine } from '../../../core/crypto/cosignature.ts';
import { type Fixture, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { type FrameSource, frameLength, writeFrame } from '../format/frame.ts';
import { encodeHeader } from '../format/segments.ts';
import { readKept, readVerifiers, type VerifyOptions, verifyLog } from './verify-log.ts';

/** Two replicas and a roll-up, as they lie in a home; each test harms a copy. */
let log: Fixture;
let audit: string;
before(async () => {
  log = fixture();
  for (const replica of ['node-1', 'node-2']) {
    const open = await log.open({ replica });
    for (let i = 0; i < 4; i++)
      await runCall(open, readyCall({ ...log.clock }, { tenant: 'shared' }), { ...log.clock });
    await open.checkpoint();
    await open.close();
  }
});
after(() => log.remove());
beforeEach(() => {
  audit = join(log.home, 'copy');
  cpSync(join(log.home, 'audit'), audit, { recursive: true });
});
afterEach(() => rmSync(audit, { recursive: true }));

const verified = (options: VerifyOptions = {}) =>
  verifyLog(audit, readVerifiers(join(log.home, 'keys/audit.pub')), { now: log.clock.utc, ...options });
const findings = async (options?: VerifyOptions) => (await verified(options)).flatMap((report) => report.findings);
const rollup = () => join(audit, 'rollup', readdirSync(join(audit, 'rollup'))[0]!);

test('two replicas and their roll-up are good as they are', async () => {
  const reports = await verified();
  assert.deepEqual(
    reports.map(({ replica, records }) => [replica.slice(0, 6), records]),
    [
      ['node-1', 8],
      ['node-2', 8],
      ['rollup', 2],
    ],
  );
  assert.deepEqual(await findings(), []);
});

test('what is added in a folder whose name is no UTF-8, or which lies a thousand folders deep, is reported', async () => {
  const strange = Buffer.concat([Buffer.from(join(audit, 'node-1/journal/tile/')), Buffer.from([0xff])]);
  mkdirSync(strange);
  writeFileSync(Buffer.concat([strange, Buffer.from('/hidden')]), 'hidden');
  mkdirSync(join(audit, 'node-2/journal', ...Array.from({ length: 1_000 }, () => 'x')), { recursive: true });
  const found = await findings();
  assert.deepEqual(
    found.map(({ file }) => file),
    ['journal/tile/\ufffd', 'journal/x'],
  );
});

test('the log of one replica in the place of another is reported, with a roll-up and without', async () => {
  rmSync(join(audit, 'node-2'), { recursive: true });
  cpSync(join(audit, 'node-1'), join(audit, 'node-2'), { recursive: true });
  const found = await findings();
  assert.ok(found.some(({ what }) => what === 'this is the log of node-1, which stands in its place'));
  assert.ok(found.some(({ file }) => file.startsWith('rollup/')));
  rmSync(join(audit, 'rollup'), { recursive: true });
  assert.equal((await findings()).length, 1);
});

test('a replica that is given by itself may lie in a folder of any name', async () => {
  renameSync(join(audit, 'node-2'), join(audit, 'from-the-tape'));
  const [report, ...more] = await verifyLog(
    join(audit, 'from-the-tape'),
    readVerifiers(join(log.home, 'keys/audit.pub')),
  );
  assert.deepEqual([report?.findings, more], [[], []]);
});

test('the checkpoint of a roll-up that was kept elsewhere must be one that the roll-up goes on from', async () => {
  const path = join(log.home, 'kept');
  cpSync(join(rollup(), 'checkpoint'), path);
  const kept = readKept(path, readVerifiers(join(log.home, 'keys/audit.pub')));
  assert.deepEqual(await findings({ kept: [kept] }), []);
  for (const other of [
    { ...kept, size: kept.size + 1 },
    { ...kept, root: Buffer.alloc(32, 7) },
  ]) {
    const found = await findings({ kept: [other] });
    assert.deepEqual(
      found.map(({ file }) => file),
      [path],
    );
    assert.match(found[0]!.what, /^the log was cut back or rewritten/);
  }
});

test('witnesses are asked for of trees and not of roll-ups, which no witness is shown', async () => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const witness = parseWitnessLine(witnessLine('witness.example', publicKey))!;
  const reports = await verified({ witnesses: [witness], quorum: 1 });
  assert.deepEqual(
    reports.map((report) => report.findings.length),
    [2, 2, 0],
  );
  assert.match(reports[2]!.skipped.join(), /not shown to witnesses/);
});

test('a checkpoint with a signature line that is there twice is no checkpoint', async () => {
  const path = join(audit, 'node-1/journal/checkpoint');
  const note = readFileSync(path, 'utf8');
  writeFileSync(path, note + note.slice(note.indexOf('\n\n') + 2));
  assert.ok((await findings()).some(({ file }) => file === 'journal/checkpoint'));
});

test('thousands of roll-up folders without a checkpoint do not cost a second each', { timeout: 20_000 }, async () => {
  for (let i = 0; i < 60; i++) mkdirSync(join(audit, 'rollup', String(i).padStart(32, '0')));
  assert.equal((await findings()).length, 60);
});

const PLACES = ['journal/checkpoint', 'journal/cosigned', 'segments/00000001.seg', 'segments/00000002.seg'] as const;
for (const place of PLACES) {
  test(`a pipe at ${place} is reported and not waited for`, { timeout: 20_000 }, async () => {
    const path = join(audit, 'node-1', place);
    rmSync(path, { force: true });
    execFileSync('mkfifo', [path]);
    assert.ok((await findings()).some(({ file }) => file === `${place}@`));
  });

  test(`a link at ${place} is reported and not followed, to the very bytes or to a device`, async () => {
    const path = join(audit, 'node-1', place);
    const moved = join(log.home, 'moved');
    cpSync(join(audit, 'node-1', place === 'journal/cosigned' ? PLACES[0] : PLACES[2]), moved);
    for (const target of [moved, '/dev/zero', path]) {
      rmSync(path, { force: true });
      symlinkSync(target, path);
      assert.ok((await findings()).some(({ file }) => file === `${place}@`));
    }
  });
}

test('names that would steer a terminal come out as text', async () => {
  const evil = '\u001b]0;owned\u0007\u202e';
  mkdirSync(join(audit, evil));
  for (const place of ['node-1', 'node-1/segments', 'node-1/trees', 'node-1/journal/tile', 'rollup', ''])
    writeFileSync(join(audit, place, `${evil}f`), 'x');
  const reports = await verified();
  const said = reports.flatMap(({ replica, findings: found }) => [replica, ...found.map(({ file }) => file)]).join();
  for (const sign of ['\u001b', '\u0007', '\u202e']) assert.ok(!said.includes(sign));
  assert.ok(reports.some(({ replica }) => replica.startsWith('\\u{1b}')));
});

test('a file that claims terabytes is read as far as it is a log, and no further', { timeout: 20_000 }, async () => {
  for (const file of ['segments/00000001.seg', 'journal/checkpoint', 'journal/tile/0/000.p/8']) {
    truncateSync(join(audit, 'node-1', file), 2 ** 42);
    truncateSync(join(audit, 'node-2', file), 2 ** 42);
    assert.ok(
      (await findings()).some((found) => found.file === file),
      file,
    );
  }
});

test('records of ever new tenants, of which nothing is signed, are a finding before they are too many to hold', async () => {
  const count = 10_100;
  const replica = join(audit, 'node-3');
  mkdirSync(join(replica, 'segments'), { recursive: true });
  const source: FrameSource = { envelopeLength: 2, partLengths: [], writeInto: (into, at) => into.write('{}', at) };
  const length = frameLength(source);
  const frames = Buffer.alloc(count * length);
  const tag = Buffer.alloc(16);
  for (let i = 0; i < count; i++) {
    tag.writeUInt32LE(i);
    writeFrame(frames, i * length, i, tag, source);
  }
  const header = encodeHeader({ segment: 1, first: 0, trees: {} });
  writeFileSync(join(replica, 'segments/00000001.seg'), Buffer.concat([header, frames]));
  const [report] = (await verified()).filter((one) => one.replica === 'node-3');
  assert.equal(report!.records, 10_000);
  assert.ok(report!.findings.length > 0);
});
