import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  consistencyProof,
  EMPTY_ROOT,
  Frontier,
  inclusionProof,
  leafHash,
  type NodeAt,
  nodeHash,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts';

const runs = { numRuns: 60 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1) };

/** RFC 6962 section 2.1, written down as it stands there. */
function plainRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return EMPTY_ROOT;
  if (leaves.length === 1) return leaves[0]!;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(plainRoot(leaves.slice(0, k)), plainRoot(leaves.slice(k)));
}

function grow(size: number) {
  const leaves = Array.from({ length: size }, (_, i) => leafHash(Buffer.from(`entry ${i}`)));
  const nodes = new Map<string, Uint8Array>();
  const frontier = new Frontier();
  for (const leaf of leaves)
    frontier.append(leaf, (level, index, node) => nodes.set(`${level}/${index}`, Buffer.from(node)));
  const nodeAt: NodeAt = (level, index) => {
    const node = nodes.get(`${level}/${index}`);
    if (!node) throw new Error(`no node ${level}/${index}`);
    return node;
  };
  return { leaves, frontier, nodeAt };
}

test('a tree grown leaf by leaf has the root RFC 6962 defines, whatever its size', () => {
  for (let size = 0; size <= 70; size++) {
    const { leaves, frontier, nodeAt } = grow(size);
    assert.deepEqual(frontier.root(), plainRoot(leaves));
    assert.deepEqual(Frontier.read(size, nodeAt).root(), frontier.root());
  }
});

test('every inclusion proof is accepted, and refused for another leaf, place, size, root or path', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 700 }), fc.nat(), fc.nat(), (size, pick, harm) => {
      const { leaves, frontier, nodeAt } = grow(size);
      const index = pick % size;
      const proof = inclusionProof(index, size, nodeAt);
      const claim = { index, size, leaf: leaves[index]!, proof, root: frontier.root() };
      assert.ok(verifyInclusion(claim));
      assert.ok(!verifyInclusion({ ...claim, leaf: leafHash(Buffer.from('another')) }));
      assert.ok(!verifyInclusion({ ...claim, root: leafHash(Buffer.from('another')) }));
      assert.ok(!verifyInclusion({ ...claim, proof: [...proof, leaves[0]!] }));
      if (size > 1) {
        assert.ok(!verifyInclusion({ ...claim, index: (index + 1 + (harm % (size - 1))) % size }));
        const bent = proof.map((node) => Buffer.from(node));
        const node = bent[harm % bent.length]!;
        node[harm % 32] = node[harm % 32]! ^ 1;
        assert.ok(!verifyInclusion({ ...claim, proof: bent }));
      }
    }),
    runs,
  );
});

test('every consistency proof is accepted, and refused when either tree or the path is another', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 700 }), fc.nat(), fc.nat(), (to, pick, harm) => {
      const { leaves, frontier, nodeAt } = grow(to);
      const from = 1 + (pick % to);
      const fromRoot = plainRoot(leaves.slice(0, from));
      const proof = consistencyProof(from, to, nodeAt);
      const claim = { from, to, fromRoot, toRoot: frontier.root(), proof };
      assert.ok(verifyConsistency(claim));
      assert.ok(!verifyConsistency({ ...claim, fromRoot: leafHash(Buffer.from('another')) }));
      assert.ok(!verifyConsistency({ ...claim, toRoot: leafHash(Buffer.from('another')) }));
      if (proof.length > 0) {
        const bent = proof.map((node) => Buffer.from(node));
        const node = bent[harm % bent.length]!;
        node[harm % 32] = node[harm % 32]! ^ 1;
        assert.ok(!verifyConsistency({ ...claim, proof: bent }));
        assert.ok(!verifyConsistency({ ...claim, proof: proof.slice(1) }));
      }
    }),
    runs,
  );
});
