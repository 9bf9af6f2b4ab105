import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Checkpoint,
  type NoteVerifier,
  openNote,
  parseCheckpoint,
  splitNote,
} from '../../../core/crypto/signed-note.ts';
import { growsFrom } from '../tree/tree.ts';
import { SinkBroken } from './following.ts';
import { readOrNull } from './tree-files.ts';

/** A tree of the log as it is signed now. */
export interface SignedTree {
  /** Below the replica's folder: `journal` or `trees/<tag>`. */
  readonly path: string;
  readonly note: Buffer;
  readonly checkpoint: Checkpoint;
}

/** All trees as of one moment: the tenants' leaves are the journal's. */
export interface SignedEdge {
  readonly journal: SignedTree;
  /** Those that grew since the last look. */
  readonly trees: readonly SignedTree[];
}

/**
 * Looks at the checkpoints of a replica while it is being written. Tenants' trees are signed before the journal, so
 * the two may be of different moments: then every leaf of theirs does not add up to the journal's, and a look is
 * taken again.
 */
export class SignedLog {
  readonly folder: string;
  readonly #verifiers: () => readonly NoteVerifier[];
  /** The key that signs now: with another all trees are signed anew. */
  #key = '';
  /** Sizes of the tenants' trees as of the last moment that was taken over; null: none yet. */
  #sizes: Map<string, number> | null = null;

  /** @param verifiers asked each time: keys are replaced while the log is written */
  constructor(folder: string, verifiers: () => readonly NoteVerifier[]) {
    this.folder = folder;
    this.#verifiers = verifiers;
  }

  /** The journal's checkpoint; null when nothing is signed yet. */
  journal(): Promise<SignedTree | null> {
    const verifiers = this.#verifiers();
    const key = verifiers[0]?.keyHash ?? '';
    if (key !== this.#key) this.forget();
    this.#key = key;
    return readSigned(this.folder, 'journal', verifiers);
  }

  /**
   * The tenants' trees that belong to a journal's checkpoint; null when the writer is ahead of it already.
   * @param tags trees that have new leaves; null: look at all
   */
  async edge(journal: SignedTree, tags: Iterable<string> | null): Promise<SignedEdge | null> {
    const sizes = new Map(this.#sizes);
    const trees: SignedTree[] = [];
    const names = this.#sizes === null || tags === null ? await tagsIn(this.folder) : tags;
    for (const tag of names) {
      const tree = await readTree(this.folder, `trees/${tag}`);
      if (!tree) continue;
      trees.push(tree);
      sizes.set(tag, tree.checkpoint.size);
    }
    let leaves = 0;
    for (const size of sizes.values()) leaves += size;
    if (leaves !== journal.checkpoint.size) return null;
    this.#sizes = sizes;
    return { journal, trees };
  }

  /** What was taken over did not arrive: the next look is at all trees. */
  forget(): void {
    this.#sizes = null;
  }
}

/** The writer's own, a moment ago: its signature is the business of who verifies the copy, not of each run. */
async function readTree(folder: string, path: string): Promise<SignedTree | null> {
  const note = await readOrNull(join(folder, path, 'checkpoint'));
  const checkpoint = note && parseCheckpoint(note.toString('utf8', 0, note.indexOf('\n\n') + 1));
  if (!note) return null;
  if (!checkpoint) throw new Error(`${path}/checkpoint in ${folder} is no checkpoint; run audit verify`);
  return { path, note, checkpoint };
}

/** @throws Error when a known key did not sign it */
async function readSigned(
  folder: string,
  path: string,
  verifiers: readonly NoteVerifier[],
): Promise<SignedTree | null> {
  const note = await readOrNull(join(folder, path, 'checkpoint'));
  if (!note) return null;
  const checkpoint = checkpointOf(note, verifiers);
  if (!checkpoint) throw new Error(`${path}/checkpoint in ${folder} is not signed by a key of this log`);
  return { path, note, checkpoint };
}

/** Null when it is not a checkpoint, or no known key signed it. Attacker-controlled. */
export function checkpointOf(note: Uint8Array, verifiers: readonly NoteVerifier[]): Checkpoint | null {
  const opened = openNote(Buffer.from(note).toString(), verifiers);
  return opened ? parseCheckpoint(opened.text) : null;
}

/**
 * What the other side holds signed of a tree that the log went on from. Whose signature it is does not matter then: it may
 * be by a key that is gone. Attacker-controlled.
 * @throws SinkBroken when it is of another tree, or of more than the log has
 */
export function wentOnFrom(note: Buffer, folder: string, { path, checkpoint }: SignedTree, where: string): Checkpoint {
  const there = parseCheckpoint(splitNote(note.toString())?.text ?? '');
  if (there?.origin === checkpoint.origin && growsFrom(join(folder, path), there, checkpoint)) return there;
  throw new SinkBroken(`${where} is not a copy of this log: it has signed something else or more`);
}

async function tagsIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(join(folder, 'trees'))).filter((name) => /^[0-9a-f]{32}$/.test(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
