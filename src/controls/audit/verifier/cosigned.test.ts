import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { cosign, parseWitnessLine, witnessLine } from '../../../core/crypto/cosignature.ts';
import { openSigningKeys } from '../../../core/crypto/keys.ts';
import { Frontier, leafHash } from '../../../core/crypto/merkle.ts';
import { checkpointText, type NoteSigner, openNote, signNote } from '../../../core/crypto/signed-note.ts';
import { encodeBundle, nodesFromTiles, tilePath, tileWidthAt } from '../../../core/crypto/tiles.ts';
import { openCheckpoint } from './checkpoint-files.ts';
import { type LogFiles, memorySource, type Swept, sweptLog } from './sweep-kit.test.ts';
import { type VerifyOptions, verifyLog } from './verify-log.ts';

const TIME = 1_790_000_000;
const witnessKey: NoteSigner = { name: 'witness.example', ...generateKeyPairSync('ed25519') };
const witness = parseWitnessLine(witnessLine(witnessKey.name, witnessKey.publicKey))!;
const stranger: NoteSigner = { name: 'other.example', ...generateKeyPairSync('ed25519') };

let swept: Swept;
let ours: NoteSigner;
let trees: string[];
before(async () => {
  swept = await sweptLog(700, 1024 * 1024);
  ours = { name: 'test', ...openSigningKeys({ folder: `${swept.log.home}/keys`, generate: false }, 'checkpoint')[0] };
  trees = [...swept.files.keys()].filter((file) => file.endsWith('/checkpoint')).map((file) => file.slice(0, -11));
});
after(() => swept.log.remove());

const check = (files: LogFiles, options?: VerifyOptions) =>
  verifyLog(memorySource(files), swept.verifiers, options).then((reports) => reports[0]!);
const checkpointOf = (tree: string) =>
  openCheckpoint(swept.files.get(`${tree}/checkpoint`)!.toString(), swept.verifiers)!;

/** What a tree of the log was at an earlier size, out of its tiles. */
function rootAt(tree: string, size: number): Uint8Array {
  const { size: today } = checkpointOf(tree);
  const nodes = nodesFromTiles((level, index) => {
    const name = { level, index, width: tileWidthAt(today, level, index) };
    return swept.files.get(`${tree}/${tilePath(name)}`)!;
  });
  return Frontier.read(size, nodes).root();
}

function cosigned(tree: string, size: number, by: NoteSigner, root = rootAt(tree, size)): Buffer {
  const note = signNote(checkpointText({ origin: checkpointOf(tree).origin, size, root }), ours);
  return Buffer.from(note + cosign(openNote(note, swept.verifiers)!.text, by, TIME));
}

const with_ = (changes: Readonly<Record<string, Buffer>>) => new Map([...swept.files, ...Object.entries(changes)]);
const all = (by: NoteSigner) =>
  with_(Object.fromEntries(trees.map((tree) => [`${tree}/cosigned`, cosigned(tree, checkpointOf(tree).size - 2, by)])));

test('cosigned checkpoints hold: who cosigned how much of each tree, and when, is told', async () => {
  const report = await check(all(witnessKey), { witnesses: [witness], quorum: 1 });
  assert.deepEqual(report.findings, []);
  for (const { signed, cosigned } of report.trees)
    assert.deepEqual(cosigned, { size: signed - 2, by: [{ name: 'witness.example', time: TIME }] });
  const unnamed = await check(all(witnessKey));
  assert.deepEqual(unnamed.findings, []);
  assert.match(unnamed.skipped.join('\n'), /cosigned: 1 cosignatures of witnesses whose keys were not given/);
});

test('a cosignature by another, with another root, of more than is signed, or for another tree is a finding', async () => {
  const options = { witnesses: [witness] };
  assert.equal((await check(all(stranger), options)).findings.length, trees.length);
  const [tree = '', other = ''] = trees;
  const { size } = checkpointOf(tree);
  const cases = {
    'another root': cosigned(tree, size - 1, witnessKey, Buffer.alloc(32, 1)),
    'more than is signed': cosigned(tree, size + 1, witnessKey, Buffer.alloc(32, 1)),
    'for another tree': cosigned(other, checkpointOf(other).size, witnessKey),
    'no note': Buffer.from('witnessed'),
  };
  for (const [what, bytes] of Object.entries(cases)) {
    const { findings } = await check(with_({ [`${tree}/cosigned`]: bytes }), options);
    assert.ok(
      findings.some(({ file }) => file === `${tree}/cosigned`),
      what,
    );
  }
});

test('a flipped byte in a cosigned checkpoint is reported to who has the witness’s key', async () => {
  const [tree = ''] = trees;
  const good = cosigned(tree, checkpointOf(tree).size, witnessKey);
  for (let at = 0; at < good.length; at += 3) {
    const bent = Buffer.from(good);
    bent[at]! ^= 1 << (at % 8);
    const { findings } = await check(with_({ [`${tree}/cosigned`]: bent }), { witnesses: [witness] });
    assert.ok(findings.length > 0, `byte ${at}`);
  }
});

test('a tree nobody cosigned is said, and a finding only when a witness is required', async () => {
  assert.deepEqual((await check(swept.files, { witnesses: [witness] })).findings, []);
  const { findings } = await check(swept.files, { witnesses: [witness], quorum: 1 });
  assert.equal(findings.length, trees.length);
});

test('a quorum counts witnesses: two keys of one are one, and what is missing is a finding', async () => {
  const sameName: NoteSigner = { name: witnessKey.name, ...generateKeyPairSync('ed25519') };
  const second: NoteSigner = { name: 'second.example', ...generateKeyPairSync('ed25519') };
  const by = (...signers: NoteSigner[]) =>
    with_(
      Object.fromEntries(
        trees.map((tree) => {
          const size = checkpointOf(tree).size;
          const note = cosigned(tree, size, witnessKey).toString();
          const { text } = openNote(note, swept.verifiers)!;
          return [`${tree}/cosigned`, Buffer.from(note + signers.map((signer) => cosign(text, signer, TIME)).join(''))];
        }),
      ),
    );
  const witnesses = [witnessKey, sameName, second].map(
    ({ name, publicKey }) => parseWitnessLine(witnessLine(name, publicKey))!,
  );
  assert.deepEqual((await check(by(second), { witnesses, quorum: 2 })).findings, []);
  for (const files of [by(), by(sameName)]) {
    const { findings } = await check(files, { witnesses, quorum: 2 });
    assert.equal(findings.length, trees.length);
    assert.match(findings[0]!.what, /^1 of the given witnesses has cosigned this tree, and 2 must$/);
  }
});

/** A whole log with a roll-up of one tenant: entries are what a replica signed at these sizes. */
function rolledUp(entries: readonly { size: number; root?: Uint8Array; replica?: string }[], by = ours): LogFiles {
  const tag = trees.find((tree) => tree.startsWith('trees/'))!.slice('trees/'.length);
  const frontier = new Frontier();
  const notes = entries.map(({ size, root = rootAt(`trees/${tag}`, size), replica = 'node-1' }) =>
    Buffer.from(signNote(checkpointText({ origin: `test/${tag}/${replica}`, size, root }), by)),
  );
  for (const note of notes) frontier.append(leafHash(note));
  const files: LogFiles = new Map([...swept.files].map(([file, bytes]) => [`node-1/${file}`, bytes]));
  const folder = `rollup/${tag}`;
  const width = notes.length;
  files.set(`${folder}/${tilePath({ level: 0, index: 0, width })}`, Buffer.concat(notes.map(leafHash)));
  files.set(`${folder}/${tilePath({ level: 'entries', index: 0, width })}`, encodeBundle(notes));
  const checkpoint = checkpointText({ origin: `test/${tag}`, size: width, root: frontier.root() });
  return files.set(`${folder}/checkpoint`, Buffer.from(signNote(checkpoint, ours)));
}

const rollup = async (files: LogFiles) => {
  const reports = await verifyLog(memorySource(files), swept.verifiers);
  assert.deepEqual(reports[0]!.findings, []);
  assert.equal(reports.length, 2);
  return reports[1]!;
};

test('a roll-up holds when each entry is what its replica was at that size', async () => {
  const report = await rollup(rolledUp([{ size: 1 }, { size: 100 }, { size: 100 }, { size: 200 }]));
  assert.deepEqual(report.findings, []);
  assert.deepEqual([report.records, report.replica.startsWith('rollup/')], [4, true]);
  const foreign = await rollup(rolledUp([{ size: 5 }], { ...stranger, name: 'former' }));
  assert.deepEqual(foreign.findings, []);
  assert.match(foreign.skipped.join(), /1 entries are signed by keys that were not given/);
});

test('a roll-up reports a replica that shrank, was rewritten, cut back or is gone, with the entry', async () => {
  const cases = {
    'fewer records than in the entry before': rolledUp([{ size: 9 }, { size: 8 }]),
    'another root': rolledUp([{ size: 9 }, { size: 10, root: Buffer.alloc(32) }]),
    'was cut back': rolledUp([{ size: 9 }, { size: 9_999, root: Buffer.alloc(32) }]),
    'is not here': rolledUp([{ size: 9 }, { size: 9, replica: 'node-2' }]),
    'not a checkpoint of a replica of this tenant': rolledUp([{ size: 9 }, { size: 9, replica: '../node-1' }]),
  };
  for (const [what, files] of Object.entries(cases)) {
    const { findings } = await rollup(files);
    assert.ok(
      findings.some((finding) => finding.index === 1 && finding.what.includes(what)),
      `${what}: ${JSON.stringify(findings)}`,
    );
  }
});

test('a changed byte in any file of a roll-up is reported', async () => {
  const files = rolledUp([{ size: 1 }, { size: 100 }]);
  for (const [file, bytes] of files) {
    if (!file.startsWith('rollup/')) continue;
    for (let at = 0; at < bytes.length; at += 7) {
      const bent = Buffer.from(bytes);
      bent[at]! ^= 2;
      assert.ok((await rollup(new Map(files).set(file, bent))).findings.length > 0, `byte ${at} of ${file}`);
    }
  }
});
