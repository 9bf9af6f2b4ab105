import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { verifyConsistency, verifyInclusion } from '../../src/core/crypto/merkle.ts';
import { checkpointText, parseCheckpoint } from '../../src/core/crypto/signed-note.ts';
import { parseTlogProof, tlogProofText } from '../../src/core/crypto/tlog-proof.ts';

const folder = process.env['GATEWRIT_VECTORS'] ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url));
const file = `${folder}/merkle-proofs.json`;
const missing = !existsSync(file);
if (missing) console.error(`*** SKIPPED: ${file} is not there; set GATEWRIT_VECTORS to run the Merkle vectors ***`);

interface Inclusion {
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly root: string;
  readonly leafHash: string;
  readonly proof: string[] | null;
  readonly wantErr: boolean;
}
interface Consistency {
  readonly size1: number;
  readonly size2: number;
  readonly root1: string;
  readonly root2: string;
  readonly proof: string[] | null;
  readonly wantErr: boolean;
}

const vectors = () =>
  JSON.parse(readFileSync(file, 'utf8')) as {
    inclusion: Record<string, Inclusion>;
    consistency: Record<string, Consistency>;
  };
const bytes = (text: string | null) => Buffer.from(text ?? '', 'base64');

test('every third-party inclusion and consistency proof is judged as its author says', { skip: missing }, (t) => {
  const { inclusion, consistency } = vectors();
  let judged = 0;
  for (const [name, one] of Object.entries(inclusion)) {
    const good = verifyInclusion({
      index: one.leafIdx,
      size: one.treeSize,
      leaf: bytes(one.leafHash),
      proof: (one.proof ?? []).map(bytes),
      root: bytes(one.root),
    });
    assert.equal(good, !one.wantErr, `inclusion ${name}`);
    judged++;
  }
  for (const [name, one] of Object.entries(consistency)) {
    const good = verifyConsistency({
      from: one.size1,
      to: one.size2,
      fromRoot: bytes(one.root1),
      toRoot: bytes(one.root2),
      proof: (one.proof ?? []).map(bytes),
    });
    assert.equal(good, !one.wantErr, `consistency ${name}`);
    judged++;
  }
  assert.equal(judged, 196);
  t.diagnostic(`${judged} proofs judged`);
});

test('none of the bad inclusion proofs becomes a good one as a tlog-proof, and no good one a bad one', {
  skip: missing,
}, (t) => {
  let carried = 0;
  for (const [name, one] of Object.entries(vectors().inclusion)) {
    const text = tlogProofText({
      extra: null,
      index: one.leafIdx,
      path: (one.proof ?? []).map(bytes),
      checkpoint: `${checkpointText({ origin: 'o', size: one.treeSize, root: bytes(one.root) })}\n\u2014 o AAAAAAA=\n`,
    });
    const proof = parseTlogProof(text);
    const signed = proof && parseCheckpoint(proof.checkpoint.slice(0, proof.checkpoint.indexOf('\n\n') + 1));
    const good =
      proof !== null &&
      signed !== null &&
      verifyInclusion({ ...signed, index: proof.index, leaf: bytes(one.leafHash), proof: proof.path });
    assert.equal(good, !one.wantErr, name);
    if (signed) carried++;
  }
  assert.equal(carried, 80);
  t.diagnostic(`${carried} of 98 have the form of one`);
});
