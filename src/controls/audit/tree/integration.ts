import { sha256Into } from '../../../core/crypto/digest.ts';
import { journalLeafInto } from '../format/journal-leaf.ts';
import type { Book, Group } from '../journal/journal.ts';
import type { Published } from './checkpoints.ts';
import { type Shelf, type Signing, signShelf } from './signing.ts';
import type { TiledTree, TreeSnapshot } from './tree.ts';

/** Records integrated in one turn of the event loop. */
const SLICE = 64;

export interface TreeBook extends Book {
  readonly tree: TiledTree;
}

/** Of the record at hand. */
const leafHash = Buffer.alloc(32);
const journalLeafHash = Buffer.alloc(32);

/** Brings durable records into their trees behind the journal, and signs what has grown. */
export class Integration<B extends TreeBook> {
  readonly #options: Signing;
  readonly #journal: Shelf;
  readonly #shelves = new Map<TiledTree, Shelf>();
  #groups: Group<B>[] = [];
  /** How far the first group is done, and how many records wait in all. */
  #head = 0;
  #waiting = 0;
  #draining = false;
  #publishing: Promise<void> | null = null;

  constructor(options: Signing, journal: { tree: TiledTree; key: string; published: Published; signed: number }) {
    this.#options = options;
    this.#journal = journal;
  }

  get journalSize(): number {
    return this.#journal.tree.size;
  }

  get signedSize(): number {
    return this.#journal.signed;
  }

  /** @param signed size of the checkpoint on disk; -1: sign anew, grown or not */
  addTree(tree: TiledTree, key: string, published: Published, signed: number): void {
    this.#shelves.set(tree, { tree, key, published, signed });
  }

  /** Every tree is signed at the next occasion, grown or not: the key is another. */
  signAnew(): void {
    for (const shelf of [this.#journal, ...this.#shelves.values()]) shelf.signed = -1;
  }

  /** Durable records, in order. The group is released when its bytes are needed no more. */
  take(group: Group<B>): void {
    this.#groups.push(group);
    this.#waiting += group.records.length;
    if (this.#draining) return;
    this.#draining = true;
    setImmediate(this.#drain);
  }

  /** Signs every tree that has grown. One run at a time; a second caller waits for a run that begins after its call. */
  async publish(): Promise<void> {
    while (this.#publishing) await this.#publishing;
    this.#publishing = this.#publishAll().finally(() => {
      this.#publishing = null;
    });
    return this.#publishing;
  }

  readonly #drain = (): void => {
    this.#integrate(SLICE);
    if (this.#waiting > 0) setImmediate(this.#drain);
    else this.#draining = false;
  };

  #integrate(most: number): void {
    for (let left = most; left > 0 && this.#waiting > 0; left--) {
      const group = this.#groups[0]!;
      const { book, index, leafAt, leafLength } = group.records[this.#head]!;
      const leaf = group.bytes.subarray(leafAt, leafAt + leafLength);
      sha256Into(leaf, leafHash, 0);
      // Behind the zero byte that RFC 6962 hashes before a leaf stands the envelope.
      book.tree.append(leafHash, leaf.subarray(1));
      journalLeafInto(journalLeafHash, index, book.tag, leafHash);
      this.#journal.tree.append(journalLeafHash, leaf);
      this.#waiting--;
      if (++this.#head < group.records.length) continue;
      this.#groups.shift();
      this.#head = 0;
      group.release();
    }
  }

  async #publishAll(): Promise<void> {
    while (this.#waiting > SLICE) {
      this.#integrate(SLICE);
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#integrate(SLICE);
    // One moment for all: the journal's checkpoint never covers more than the trees behind it.
    const grown: [Shelf, TreeSnapshot][] = [];
    for (const shelf of this.#shelves.values()) {
      // One that waits for its first record is not signed, with a new key either: a start knows trees by their records.
      if (shelf.tree.size > 0 && shelf.tree.size !== shelf.signed) grown.push([shelf, shelf.tree.snapshot()]);
    }
    if (this.#journal.tree.size !== this.#journal.signed) grown.push([this.#journal, this.#journal.tree.snapshot()]);
    for (const [shelf, snapshot] of grown) await signShelf(shelf, snapshot, this.#options);
  }
}
