import assert from 'node:assert/strict';
import { appendFileSync, cpSync, globSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { openNote, parseCheckpoint } from '../../../core/crypto/signed-note.ts';
import { type Fixture, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { crc32c } from '../format/crc32c.ts';
import { readFrame } from '../format/frame.ts';
import { readVerifiers, verifyLog } from './verify-log.ts';

const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const seed = Number(process.env['GATEWRIT_TEST_SEED'] ?? Date.now() % 1_000_000);

let small: Fixture;
let large: Fixture;
const logOf = ({ home }: Fixture) => join(home, 'audit');
const verifiersOf = ({ home }: Fixture) => readVerifiers(join(home, 'keys/audit.pub'));
const filesOf = (folder: string) => globSync(join(folder, '**/*')).filter((path) => statSync(path).isFile());
const findings = async (log: Fixture, folder = logOf(log)) =>
  (await verifyLog(folder, verifiersOf(log))).flatMap((r) => r.findings);

before(async () => {
  small = fixture();
  for (const tenant of ['one', 'two']) {
    const audit = await small.open();
    await runCall(audit, readyCall(small.clock, { tenant }), small.clock);
    await audit.close();
  }
  // More than a tile, signed at several sizes: partial and whole tiles of two levels side by side.
  large = fixture();
  const audit = await large.open();
  for (const count of [3, 100, 60]) {
    await Promise.all(Array.from({ length: count }, () => runCall(audit, readyCall(large.clock), large.clock)));
    await audit.checkpoint();
  }
  await audit.close();
});

after(() => {
  small.remove();
  large.remove();
});

/** Runs `harm` on a copy of the log and gives what the verifier says of it. */
async function harmed(log: Fixture, harm: (replica: string) => void) {
  const copy = join(log.home, 'copy');
  cpSync(logOf(log), copy, { recursive: true });
  try {
    harm(join(copy, 'node-1'));
    return await findings(log, copy);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

/** The frames of the first segment, and where each begins. */
function framesOf(path: string) {
  const bytes = readFileSync(path);
  const frames: { start: number; end: number }[] = [];
  for (let at = bytes.indexOf('GWR1'); at >= 0 && at < bytes.length; ) {
    const frame = readFrame(bytes, at);
    assert.ok(frame);
    frames.push({ start: at, end: at + frame.length });
    at += frame.length;
  }
  return { bytes, frames };
}

test('an untouched log is good, by the public key alone, and what is not covered is said', async () => {
  for (const log of [small, large]) {
    const [report] = await verifyLog(logOf(log), verifiersOf(log));
    assert.deepEqual(report!.findings, []);
    assert.ok(report!.records > 0);
    assert.equal(report!.skipped.length, 1);
    for (const tree of report!.trees) assert.equal(tree.signed, tree.leaves);
  }
});

test('every flipped bit in any file of the log is reported', async (t) => {
  const step = Math.max(1, Math.round(24 / scale));
  let flips = 0;
  for (const file of filesOf(logOf(small))) {
    const good = readFileSync(file);
    for (let i = seed % step; i < good.length; i += step) {
      const bent = Buffer.from(good);
      bent[i] = bent[i]! ^ (1 << ((i + seed) % 8));
      writeFileSync(file, bent);
      flips++;
      assert.ok((await findings(small)).length > 0, `byte ${i} of ${file} (seed ${seed})`);
    }
    writeFileSync(file, good);
  }
  assert.deepEqual(await findings(small), []);
  t.diagnostic(`${flips} flips, seed ${seed}`);
});

test('a flip in the middle of a large log is reported with the record it concerns', async () => {
  const said = await harmed(large, (replica) => {
    const path = join(replica, 'segments/00000001.seg');
    const { bytes, frames } = framesOf(path);
    bytes[frames[200]!.start + 60]! ^= 1;
    writeFileSync(path, bytes);
  });
  assert.equal(said[0]?.index, 200);
  assert.equal(said[0]?.file, 'segments/00000001.seg');
});

test('a changed record with a mended checksum is reported: the root is another', async () => {
  const said = await harmed(large, (replica) => {
    const path = join(replica, 'segments/00000001.seg');
    const { bytes, frames } = framesOf(path);
    const { start, end } = frames[7]!;
    const at = bytes.indexOf('"t_ms":17', start);
    assert.ok(at > start && at < end);
    bytes[at + 8] = 0x38;
    bytes.writeUInt32LE(crc32c(bytes, start + 8, end), start + 4);
    writeFileSync(path, bytes);
  });
  assert.ok(said.some(({ what }) => what.includes('another root')));
});

test('removed, swapped, inserted and appended records are reported, mended or not', async () => {
  const edit = (change: (bytes: Buffer, frames: { start: number; end: number }[]) => Buffer) => {
    return harmed(large, (replica) => {
      const path = join(replica, 'segments/00000001.seg');
      const { bytes, frames } = framesOf(path);
      writeFileSync(path, change(bytes, frames));
    });
  };
  const cut = (bytes: Buffer, { start, end }: { start: number; end: number }) => bytes.subarray(start, end);
  const removed = await edit((bytes, f) => Buffer.concat([bytes.subarray(0, f[5]!.start), bytes.subarray(f[5]!.end)]));
  assert.ok(removed.length > 0);
  const swapped = await edit((bytes, f) =>
    Buffer.concat([bytes.subarray(0, f[5]!.start), cut(bytes, f[6]!), cut(bytes, f[5]!), bytes.subarray(f[6]!.end)]),
  );
  assert.ok(swapped.length > 0);
  const inserted = await edit((bytes, f) =>
    Buffer.concat([bytes.subarray(0, f[5]!.start), cut(bytes, f[4]!), bytes.subarray(f[5]!.start)]),
  );
  assert.ok(inserted.length > 0);
  // Indexes and checksums mended as a careful forger would.
  const mended = await edit((bytes, f) => {
    const rest = Buffer.from(bytes.subarray(f[5]!.end));
    for (let i = 6; i < f.length; i++) {
      const start = f[i]!.start - f[5]!.end;
      rest.writeUInt32LE(i - 1, start + 12);
      rest.writeUInt32LE(crc32c(rest, start + 8, f[i]!.end - f[5]!.end), start + 4);
    }
    return Buffer.concat([bytes.subarray(0, f[5]!.start), rest]);
  });
  assert.ok(mended.some(({ what }) => what.includes('were signed, the journal has')));
});

test('a log cut at a record boundary is reported: more was signed than is there', async () => {
  const said = await harmed(large, (replica) => {
    const path = join(replica, 'segments/00000001.seg');
    truncateSync(path, framesOf(path).frames.at(-1)!.start);
  });
  assert.ok(said.some(({ what }) => what.includes('were signed')));
});

test('missing, emptied, foreign and stray files are reported', async () => {
  const files = filesOf(logOf(small)).map((path) => path.slice(logOf(small).length + 1));
  assert.ok(files.length >= 8);
  const widest = (file: string) => {
    const beside = files.filter((other) => other.startsWith(`${dirname(file)}/`));
    return Math.max(...beside.map((other) => Number(basename(other))));
  };
  for (const file of files) {
    const at = (replica: string) => join(replica, '..', file);
    // A partial tile that a wider one has taken the place of holds nothing of its own: it may go, but not change.
    if (!file.includes('.p/') || Number(basename(file)) === widest(file))
      assert.ok((await harmed(small, (replica) => rmSync(at(replica)))).length > 0, `${file} removed`);
    assert.ok((await harmed(small, (replica) => truncateSync(at(replica)))).length > 0, `${file} emptied`);
    assert.ok((await harmed(small, (replica) => appendFileSync(at(replica), '\0'))).length > 0, `${file} longer`);
  }
  for (const file of [
    'note.txt',
    'segments/x',
    'journal/x',
    'trees/x',
    'journal/tile/entries/000',
    'segments/00000009.seg',
    '../rollup/x',
  ]) {
    const said = await harmed(small, (replica) => {
      cpSync(join(replica, 'journal/checkpoint'), join(replica, file), { recursive: true });
    });
    assert.ok(said.length > 0, `${file} added`);
  }
});

test('a tenant taken out of the log whole, its records renumbered, is reported', async () => {
  const said = await harmed(small, (replica) => {
    // The second segment holds the second tenant alone.
    rmSync(join(replica, 'segments/00000002.seg'));
    const journal = openNote(readFileSync(join(replica, 'journal/checkpoint'), 'utf8'), verifiersOf(small))!;
    assert.equal(parseCheckpoint(journal.text)?.size, 4);
  });
  assert.ok(said.some(({ file }) => file === 'journal/checkpoint'));
});

test('another key, or the key of another deployment, verifies nothing', async () => {
  const said = (await verifyLog(logOf(small), verifiersOf(large))).flatMap((report) => report.findings);
  assert.ok(said.some(({ what }) => what.includes('not a checkpoint signed by the given key')));
});
