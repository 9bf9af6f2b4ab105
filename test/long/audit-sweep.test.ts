import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { crc32c } from '../../src/controls/audit/format/crc32c.ts';
import { parseEnvelope } from '../../src/controls/audit/format/envelope.ts';
import { readFrame } from '../../src/controls/audit/format/frame.ts';
import { framesOf, memorySource, type Swept, sweptLog } from '../../src/controls/audit/verifier/sweep-kit.test.ts';
import { verifyLog } from '../../src/controls/audit/verifier/verify-log.ts';
import { HASH_BYTES } from '../../src/core/crypto/merkle.ts';
import { randomOf } from './audit-writing.ts';
import { keepEvidence } from './evidence.ts';

/**
 * Every byte of a log of 2,000 records is four million verifications. These are chosen, in four parts
 * (`GATEWRIT_LONG_PARTS=0,3` runs two of them; `GATEWRIT_LONG_SEED` repeats a run): every byte of every checkpoint, of
 * every segment header and of one record of each kind; one byte in each hash of each tile and each entry of each bundle;
 * 20,000 at random; and 2,000 at random in records whose checksum is then mended, as a careful forger would.
 */
const seed = Number(process.env['GATEWRIT_LONG_SEED'] ?? Date.now() % 1_000_000_007);
const wanted = process.env['GATEWRIT_LONG_PARTS']?.split(',').map(Number) ?? [0, 1, 2, 3];
/** A tenth is enough to see that it works; only the whole is evidence. */
const share = Number(process.env['GATEWRIT_LONG_SHARE'] ?? 1);
const RANDOM = 20_000 * share;
const MENDED = 2_000 * share;

let swept: Swept;
before(async () => {
  process.stdout.write(`audit-sweep: seed ${seed}\n`);
  swept = await sweptLog(2_000, 640 * 1024);
});
after(() => swept.log.remove());

async function flip(file: string, byte: number, bit: number, mend?: (bytes: Buffer) => void): Promise<void> {
  const bent = Buffer.from(swept.files.get(file)!);
  bent[byte]! ^= 1 << bit;
  mend?.(bent);
  const reports = await verifyLog(memorySource(new Map(swept.files).set(file, bent)), swept.verifiers);
  const [first] = reports[0]!.findings;
  const where = `byte ${byte}, bit ${bit} of ${file}, seed ${seed}: ${JSON.stringify(first)}`;
  assert.ok(first, where);
  assert.equal(first.index, swept.expected(file, byte), where);
}

const files = () => [...swept.files];
const segments = () => files().filter(([file]) => file.endsWith('.seg'));

/** Every byte of what there is one of, and of one record of each kind. */
function singly(): [string, number][] {
  const places: [string, number][] = [];
  const add = (file: string, from: number, to: number) => {
    for (let byte = from; byte < to; byte++) places.push([file, byte]);
  };
  for (const [file, bytes] of files()) if (file.endsWith('/checkpoint')) add(file, 0, bytes.length);
  const kinds = new Set<string>();
  for (const [file, bytes] of segments()) {
    const frames = framesOf(bytes);
    add(file, 0, frames[0]!.start);
    for (const { start, end } of frames) {
      const { kind } = parseEnvelope(readFrame(bytes, start)!.envelope)!;
      if (kinds.has(kind)) continue;
      kinds.add(kind);
      add(file, start, end);
    }
  }
  return places;
}

/** A byte, at random, in each hash of each tile and in each entry of each bundle. */
function slots(random: () => number): [string, number][] {
  const places: [string, number][] = [];
  for (const [file, bytes] of files()) {
    if (!file.includes('/tile/')) continue;
    const isBundle = file.includes('/entries/');
    for (let at = 0; at < bytes.length; ) {
      const length = isBundle ? 2 + bytes.readUInt16BE(at) : HASH_BYTES;
      places.push([file, at + Math.floor(random() * length)]);
      at += length;
    }
  }
  return places;
}

function anywhere(count: number, random: () => number): [string, number][] {
  return Array.from({ length: count }, () => {
    const [file, bytes] = files()[Math.floor(random() * swept.files.size)]!;
    return [file, Math.floor(random() * bytes.length)];
  });
}

const PARTS = [
  ['every byte of every checkpoint, segment header and one record of each kind', singly],
  ['a byte of every hash of every tile and every entry of every bundle', slots],
  ['bytes at random', (random: () => number) => anywhere(RANDOM, random)],
] as const;

for (const [part, [what, placesOf]] of PARTS.entries()) {
  test(`part ${part}: a flip in ${what} is reported, first with its own record`, {
    skip: !wanted.includes(part),
  }, async () => {
    const random = randomOf(seed + part);
    const all = placesOf(random);
    const places = part === 2 || share === 1 ? all : all.filter(() => random() < share);
    const begun = performance.now();
    for (const [file, byte] of places) await flip(file, byte, Math.floor(random() * 8));
    const seconds = Math.round((performance.now() - begun) / 1000);
    if (share === 1)
      keepEvidence(`audit-sweep-${part}`, what, { seed, flips: places.length, reported: places.length, seconds });
  });
}

test('part 3: records changed with their checksum mended are reported, first with their own record', {
  skip: !wanted.includes(3),
}, async () => {
  const random = randomOf(seed + 3);
  let flips = 0;
  for (; flips < MENDED; flips++) {
    const [file, bytes] = segments()[Math.floor(random() * segments().length)]!;
    const frames = framesOf(bytes);
    const { start, end } = frames[Math.floor(random() * frames.length)]!;
    // Behind magic, checksum and length: a frame whose length is another is not mended by a checksum.
    const byte = start + 12 + Math.floor(random() * (end - start - 12));
    await flip(file, byte, Math.floor(random() * 8), (bent) =>
      bent.writeUInt32LE(crc32c(bent, start + 8, end), start + 4),
    );
  }
  if (share === 1) keepEvidence('audit-sweep-3', 'records changed, checksums mended', { seed, flips, reported: flips });
});
