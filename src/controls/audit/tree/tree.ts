import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { consistencyProof, Frontier, HASH_BYTES, type NodeAt, verifyConsistency } from '../../../core/crypto/merkle.ts';
import type { Checkpoint } from '../../../core/crypto/signed-note.ts';
import {
  decodeBundle,
  MAX_ENTRY_BYTES,
  nodesFromTiles,
  TILE_HEIGHT,
  TILE_WIDTH,
  type TileName,
  tilePath,
  tileWidthAt,
} from '../../../core/crypto/tiles.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Placing } from '../journal/files.ts';
import { tileMemory } from './tile-memory.ts';

/** What a tree wants on disk to be whole at `size`: files in order, then folders of partial tiles nobody needs any more. */
export interface TreeSnapshot {
  readonly size: number;
  readonly root: Uint8Array;
  readonly files: readonly Placing[];
  /** How many of the files are whole tiles. */
  readonly whole: number;
  readonly obsolete: readonly string[];
}

const TILE_BYTES = TILE_WIDTH * HASH_BYTES;

interface OpenTile {
  index: number;
  count: number;
  hashes: Buffer;
}

/**
 * One growing tlog-tiles tree. Only the right edge is in memory; whole tiles are handed out until they are placed,
 * partial ones at each snapshot. A tree without bundles (`entries: false`) keeps hashes alone.
 */
export class TiledTree {
  readonly folder: string;
  readonly origin: string;
  readonly #entries: boolean;
  readonly #frontier: Frontier;
  readonly #open: OpenTile[] = [];
  /** The open bundle as it will be written. Entries of their own would hold on to the memory they were cut from. */
  #bundle = tileMemory.take(0);
  #bundleBytes = 0;
  #bundled = 0;
  #whole: Placing[] = [];
  #obsolete: string[] = [];
  /** Folders of partial tiles written since the start, before their whole ones; null: not known yet. */
  #partials: Set<string> | null = null;

  private constructor(place: { folder: string; origin: string; entries: boolean }, frontier: Frontier) {
    this.folder = place.folder;
    this.origin = place.origin;
    this.#entries = place.entries;
    this.#frontier = frontier;
  }

  get size(): number {
    return this.#frontier.size;
  }

  /**
   * The tree as of a checkpoint, read from its tiles.
   * @throws InternalError `audit.corrupt` when the tiles are not those that were signed
   */
  static load(place: { folder: string; origin: string; entries: boolean }, checkpoint: Checkpoint | null): TiledTree {
    if (!checkpoint) return new TiledTree(place, new Frontier());
    const { size } = checkpoint;
    try {
      const frontier = Frontier.read(size, nodesOnDisk(place.folder, size));
      if (Buffer.compare(frontier.root(), checkpoint.root) !== 0) throw new Error('the root is another');
      const tree = new TiledTree(place, frontier);
      for (let level = 0; TILE_WIDTH ** level <= size; level++) {
        const index = Math.floor(size / TILE_WIDTH ** level / TILE_WIDTH);
        const tile = tree.#tileAt(level);
        tile.index = index;
        tile.count = tileWidthAt(size, level, index);
        if (tile.count > 0) readTile(place.folder, { level, index, width: tile.count }).copy(tile.hashes);
      }
      const last = size % TILE_WIDTH;
      if (place.entries && last > 0) {
        const bundle = readPrefix(place.folder, {
          level: 'entries',
          index: Math.floor(size / TILE_WIDTH),
          width: last,
        });
        const entries = (decodeBundle(bundle) ?? []).slice(0, last);
        if (entries.length !== last) throw new Error('the last bundle is cut');
        for (const entry of entries) tree.#bundleEntry(entry);
      }
      return tree;
    } catch (cause) {
      throw new InternalError(
        'audit.corrupt',
        `the tree in ${place.folder} is not the one its checkpoint signs; run audit verify and restore the folder`,
        { kind: 'outage', cause },
      );
    }
  }

  append(leaf: Uint8Array, entry: Uint8Array): void {
    this.#frontier.append(leaf, this.#keep);
    if (!this.#entries) return;
    this.#bundleEntry(entry);
    if (this.#bundled < TILE_WIDTH) return;
    const whole = this.#bundle.subarray(0, this.#bundleBytes);
    this.#takeWhole({ level: 'entries', index: this.size / TILE_WIDTH - 1, width: TILE_WIDTH }, whole);
    // The next one will be about as long.
    this.#bundle = tileMemory.take(this.#bundleBytes);
    this.#bundleBytes = 0;
    this.#bundled = 0;
  }

  /** The tree as it is now. Whole tiles stay with the tree until it hears `placed`. */
  snapshot(): TreeSnapshot {
    const files = [...this.#whole];
    const whole = files.length;
    const obsolete = [...this.#obsolete];
    this.#partials ??= new Set();
    for (const [level, { index, count, hashes }] of this.#open.entries()) {
      if (count === 0) continue;
      const path = join(this.folder, tilePath({ level, index, width: count }));
      files.push([path, copyOf(hashes, count * HASH_BYTES)]);
      this.#partials.add(dirname(path));
    }
    if (this.#bundled > 0) {
      const index = Math.floor(this.size / TILE_WIDTH);
      const path = join(this.folder, tilePath({ level: 'entries', index, width: this.#bundled }));
      files.push([path, copyOf(this.#bundle, this.#bundleBytes)]);
      this.#partials.add(dirname(path));
    }
    return { size: this.size, root: new Uint8Array(this.#frontier.root()), files, whole, obsolete };
  }

  /**
   * The files of a snapshot are in their places, its checkpoint stands, what it made obsolete is gone. Their bytes belong
   * to other tiles from now on.
   */
  placed({ files, whole, obsolete }: TreeSnapshot): void {
    for (const [, bytes] of files) tileMemory.give(bytes);
    this.#whole.splice(0, whole);
    this.#obsolete.splice(0, obsolete.length);
  }

  readonly #keep = (level: number, _index: number, node: Uint8Array): void => {
    if (level % TILE_HEIGHT !== 0) return;
    const tile = this.#tileAt(level / TILE_HEIGHT);
    tile.hashes.set(node, tile.count * HASH_BYTES);
    tile.count++;
    if (tile.count < TILE_WIDTH) return;
    const whole = tile.hashes.subarray(0, TILE_BYTES);
    this.#takeWhole({ level: level / TILE_HEIGHT, index: tile.index, width: TILE_WIDTH }, whole);
    tile.hashes = tileMemory.take(TILE_BYTES);
    tile.index++;
    tile.count = 0;
  };

  /** Before the first snapshot a run that was cut short may have left partial tiles anywhere; then we know our own. */
  #takeWhole(name: TileName, bytes: Uint8Array): void {
    const path = join(this.folder, tilePath(name));
    this.#whole.push([path, bytes]);
    const partials = `${path}.p`;
    if (this.#partials === null || this.#partials.delete(partials)) this.#obsolete.push(partials);
  }

  /** One more entry behind its length, as in `encodeBundle`. */
  #bundleEntry(entry: Uint8Array): void {
    if (entry.length > MAX_ENTRY_BYTES) throw new RangeError(`an entry of ${entry.length} bytes does not fit a bundle`);
    const end = this.#bundleBytes + 2 + entry.length;
    if (end > this.#bundle.length) {
      const wider = tileMemory.take(Math.max(2 * this.#bundle.length, end));
      this.#bundle.copy(wider, 0, 0, this.#bundleBytes);
      tileMemory.give(this.#bundle);
      this.#bundle = wider;
    }
    this.#bundle.set(entry, this.#bundle.writeUInt16BE(entry.length, this.#bundleBytes));
    this.#bundleBytes = end;
    this.#bundled++;
  }

  #tileAt(level: number): OpenTile {
    while (this.#open.length <= level) this.#open.push({ index: 0, count: 0, hashes: tileMemory.take(TILE_BYTES) });
    return this.#open[level]!;
  }
}

/** The tree goes on growing while its snapshot is written. */
function copyOf(bytes: Buffer, length: number): Buffer {
  const copy = tileMemory.take(length);
  bytes.copy(copy, 0, 0, length);
  return copy.subarray(0, length);
}

/**
 * Does the tree on disk, as of `to`, begin with the tree `from`? Reads the tiles, not the memory of the writer.
 * Nothing published yet (null) agrees with everything.
 */
export function growsFrom(folder: string, from: Checkpoint | null, to: { size: number; root: Uint8Array }): boolean {
  if (!from || from.size === 0) return true;
  if (from.size > to.size) return false;
  const proof = consistencyProof(from.size, to.size, nodesOnDisk(folder, to.size));
  return verifyConsistency({ from: from.size, to: to.size, fromRoot: from.root, toRoot: to.root, proof });
}

/** Subtree hashes out of the tiles of a tree of at least `size` leaves. Throws when a tile is missing or short. */
export function nodesOnDisk(folder: string, size: number): NodeAt {
  const read = new Map<string, Buffer>();
  return nodesFromTiles((level, index) => {
    const name = { level, index, width: tileWidthAt(size, level, index) };
    const path = tilePath(name);
    const known = read.get(path);
    if (known) return known;
    const tile = readTile(folder, name);
    read.set(path, tile);
    return tile;
  });
}

function readTile(folder: string, name: TileName & { readonly level: number }): Buffer {
  return readPrefix(folder, name).subarray(0, name.width * HASH_BYTES);
}

/** The partial tile asked for, or the whole one that took its place. */
function readPrefix(folder: string, name: TileName): Buffer {
  const path = join(folder, tilePath(name));
  return readFileSync(existsSync(path) ? path : join(folder, tilePath({ ...name, width: TILE_WIDTH })));
}
