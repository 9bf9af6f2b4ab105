import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint } from '../../../core/crypto/signed-note.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Store } from '../../../core/store/store.ts';
import type { Placer } from '../journal/files.ts';
import { CHECKPOINT_FILE, type CheckpointKeys, type Published, publish } from './checkpoints.ts';
import { growsFrom, type TiledTree, type TreeSnapshot } from './tree.ts';

/** A tree, its second copy, and the size last signed. */
export interface Shelf {
  readonly tree: TiledTree;
  /** Row of the second copy. */
  readonly key: string;
  published: Published;
  signed: number;
}

export interface Signing {
  readonly store: Store;
  readonly keys: CheckpointKeys;
  readonly placer: Placer;
  readonly utc: () => number;
}

/**
 * Puts a snapshot of a tree on disk, proves that it grew from what was published of the tree, signs it and publishes it.
 * @throws InternalError `audit.forked` when it did not grow, or somebody else published meanwhile
 */
export async function signShelf(shelf: Shelf, snapshot: TreeSnapshot, signing: Signing): Promise<void> {
  const { keys, placer, store, utc } = signing;
  const { tree } = shelf;
  if (shelf.published.version === 0) shelf.published = await lookUp(shelf, signing);
  const { published } = shelf;
  await placer.place(snapshot.files);
  if (!growsFrom(tree.folder, published.checkpoint, snapshot)) {
    throw new InternalError(
      'audit.forked',
      `the tree ${tree.origin} does not begin with what was published of it; nothing more is signed`,
      { kind: 'outage' },
    );
  }
  const checkpoint: Checkpoint = { origin: tree.origin, size: snapshot.size, root: snapshot.root };
  const note = keys.sign(checkpoint);
  await placer.place([[join(tree.folder, CHECKPOINT_FILE), Buffer.from(note)]]);
  shelf.signed = snapshot.size;
  try {
    const version = await publish(store, shelf.key, note, published, utc());
    shelf.published = { checkpoint, version };
  } catch (error) {
    if (error instanceof InternalError && error.code === 'audit.forked') throw error;
    // The second copy lags behind while the store is out of reach; the next signature brings it up.
  }
  for (const folder of snapshot.obsolete) await rm(folder, { recursive: true, force: true });
  tree.placed(snapshot);
}

/**
 * What was published of a tree that this process has published nothing of: a tree that begins anew where there was one
 * must be found before it is signed, or there would be two histories under our own signature.
 */
async function lookUp({ tree, key, published }: Shelf, { keys, store, utc }: Signing): Promise<Published> {
  try {
    return await keys.published(store, key, tree.origin, utc());
  } catch (error) {
    if (error instanceof InternalError && error.code === 'audit.corrupt') throw error;
    // The store is out of reach: as behind a signature, that holds nothing up.
    return published;
  }
}
