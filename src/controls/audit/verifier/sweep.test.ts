import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { openSigningKeys } from '../../../core/crypto/keys.ts';
import { EMPTY_ROOT } from '../../../core/crypto/merkle.ts';
import { checkpointText, parseVerifierLine, signNote, verifierLine } from '../../../core/crypto/signed-note.ts';
import { crc32c } from '../format/crc32c.ts';
import { parseEnvelope } from '../format/envelope.ts';
import { readFrame } from '../format/frame.ts';
import { openCheckpoint } from './checkpoint-files.ts';
import type { VerifyFinding } from './findings.ts';
import { framesOf, type LogFiles, memorySource, type Swept, sweptLog } from './sweep-kit.test.ts';
import { type VerifyOptions, verifyLog } from './verify-log.ts';

const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const seed = Number(process.env['GATEWRIT_TEST_SEED'] ?? Date.now() % 1_000_000);

let swept: Swept;
before(async () => {
  swept = await sweptLog(2_000, 640 * 1024);
});
after(() => swept.log.remove());

async function said(files: LogFiles, options?: VerifyOptions, lists = true): Promise<VerifyFinding[]> {
  const reports = await verifyLog(memorySource(files, lists), swept.verifiers, options);
  return reports.flatMap(({ findings }) => findings);
}

/** The log with some files changed (null: gone). */
function changed(changes: Readonly<Record<string, Buffer | null>>): LogFiles {
  const files = new Map(swept.files);
  for (const [file, bytes] of Object.entries(changes)) {
    if (bytes) files.set(file, bytes);
    else files.delete(file);
  }
  return files;
}

/** Every kind of place once, then seeded random ones. */
function places(count: number): [string, number][] {
  const list: [string, number][] = [];
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (const [file, bytes] of swept.files) list.push([file, random(bytes.length)]);
  const files = [...swept.files];
  while (list.length < count) {
    const [file, bytes] = files[random(files.length)]!;
    list.push([file, random(bytes.length)]);
  }
  return list;
}

test('a flipped byte anywhere in a log of 2,000 records is reported, first with its own record', async (t) => {
  assert.deepEqual(await said(swept.files), []);
  const kinds = [...swept.files.keys()];
  assert.ok(kinds.filter((file) => file.endsWith('.seg')).length >= 4);
  for (const kind of ['tile/1/', 'tile/0/000', 'tile/entries/000', '.p/', 'checkpoint'])
    assert.ok(
      kinds.some((file) => file.includes(kind)),
      kind,
    );
  const chosen = places(Math.round(110 * scale));
  for (const [file, byte] of chosen) {
    const bent = Buffer.from(swept.files.get(file)!);
    bent[byte]! ^= 1 << ((byte + seed) % 8);
    const found = await said(changed({ [file]: bent }));
    const where = `byte ${byte} of ${file}, seed ${seed}: ${JSON.stringify(found.slice(0, 3))}`;
    const own = found.filter((finding) => finding.file === file);
    assert.ok(own.length > 0, where);
    assert.equal(own[0]!.index, swept.expected(file, byte), where);
    if (!file.endsWith('checkpoint')) assert.equal(found.length, own.length, where);
  }
  t.diagnostic(`${chosen.length} flips, seed ${seed}`);
});

test('what a web server cannot list is found all the same where records are concerned', async () => {
  assert.deepEqual(await said(swept.files, {}, false), []);
  for (const [file, byte] of places(12)) {
    // Superseded partial tiles are not asked for where they cannot be listed.
    if (/\.p\//.test(file)) continue;
    const bent = Buffer.from(swept.files.get(file)!);
    bent[byte]! ^= 16;
    const found = await said(changed({ [file]: bent }), {}, false);
    assert.ok(
      found.some((finding) => finding.file === file),
      `byte ${byte} of ${file}, seed ${seed}`,
    );
  }
});

const SEGMENT = 'segments/00000002.seg';
const without = (bytes: Buffer, start: number, end: number) =>
  Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);

test('deletion, a cut at a record edge, a swap, a splice and a missing segment are reported with the first bad index', async () => {
  const bytes = swept.files.get(SEGMENT)!;
  const frames = framesOf(bytes);
  const [a, b] = [frames[10]!, frames[11]!];
  const lastSegment = [...swept.files.keys()].filter((file) => file.endsWith('.seg')).at(-1)!;
  const last = swept.files.get(lastSegment)!;
  const cases: [string, LogFiles, number][] = [
    ['deleted', changed({ [SEGMENT]: without(bytes, a.start, a.end) }), a.index],
    ['cut in the middle of the log', changed({ [SEGMENT]: bytes.subarray(0, a.start) }), a.index],
    [
      'cut at the end',
      changed({ [lastSegment]: last.subarray(0, framesOf(last).at(-3)!.start) }),
      framesOf(last).at(-3)!.index,
    ],
    [
      'swapped',
      changed({
        [SEGMENT]: Buffer.concat([
          bytes.subarray(0, a.start),
          bytes.subarray(b.start, b.end),
          bytes.subarray(a.start, a.end),
          bytes.subarray(b.end),
        ]),
      }),
      a.index,
    ],
    [
      'spliced',
      changed({
        [SEGMENT]: Buffer.concat([bytes.subarray(0, a.start), bytes.subarray(b.start, b.end), bytes.subarray(a.end)]),
      }),
      a.index,
    ],
    ['segment gone', changed({ [SEGMENT]: null }), frames[0]!.index],
    ['last segment gone', changed({ [lastSegment]: null }), framesOf(last)[0]!.index],
  ];
  for (const [what, files, index] of cases)
    for (const lists of [true, false]) {
      const [first] = await said(files, {}, lists);
      assert.equal(first?.index, index, `${what}: ${JSON.stringify(first)}`);
    }
});

test('records put in one another’s place with checksums and indexes mended are reported with the first of them', async () => {
  const bytes = swept.files.get(SEGMENT)!;
  const frames = framesOf(bytes);
  const mend = (frame: Buffer, index: number) => {
    frame.writeUInt32LE(index, 12);
    frame.writeUInt32LE(crc32c(frame, 8, frame.length), 4);
    return frame;
  };
  const copy = ({ start, end }: { start: number; end: number }) => Buffer.from(bytes.subarray(start, end));
  const [a, b] = [frames[10]!, frames[13]!];
  assert.equal(a.tag === b.tag, true, 'of one tenant');
  const swapped = Buffer.concat([
    bytes.subarray(0, a.start),
    mend(copy(b), a.index),
    bytes.subarray(a.end, b.start),
    mend(copy(a), b.index),
    bytes.subarray(b.end),
  ]);
  const found = await said(changed({ [SEGMENT]: swapped }));
  assert.equal(found[0]?.index, a.index, JSON.stringify(found.slice(0, 3)));
  // An outcome without its intent: taken out, and everything behind it moved up.
  const renumbered = frames.slice(11).map((frame) => mend(copy(frame), frame.index - 1));
  const closed = await said(changed({ [SEGMENT]: Buffer.concat([bytes.subarray(0, a.start), ...renumbered]) }));
  assert.equal(closed[0]?.index, a.index, JSON.stringify(closed.slice(0, 3)));
});

test('a whole log rolled back to what was signed before is reported against a checkpoint kept elsewhere', async () => {
  const older = await sweptLog(200, 64 * 1024);
  try {
    const kept = (file: string) => ({
      ...openCheckpoint(swept.files.get(file)!.toString(), swept.verifiers)!,
      name: `kept ${file}`,
    });
    const trees = [...swept.files.keys()].filter((file) => file.endsWith('/checkpoint'));
    assert.equal(trees.length, 4);
    for (const tree of trees) assert.deepEqual(await said(swept.files, { kept: [kept(tree)] }), []);
    // Same deployment, same names, another and shorter history: good in itself.
    const check = (options?: VerifyOptions) => verifyLog(memorySource(older.files), older.verifiers, options);
    assert.deepEqual((await check())[0]!.findings, []);
    for (const tree of trees) {
      const found = (await check({ kept: [kept(tree)] })).flatMap(({ findings }) => findings);
      assert.match(found[0]?.what ?? '', /cut back or rewritten/, tree);
    }
    // As long, but not the same.
    const { size } = kept('journal/checkpoint');
    const other = { ...kept('journal/checkpoint'), root: Buffer.alloc(32, 7), size };
    const found = await said(swept.files, { kept: [other] });
    assert.match(found[0]?.what ?? '', /is another at 2000 records/);
    assert.ok((await said(swept.files, { kept: [{ ...other, origin: 'test/journal/node-9' }] })).length === 1);
  } finally {
    older.log.remove();
  }
});

test('a log signed anew with another key is refused, under its own name and under ours', async () => {
  const pair = generateKeyPairSync('ed25519');
  const forger = { name: 'test', ...pair };
  const line = parseVerifierLine(verifierLine('test', pair.publicKey))!;
  const forged: Record<string, Buffer> = {};
  for (const [file, bytes] of swept.files) {
    if (!file.endsWith('/checkpoint')) continue;
    const checkpoint = openCheckpoint(bytes.toString(), swept.verifiers)!;
    forged[file] = Buffer.from(signNote(checkpointText(checkpoint), forger));
  }
  const found = await said(changed(forged));
  assert.equal(found.filter(({ what }) => what.includes('not a checkpoint signed by the given key')).length, 4);
  assert.deepEqual((await verifyLog(memorySource(changed(forged)), [line]))[0]!.findings, [], 'the forger’s own key');
  const mixed = changed({ 'journal/checkpoint': forged['journal/checkpoint']! });
  assert.ok((await said(mixed)).length > 0);
});

test('one checkpoint in the place of another, or of an older one of its tree, is reported', async () => {
  const trees = [...swept.files.keys()].filter((file) => file.endsWith('/checkpoint'));
  for (const [i, file] of trees.entries())
    assert.ok((await said(changed({ [file]: swept.files.get(trees[(i + 1) % 4]!)! }))).length > 0, file);
});

test('a log that has just begun is neither good nor bad; an hour later it is bad', async () => {
  const young = new Map([...swept.files].filter(([file]) => file === 'segments/00000001.seg'));
  const then = swept.log.clock.utc;
  const [report] = await verifyLog(memorySource(young), swept.verifiers, { now: then + 5_000 });
  assert.equal(report!.young, true);
  assert.deepEqual(report!.findings, []);
  assert.match(report!.skipped.join(), /nothing is signed yet, the oldest record is 5 s old/);
  const [late] = await verifyLog(memorySource(young), swept.verifiers, { now: then + 3_600_000 });
  assert.equal(late!.young, false);
  assert.match(late!.findings[0]!.what, /nothing proves these records/);
  const empty = checkpointText({ origin: 'test/journal/node-1', size: 0, root: EMPTY_ROOT });
  const ours = {
    name: 'test',
    ...openSigningKeys({ folder: `${swept.log.home}/keys`, generate: false }, 'checkpoint')[0],
  };
  const stale = new Map(young).set('journal/checkpoint', Buffer.from(signNote(empty, ours)));
  assert.match((await said(stale, { now: then + 3_600_000 }))[0]?.what ?? '', /nothing proves these records/);
  const bare = new Map([...swept.files].filter(([file]) => !file.startsWith('segments/')));
  assert.ok((await said(bare, { now: then })).some(({ what }) => what === 'there is no segment'));
  await assert.rejects(said(new Map(), { now: then }), /holds no audit log/);
  const [ahead] = await verifyLog(memorySource(young), swept.verifiers, { now: then - 3_600_000 });
  assert.equal(ahead!.findings.length, 1, 'a time to come is no excuse');
});

/** The frame as it is with an envelope of another kind, its checksum mended. */
function withKind(bytes: Buffer, { start, end }: { start: number; end: number }, from: string, kind: string): Buffer {
  const frame = Buffer.from(bytes.subarray(start, end));
  const text = frame.toString('latin1');
  const changed = Buffer.from(text.replace(`"kind":"${from}"`, `"kind":"${kind}"`), 'latin1');
  const grown = changed.length - frame.length;
  const lengthAt = 12 + 8 + 16 + 1;
  changed.writeUInt16LE(changed.readUInt16LE(lengthAt) + grown, lengthAt);
  changed.writeUInt32LE(changed.readUInt32LE(8) + grown, 8);
  changed.writeUInt32LE(crc32c(changed, 8, changed.length), 4);
  return changed;
}

test('nothing but further retirements may follow the retirement of a replica', async () => {
  const first = 'segments/00000001.seg';
  const bytes = swept.files.get(first)!;
  const frames = framesOf(bytes).slice(0, 4);
  const log = (kinds: readonly (string | null)[]) => {
    const records = frames.map((frame, i) => {
      const original = parseEnvelope(readFrame(bytes, frame.start)!.envelope)!.kind;
      return withKind(bytes, frame, original, kinds[i] ?? original);
    });
    return new Map([[first, Buffer.concat([bytes.subarray(0, frames[0]!.start), ...records])]]);
  };
  const now = swept.log.clock.utc;
  assert.deepEqual(await said(log([null, null, null, null]), { now }), []);
  assert.deepEqual(await said(log([null, null, 'retirement', 'retirement']), { now }), []);
  const [finding] = await said(log([null, 'retirement', null, null]), { now });
  assert.equal(finding?.index, 2);
  assert.match(finding.what, /was retired by record 1/);
});
