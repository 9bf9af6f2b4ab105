import type { NodeAt } from '../../core/crypto/merkle.ts';
import type { Checkpoint } from '../../core/crypto/signed-note.ts';
import { InternalError } from '../../core/internal-error.ts';
import type { Store } from '../../core/store/store.ts';
import { journalLeaf, journalLeafInto } from './format/journal-leaf.ts';
import type { Files } from './journal/files.ts';
import { type Replayed, replay } from './journal/recovery.ts';
import type { placesOf } from './places.ts';
import type { Ledger, TenantLog } from './record/ledger.ts';
import { isRetirement } from './record/retirement.ts';
import type { CheckpointKeys } from './tree/checkpoints.ts';
import type { Integration } from './tree/integration.ts';
import { growsFrom, nodesOnDisk, TiledTree } from './tree/tree.ts';

interface FoundTree {
  readonly tree: TiledTree;
  readonly checkpoint: Checkpoint | null;
  /** Size signed by the current key; -1: to be signed anew. */
  readonly signed: number;
  readonly nodeAt: NodeAt;
}

export interface TakeUpOptions {
  readonly files: Files;
  readonly place: ReturnType<typeof placesOf>;
  readonly store: Store;
  readonly keys: CheckpointKeys;
  readonly ledger: Ledger;
  readonly integration: Integration<TenantLog>;
  /** The journal's tree as of its checkpoint, which is `signed`; records behind that are added to it. */
  readonly journal: TiledTree;
  readonly signed: Checkpoint | null;
  /** Row of the second copy of a tenant's tree. */
  readonly treeKey: (tag: string) => string;
  /** ms UTC */
  readonly utc: () => number;
}

export interface TakenUp extends Replayed {
  /** This replica's trees have had their last leaves. */
  readonly isRetired: boolean;
}

/**
 * Takes up a log where its last writer was: repairs a torn tail, brings what was not signed into the trees, and checks
 * journal, trees, signatures and published copies against each other.
 * @throws InternalError `audit.corrupt`, `audit.rolled_back`
 */
export async function takeUp(options: TakeUpOptions): Promise<TakenUp> {
  const { files, place, store, keys, ledger, integration, journal, signed, treeKey, utc } = options;
  let isRetired = false;
  const found = new Map<string, FoundTree>();
  const treeOf = (tag: string) => {
    let known = found.get(tag);
    if (!known) {
      known = findTree(keys, ledger.treeFolder(tag), ledger.origin(tag));
      found.set(tag, known);
    }
    return known;
  };
  const journalLeafHash = Buffer.alloc(32);
  const replayed = replay({
    files,
    folder: place.segments,
    quarantine: place.quarantine,
    size: signed?.size ?? 0,
    utc: utc(),
    signed: signed ? nodesOnDisk(place.journal, signed.size) : null,
    leafOf: journalLeaf,
    visit(frame, tag, leaf, position) {
      const { tree, checkpoint, nodeAt } = treeOf(tag);
      if (position === tree.size) tree.append(leaf, frame.envelope);
      else if (position > tree.size) throw corrupt(`the tree ${tree.origin} lacks leaves that were signed`);
      else if (position < (checkpoint?.size ?? 0) && Buffer.compare(nodeAt(0, position), leaf) !== 0)
        throw corrupt(`record ${frame.index} is not leaf ${position} of ${tree.origin}`);
      isRetired = isRetirement(frame);
      if (frame.index !== journal.size) return;
      journalLeafInto(journalLeafHash, frame.index, frame.tag, leaf);
      journal.append(journalLeafHash, frame.envelope);
    },
  });
  for (const [tag, count] of replayed.counts) {
    const { tree, checkpoint, signed: size } = treeOf(tag);
    if (tree.size !== count) throw corrupt(`the tree ${tree.origin} and the journal differ`);
    const published = await keys.published(store, treeKey(tag), tree.origin, utc());
    refuseRollback(tree.folder, published.checkpoint, checkpoint);
    ledger.adopt(Buffer.from(tag, 'hex'), tree, count);
    integration.addTree(tree, treeKey(tag), published, size);
  }
  return { ...replayed, isRetired };
}

function findTree(keys: CheckpointKeys, folder: string, origin: string): FoundTree {
  const checkpoint = keys.read(folder, origin);
  return {
    tree: TiledTree.load({ folder, origin, entries: true }, checkpoint),
    checkpoint,
    signed: checkpoint && keys.isCurrent(folder) ? checkpoint.size : -1,
    nodeAt: nodesOnDisk(folder, checkpoint?.size ?? 0),
  };
}

/** A log older than what was published of it is a restored backup: going on would make two histories. */
export function refuseRollback(folder: string, published: Checkpoint | null, here: Checkpoint | null): void {
  if (!published || (here && growsFrom(folder, published, here))) return;
  throw new InternalError(
    'audit.rolled_back',
    `${folder} does not contain what was published of it (${published.size} records; here ${here?.size ?? 0} are signed): a backup was restored or records were removed; bring back the newest copy`,
    { kind: 'outage' },
  );
}

function corrupt(what: string): InternalError {
  return new InternalError('audit.corrupt', `the audit log was damaged or tampered with: ${what}; run audit verify`, {
    kind: 'outage',
  });
}
