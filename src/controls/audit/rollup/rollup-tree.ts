import { readdirSync, unlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { leafHash } from '../../../core/crypto/merkle.ts';
import { type Checkpoint, parseCheckpoint, splitNote } from '../../../core/crypto/signed-note.ts';
import { decodeBundle, parseTilePath, TILE_WIDTH, tileWidthAt } from '../../../core/crypto/tiles.ts';
import { InternalError } from '../../../core/internal-error.ts';
import { readTreeFile } from '../sinks/tree-files.ts';
import type { Shelf, Signing } from '../tree/signing.ts';
import { signShelf } from '../tree/signing.ts';
import { growsFrom, TiledTree } from '../tree/tree.ts';

/** The roll-up of one tenant: a tree whose entries are signed checkpoints of the tenant's trees on the replicas. */
export class RollupTree {
  readonly #shelf: Shelf;
  readonly #signing: Signing;
  /** The last entry of each replica, by the origin of its tree. */
  readonly #last: Map<string, Checkpoint>;

  private constructor(shelf: Shelf, signing: Signing, last: Map<string, Checkpoint>) {
    this.#shelf = shelf;
    this.#signing = signing;
    this.#last = last;
  }

  /**
   * Takes up where the last writer was, whoever that was. What he had placed and not signed is thrown away.
   * @param origins those whose last entry will be asked for
   * @throws InternalError `audit.corrupt`, `audit.rolled_back`
   */
  static async open(
    place: { readonly folder: string; readonly origin: string; readonly key: string },
    signing: Signing,
    origins: ReadonlySet<string>,
  ): Promise<RollupTree> {
    const { folder, origin, key } = place;
    const checkpoint = signing.keys.read(folder, origin);
    const published = await signing.keys.published(signing.store, key, origin, signing.utc());
    if (published.checkpoint && !(checkpoint && growsFrom(folder, published.checkpoint, checkpoint))) {
      throw new InternalError(
        'audit.rolled_back',
        `the roll-up ${folder} does not contain what was published of it; bring back the newest copy`,
        { kind: 'outage' },
      );
    }
    const size = checkpoint?.size ?? 0;
    const tree = TiledTree.load({ folder, origin, entries: true }, checkpoint);
    removeUnsigned(folder, size);
    const signed = checkpoint && signing.keys.isCurrent(folder) ? size : -1;
    return new RollupTree({ tree, key, published, signed }, signing, await lastEntries(folder, size, origins));
  }

  last(origin: string): Checkpoint | null {
    return this.#last.get(origin) ?? null;
  }

  /** @param note a checkpoint that was proved to have grown from the last one of its origin */
  append(note: Buffer, checkpoint: Checkpoint): void {
    this.#shelf.tree.append(leafHash(note), note);
    this.#last.set(checkpoint.origin, checkpoint);
  }

  /** Signs it when it has grown, or when it is signed by an old key. @throws InternalError `audit.forked` */
  async sign(): Promise<void> {
    const { tree, signed } = this.#shelf;
    if (tree.size === 0 || tree.size === signed) return;
    await signShelf(this.#shelf, tree.snapshot(), this.#signing);
  }

  /** The key is another. */
  signAnew(): void {
    this.#shelf.signed = -1;
  }
}

/** Reads from the end: replicas that still write are found soon. */
async function lastEntries(
  folder: string,
  size: number,
  origins: ReadonlySet<string>,
): Promise<Map<string, Checkpoint>> {
  const last = new Map<string, Checkpoint>();
  const wanted = new Set(origins);
  for (let index = Math.ceil(size / TILE_WIDTH) - 1; index >= 0 && wanted.size > 0; index--) {
    const width = tileWidthAt(size, 0, index);
    const entries = decodeBundle(await readTreeFile(folder, { level: 'entries', index, width })) ?? [];
    for (const entry of entries.slice(0, width).reverse()) {
      const checkpoint = parseCheckpoint(splitNote(entry.toString())?.text ?? '');
      if (checkpoint && wanted.delete(checkpoint.origin)) last.set(checkpoint.origin, checkpoint);
    }
  }
  return last;
}

/** A writer that was killed may have left tiles of entries that nobody signed: others will take their places. */
function removeUnsigned(folder: string, size: number): void {
  for (const item of readdirOrNone(join(folder, 'tile'))) {
    if (!item.isFile()) continue;
    const path = join(item.parentPath, item.name);
    const tile = parseTilePath(relative(folder, path));
    if (tile && tile.width > tileWidthAt(size, tile.level === 'entries' ? 0 : tile.level, tile.index)) unlinkSync(path);
  }
}

function readdirOrNone(folder: string) {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
