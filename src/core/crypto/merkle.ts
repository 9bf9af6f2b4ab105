import { sha256, sha256Into } from './digest.ts';

/**
 * The Merkle tree of RFC 6962 section 2 (RFC 9162 spells out the verification): appended to in memory that grows with
 * the logarithm of its size, proved from any source of complete subtree hashes. Sizes are safe integers; arithmetic
 * avoids 32-bit operators. Proofs and roots handed to the verifiers are attacker-controlled.
 */
export const HASH_BYTES = 32;
export const EMPTY_ROOT: Uint8Array = sha256('');
/** Sizes are safe integers. */
const LEVELS = 54;

const pair = Buffer.alloc(1 + 2 * HASH_BYTES);
pair[0] = 1;

/** Hash of an entry: SHA-256(0x00 ‖ entry). */
export function leafHash(entry: Uint8Array): Buffer {
  const prefixed = Buffer.allocUnsafe(entry.length + 1);
  prefixed[0] = 0;
  prefixed.set(entry, 1);
  return sha256(prefixed);
}

/** Hash of two subtrees: SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  pair.set(left, 1);
  pair.set(right, 1 + HASH_BYTES);
  return sha256(pair);
}

/** Hash of the complete subtree that covers leaves [index·2^level, (index+1)·2^level). Throws when it is not there. */
export type NodeAt = (level: number, index: number) => Uint8Array;

/** A growing tree, kept as the roots of its complete subtrees: one for each bit of its size that is set. */
export class Frontier {
  #size: number;
  /** The root of the complete subtree of height `level`, where there is one, stands at 32 · level. */
  readonly #roots = Buffer.alloc(LEVELS * HASH_BYTES);
  /** The same as views, and one for the hash on its way up. */
  readonly #rootAt = Array.from({ length: LEVELS }, (_, level) => slot(this.#roots, level));
  readonly #node = Buffer.alloc(HASH_BYTES);

  /** @param nodes roots of the complete subtrees of a tree of `size`, largest first */
  constructor(size = 0, nodes: readonly Uint8Array[] = []) {
    this.#size = size;
    let next = nodes.length;
    for (let level = 0, rest = size; rest > 0; level++, rest = Math.floor(rest / 2))
      if (rest % 2 === 1) this.#rootAt[level]!.set(nodes[--next]!);
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Adds a leaf; `onNode` hears of every subtree completed by it, the leaf itself (level 0) first. What it hears is good
   * until it returns. Nothing is allocated here: a log appends to two trees for each record.
   */
  append(leaf: Uint8Array, onNode?: (level: number, index: number, node: Uint8Array) => void): void {
    let node = leaf;
    let index = this.#size;
    let level = 0;
    onNode?.(0, index, node);
    while (index % 2 === 1) {
      pair.set(this.#rootAt[level]!, 1);
      pair.set(node, 1 + HASH_BYTES);
      sha256Into(pair, this.#node, 0);
      node = this.#node;
      index = (index - 1) / 2;
      level++;
      onNode?.(level, index, node);
    }
    this.#rootAt[level]!.set(node);
    this.#size++;
  }

  root(): Uint8Array {
    let root: Uint8Array | null = null;
    for (let level = 0, rest = this.#size; rest > 0; level++, rest = Math.floor(rest / 2)) {
      if (rest % 2 === 0) continue;
      const node = this.#rootAt[level]!;
      root = root === null ? Buffer.from(node) : nodeHash(node, root);
    }
    return root ?? EMPTY_ROOT;
  }

  /** The tree at `size`, read from a source of subtree hashes. */
  static read(size: number, nodeAt: NodeAt): Frontier {
    const nodes: Uint8Array[] = [];
    let start = 0;
    while (start < size) {
      const width = largestPower(size - start);
      nodes.push(nodeAt(Math.log2(width), start / width));
      start += width;
    }
    return new Frontier(size, nodes);
  }
}

/** The audit path of leaf `index` in the tree of `size` (RFC 9162 2.1.3.1). */
export function inclusionProof(index: number, size: number, nodeAt: NodeAt): Uint8Array[] {
  if (index < 0 || index >= size) throw new RangeError(`leaf ${index} is not in a tree of ${size}`);
  const proof: Uint8Array[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + split(end - start);
    if (index < middle) {
      proof.push(rangeRoot(middle, end, nodeAt));
      end = middle;
    } else {
      proof.push(rangeRoot(start, middle, nodeAt));
      start = middle;
    }
  }
  return proof.reverse();
}

/** Proof that the tree of `to` leaves begins with the tree of `from` leaves (RFC 9162 2.1.4.1). */
export function consistencyProof(from: number, to: number, nodeAt: NodeAt): Uint8Array[] {
  if (from < 0 || from > to) throw new RangeError(`a tree of ${to} cannot begin with one of ${from}`);
  if (from === 0 || from === to) return [];
  const proof: Uint8Array[] = [];
  let start = 0;
  let end = to;
  while (from !== end) {
    const middle = start + split(end - start);
    if (from <= middle) {
      proof.push(rangeRoot(middle, end, nodeAt));
      end = middle;
    } else {
      proof.push(rangeRoot(start, middle, nodeAt));
      start = middle;
    }
  }
  if (start !== 0) proof.push(rangeRoot(start, end, nodeAt));
  return proof.reverse();
}

/** Is `leaf` (a leaf hash) at `index` of the tree with this size and root? */
export function verifyInclusion(claim: {
  readonly index: number;
  readonly size: number;
  readonly leaf: Uint8Array;
  readonly proof: readonly Uint8Array[];
  readonly root: Uint8Array;
}): boolean {
  const { index, size, leaf, proof, root } = claim;
  if (!isSize(index) || !isSize(size) || index >= size || leaf.length !== HASH_BYTES) return false;
  let position = index;
  let last = size - 1;
  let node = leaf;
  for (const sibling of proof) {
    if (last === 0 || sibling.length !== HASH_BYTES) return false;
    if (position % 2 === 1 || position === last) {
      node = nodeHash(sibling, node);
      while (position % 2 === 0 && position !== 0) {
        position = position / 2;
        last = Math.floor(last / 2);
      }
    } else {
      node = nodeHash(node, sibling);
    }
    position = Math.floor(position / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && same(node, root);
}

/** Does the tree (`to`, `toRoot`) begin with the tree (`from`, `fromRoot`)? Nothing is proved from an empty tree. */
export function verifyConsistency(claim: {
  readonly from: number;
  readonly to: number;
  readonly fromRoot: Uint8Array;
  readonly toRoot: Uint8Array;
  readonly proof: readonly Uint8Array[];
}): boolean {
  const { from, to, fromRoot, toRoot, proof } = claim;
  if (!isSize(from) || !isSize(to) || from === 0 || from > to) return false;
  if (proof.some((node) => node.length !== HASH_BYTES)) return false;
  if (from === to) return proof.length === 0 && same(fromRoot, toRoot);
  const path = isPower(from) ? [fromRoot, ...proof] : [...proof];
  const seed = path.shift();
  if (!seed) return false;
  let position = from - 1;
  let last = to - 1;
  while (position % 2 === 1) {
    position = Math.floor(position / 2);
    last = Math.floor(last / 2);
  }
  let old = seed;
  let grown = seed;
  for (const node of path) {
    if (last === 0) return false;
    if (position % 2 === 1 || position === last) {
      old = nodeHash(node, old);
      grown = nodeHash(node, grown);
      while (position % 2 === 0 && position !== 0) {
        position = position / 2;
        last = Math.floor(last / 2);
      }
    } else {
      grown = nodeHash(grown, node);
    }
    position = Math.floor(position / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && same(old, fromRoot) && same(grown, toRoot);
}

function slot(roots: Buffer, level: number): Buffer {
  return roots.subarray(level * HASH_BYTES, (level + 1) * HASH_BYTES);
}

function rangeRoot(start: number, end: number, nodeAt: NodeAt): Uint8Array {
  const width = end - start;
  if (isPower(width)) return nodeAt(Math.log2(width), start / width);
  const middle = start + split(width);
  return nodeHash(rangeRoot(start, middle, nodeAt), rangeRoot(middle, end, nodeAt));
}

/** Largest power of two that is at most n. */
function largestPower(n: number): number {
  let power = 1;
  while (power * 2 <= n) power *= 2;
  return power;
}

/** Largest power of two below n (RFC 6962: where a tree of n leaves is split). */
function split(n: number): number {
  const power = largestPower(n);
  return power === n ? n / 2 : power;
}

function isPower(n: number): boolean {
  return largestPower(n) === n;
}

function isSize(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
