import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cosign, parseWitnessLine, witnessLine } from '../../../core/crypto/cosignature.ts';
import { type NoteSigner, parseVerifierLine, signNote, verifierLine } from '../../../core/crypto/signed-note.ts';
import { parseTlogProof, tlogProofText } from '../../../core/crypto/tlog-proof.ts';
import type { Audit } from '../audit.ts';
import { CANARIES, type Fixture, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { LogReader, type OpenRecord } from '../reader/read.ts';
import { readVerifiers } from '../verifier/index.ts';
import { encodeEvidence, parseEvidence } from './evidence.ts';
import { recordsMeant } from './find.ts';
import { DISCLOSURES, proofOf } from './prove.ts';
import { verifyProofs } from './verify-proof.ts';

const CALLS = 300;

describe('a proof', () => {
  let at: Fixture;
  let audit: Audit;
  let reader: LogReader;
  let verifiers: ReturnType<typeof readVerifiers>;
  const receipts: string[] = [];
  const calls: string[] = [];
  const text = async (record: OpenRecord, disclose: keyof typeof DISCLOSURES = 'nothing') => {
    const proof = await proofOf(join(at.home, 'audit', record.replica), record, DISCLOSURES[disclose]);
    assert.ok(typeof proof === 'string', JSON.stringify(proof));
    return proof;
  };
  const one = async (what: string) => (await recordsMeant(reader, what))[0]!;

  before(async () => {
    at = fixture();
    audit = await at.open();
    for (let i = 0; i < CALLS; i++) {
      const call = readyCall({ ...at.clock }, { tenant: i % 3 === 0 ? 'other' : CANARIES.tenant });
      await runCall(audit, call, { ...at.clock });
      calls.push(call.id);
      receipts.push(call.receipt!.text!);
      if (i === CALLS / 2) await audit.checkpoint();
    }
    await audit.checkpoint();
    const keys = { folder: join(at.home, 'keys'), generate: false };
    reader = await LogReader.open({ home: at.home, keys, store: at.store, deployment: 'test' });
    verifiers = readVerifiers(join(at.home, 'keys/audit.pub'));
  });
  after(async () => {
    await audit.close();
    at.remove();
  });

  test('of any record, wherever it stands in its tree, is proven by the public key alone', async () => {
    for (let index = 0; index < 2 * CALLS; index += 7) {
      const record = await one(String(index));
      const [report] = verifyProofs(await text(record), { verifiers });
      assert.deepEqual(report!.findings, []);
      assert.ok(report!.ok);
      assert.deepEqual([report!.origin, report!.leaf, report!.envelope], [record.origin, record.leaf, record.envelope]);
      assert.equal(report!.disclosed.size, 0);
    }
  });

  test('that discloses nothing gives no word of the call away; one that does hands out what was asked for', async () => {
    const record = await one(receipts[1]!);
    const quiet = await text(record);
    for (const canary of Object.values(CANARIES)) {
      assert.ok(!parseTlogProof(quiet)!.extra!.includes(canary), canary);
      assert.ok(!quiet.includes(canary), canary);
    }
    const [meta] = verifyProofs(await text(record, 'meta'), { verifiers });
    assert.deepEqual([...meta!.disclosed.keys()], ['meta']);
    assert.match(String(meta!.disclosed.get('meta')), new RegExp(CANARIES.subject));
    const [all] = verifyProofs(await text(record, 'all'), { verifiers });
    assert.match(String(all!.disclosed.get('payload')), new RegExp(CANARIES.reply));
  });

  test('is asked for by receipt: each opens to the outcome of its own call', async () => {
    for (let i = 0; i < CALLS; i += 23) {
      const [record, ...more] = await recordsMeant(reader, receipts[i]!);
      assert.equal(more.length, 0);
      assert.deepEqual([record!.envelope.kind, record!.meta!['call']], ['outcome', calls[i]]);
    }
    const forged = `gwr1.${Buffer.alloc(16, 7).toString('base64url')}`;
    assert.deepEqual(await recordsMeant(reader, forged), []);
    const foreign = fixture();
    const other = await foreign.open();
    const call = readyCall({ ...foreign.clock });
    await runCall(other, call, { ...foreign.clock });
    await other.close();
    foreign.remove();
    assert.deepEqual(await recordsMeant(reader, call.receipt!.text!), [], 'a receipt of another home');
  });

  test('with a changed character anywhere proves nothing, and never throws', async () => {
    const whole = await text(await one(receipts[2]!), 'all');
    const step = Math.max(1, Math.floor(whole.length / 1_200));
    for (let i = 0; i < whole.length; i += step) {
      const spoiled = whole.slice(0, i) + (whole[i] === 'A' ? 'B' : 'A') + whole.slice(i + 1);
      assert.ok(
        verifyProofs(spoiled, { verifiers }).every(({ ok }) => !ok),
        `character ${i}: ${JSON.stringify(whole.slice(i - 10, i + 10))}`,
      );
      assert.ok(
        verifyProofs(whole.slice(0, i), { verifiers }).every(({ ok }) => !ok),
        `cut at ${i}`,
      );
    }
  });

  test('of one record does for no other: index, path, record and opening belong together', async () => {
    const [a, b] = [await one('10'), await one('14')];
    assert.equal(a.origin, b.origin);
    const [mine, other] = [parseTlogProof(await text(a, 'all'))!, parseTlogProof(await text(b, 'all'))!];
    const evidence = [parseEvidence(mine.extra!)!, parseEvidence(other.extra!)!] as const;
    const mixes = [
      { ...mine, index: other.index },
      { ...mine, path: other.path },
      { ...mine, extra: other.extra },
      { ...mine, extra: null },
      { ...mine, index: other.index, path: other.path },
      { ...mine, extra: encodeEvidence({ entry: evidence[0].entry, openings: evidence[1].openings }) },
      { ...mine, path: mine.path.slice(1) },
      { ...mine, path: [...mine.path, mine.path[0]!] },
    ];
    for (const [i, mix] of mixes.entries())
      assert.ok(!verifyProofs(tlogProofText(mix), { verifiers })[0]!.ok, `mix ${i}`);
  });

  test('under another key, another name, or a tree that is none of records is refused', async () => {
    const good = parseTlogProof(await text(await one('5')))!;
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const signed = good.checkpoint.slice(0, good.checkpoint.indexOf('\n\n') + 1);
    const forged = (note: string) => tlogProofText({ ...good, checkpoint: note });
    const resigned = signNote(signed, { name: 'test', privateKey, publicKey });
    assert.ok(!verifyProofs(forged(resigned), { verifiers })[0]!.ok, 'another key');
    const stranger = [parseVerifierLine(verifierLine('stranger', publicKey))!];
    const named = signNote(signed, { name: 'stranger', privateKey, publicKey });
    assert.ok(!verifyProofs(forged(named), { verifiers: stranger })[0]!.ok, 'a good key of somebody else');
    const own = [parseVerifierLine(verifierLine('test', publicKey))!];
    assert.ok(verifyProofs(forged(resigned), { verifiers: own })[0]!.ok);
    for (const origin of ['test/journal/node-1', 'test', `test/${'0'.repeat(32)}`, `test/${'0'.repeat(32)}/a/b`]) {
      const moved = signNote(signed.replace(/^.*\n/, `${origin}\n`), { name: 'test', privateKey, publicKey });
      assert.ok(!verifyProofs(forged(moved), { verifiers: own })[0]!.ok, origin);
    }
  });

  test('needs no receipt: where they are off, none is given', async () => {
    const quiet = fixture();
    const log = await quiet.open({}, { receipts: false });
    const call = readyCall({ ...quiet.clock });
    await runCall(log, call, { ...quiet.clock });
    assert.deepEqual([call.receipt!.index, call.receipt!.text], [1, undefined]);
    await log.close();
    quiet.remove();
  });

  test('of what is not signed yet is none: it says how far the tree is', async () => {
    const call = readyCall({ ...at.clock });
    await runCall(audit, call, { ...at.clock });
    const record = await one(call.receipt!.text!);
    const none = await proofOf(join(at.home, 'audit/node-1'), record, []);
    assert.ok(typeof none !== 'string' && none.signed <= record.leaf);
    await audit.checkpoint();
    assert.ok(verifyProofs(await text(record), { verifiers })[0]!.ok);
  });

  test('of a call is one of each of its records, the approval it used included', async () => {
    await audit.record({
      kind: 'approval',
      tenant: CANARIES.tenant,
      meta: { event: 'approved', id: 'approval-1' },
      approval: 'approval-1',
    });
    const call = readyCall({ ...at.clock });
    call.approval = {
      use: 'consume',
      id: 'approval-1',
      approvers: ['bob'],
      stored: null,
      approved: call.arguments.bytes(),
    };
    await runCall(audit, call, { ...at.clock });
    await audit.checkpoint();
    const records = await recordsMeant(reader, call.id);
    assert.deepEqual(
      records.map(({ envelope }) => envelope.kind),
      ['approval', 'intent', 'outcome'],
    );
    const file = (await Promise.all(records.map((record) => text(record, 'meta')))).join('');
    const reports = verifyProofs(file, { verifiers });
    assert.deepEqual(
      reports.map(({ ok }) => ok),
      [true, true, true],
    );
    assert.deepEqual(reports[2]!.envelope!.refs, [reports[1]!.leaf]);
    assert.deepEqual(reports[1]!.envelope!.refs, [reports[0]!.leaf]);
  });

  test('under a cosigned checkpoint says who has seen the tree, and when; a witness nobody named counts for nothing', async () => {
    const record = await one('5');
    const folder = join(at.home, 'audit/node-1/trees', record.origin.split('/')[1]!);
    const note = readFileSync(join(folder, 'checkpoint'), 'utf8');
    const signed = note.slice(0, note.indexOf('\n\n') + 1);
    const [witness, other] = ['w.example', 'v.example'].map((name) => ({
      name,
      ...generateKeyPairSync('ed25519'),
    })) as [NoteSigner, NoteSigner];
    writeFileSync(join(folder, 'cosigned'), note + cosign(signed, witness, 1_790_000_007) + cosign(signed, other, 9));
    const proof = await text(record);
    rmSync(join(folder, 'cosigned'));
    const known = parseWitnessLine(witnessLine(witness.name, witness.publicKey))!;
    const [report] = verifyProofs(proof, { verifiers, witnesses: [known] });
    assert.deepEqual(
      [report!.ok, report!.cosignedBy, report!.unknown],
      [true, [{ name: 'w.example', time: 1_790_000_007 }], 1],
    );
    assert.deepEqual(verifyProofs(proof, { verifiers })[0]!.cosignedBy, []);
    const forger = parseWitnessLine(witnessLine('w.example', other.publicKey))!;
    assert.deepEqual(verifyProofs(proof, { verifiers, witnesses: [forger] })[0]!.cosignedBy, []);
    const late = proof.replace(cosign(signed, witness, 1_790_000_007), cosign(`x${signed}`, witness, 1_790_000_007));
    assert.ok(!verifyProofs(late, { verifiers, witnesses: [known] })[0]!.ok, 'a cosignature of another tree');
  });

  test('still holds after the person was erased, and what was disclosed before stays proven', async () => {
    const record = await one(receipts[1]!);
    const before = await text(record, 'all');
    await audit.erase({ tenant: CANARIES.tenant, subject: `key of ${CANARIES.subject}`, basis: 'request', by: 'dpo' });
    await audit.checkpoint();
    const [again] = await recordsMeant(reader, receipts[1]!);
    assert.ok(!again!.openings.has('payload'));
    const [report] = verifyProofs(await text(again!, 'all'), { verifiers });
    assert.deepEqual([report!.ok, [...report!.disclosed.keys()]], [true, ['meta']]);
    assert.ok(verifyProofs(before, { verifiers })[0]!.ok);
  });
});

test('what verifies a proof stands on core/crypto and the format alone, and on no package', () => {
  const read = new Set<string>();
  const visit = (file: string): void => {
    if (read.has(file)) return;
    read.add(file);
    for (const [, from] of readFileSync(file, 'utf8').matchAll(/from '([^']+)'/g)) {
      if (from!.startsWith('.')) visit(join(dirname(file), from!));
      else assert.match(from!, /^node:/, file);
    }
  };
  visit(join(import.meta.dirname, 'verify-proof.ts'));
  const own = [...read].map((file) => relative(join(import.meta.dirname, '../../..'), file)).sort();
  const elsewhere = own.filter((file) => !/^(core\/crypto|controls\/audit\/format)\//.test(file));
  assert.deepEqual(elsewhere, ['controls/audit/proof/evidence.ts', 'controls/audit/proof/verify-proof.ts']);
});
