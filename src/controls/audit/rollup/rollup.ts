import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Checkpoint, openNote, parseCheckpoint } from '../../../core/crypto/signed-note.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Log } from '../../../core/log.ts';
import { type Files, makeFolder, Placer } from '../journal/files.ts';
import { lockFile } from '../journal/writer-lock.ts';
import type { Carrier } from '../sinks/following.ts';
import { readOrNull } from '../sinks/tree-files.ts';
import { CHECKPOINT_FILE } from '../tree/checkpoints.ts';
import type { Signing } from '../tree/signing.ts';
import { growsFrom } from '../tree/tree.ts';
import { RollupTree } from './rollup-tree.ts';

/** Name of the folder beside the replicas; no replica may have it. */
export const ROLLUP = 'rollup';

export interface RollupOptions {
  readonly home: string;
  readonly deployment: string;
  readonly files: Files;
  readonly signing: Omit<Signing, 'placer'>;
  readonly tell: Log;
}

interface Head {
  readonly tag: string;
  /** Folder of the replica's tree. */
  readonly folder: string;
  readonly note: Buffer;
  readonly checkpoint: Checkpoint;
}

/**
 * One tree for each tenant over the checkpoints of all replicas of a home (audit.md 3.5): an auditor keeps one head
 * instead of one for each process, and a replica that is missing is missed. Whichever process takes the lock writes it;
 * the others try again each time.
 */
export class Rollup implements Carrier {
  readonly #options: RollupOptions;
  readonly #folder: string;
  readonly #signing: Signing;
  readonly #trees = new Map<string, RollupTree>();
  /** Checkpoints as they were looked at last, by folder: most have not grown. */
  readonly #seen = new Map<string, Buffer>();
  /** Key of the log that signed last: when it is another, everything is signed anew. */
  #kid: string;
  #lock: { release(): void } | null = null;
  /** Origins that were complained of. */
  readonly #told = new Set<string>();

  constructor(options: RollupOptions) {
    this.#options = options;
    this.#folder = join(options.home, 'audit', ROLLUP);
    const work = join(options.home, 'audit-work', ROLLUP);
    this.#signing = { ...options.signing, placer: new Placer(options.files, work) };
    this.#kid = options.signing.keys.kid;
    makeFolder(options.files, work);
  }

  /** Brings what has grown into the roll-ups and signs them; nothing when another process does. */
  async carry(signal: AbortSignal): Promise<void> {
    if (!this.#hold()) return;
    const heads = await this.#heads();
    const origins = new Set(heads.map(({ checkpoint }) => checkpoint.origin));
    for (const head of heads) {
      if (signal.aborted) return;
      const tree = this.#trees.get(head.tag) ?? (await this.#open(head.tag, origins));
      this.#take(tree, head);
      this.#seen.set(head.folder, head.note);
    }
    const { kid } = this.#signing.keys;
    if (kid !== this.#kid) for (const tree of this.#trees.values()) tree.signAnew();
    this.#kid = kid;
    for (const tree of this.#trees.values()) {
      if (signal.aborted) return;
      await tree.sign();
    }
  }

  close(): void {
    this.#lock?.release();
    this.#lock = null;
  }

  #hold(): boolean {
    if (this.#lock) return true;
    try {
      this.#lock = lockFile(join(this.#options.home, 'locks', 'audit-rollup.lock'), 'another process rolls up');
    } catch (error) {
      if (error instanceof InternalError && error.code === 'audit.locked') return false;
      throw error;
    }
    return true;
  }

  async #open(tag: string, origins: ReadonlySet<string>): Promise<RollupTree> {
    const origin = `${this.#options.deployment}/${tag}`;
    const place = { folder: join(this.#folder, tag), origin, key: `${ROLLUP}/${tag}` };
    const tree = await RollupTree.open(place, this.#signing, origins);
    this.#trees.set(tag, tree);
    return tree;
  }

  #take(tree: RollupTree, { folder, note, checkpoint }: Head): void {
    const { origin, size, root } = checkpoint;
    const last = tree.last(origin);
    if (last?.size === size && Buffer.compare(last.root, root) === 0) return;
    if (growsFrom(folder, last, checkpoint)) tree.append(note, checkpoint);
    else this.#complain(origin, 'it did not grow from the checkpoint that was rolled up before');
  }

  /** What the trees of all replicas sign now, where that is not what they signed at the last look. */
  async #heads(): Promise<Head[]> {
    const audit = join(this.#options.home, 'audit');
    const heads: Head[] = [];
    for (const replica of (await readdir(audit)).sort()) {
      if (replica === ROLLUP) continue;
      for (const tag of await tagsOf(join(audit, replica, 'trees'))) {
        const folder = join(audit, replica, 'trees', tag);
        const note = await readOrNull(join(folder, CHECKPOINT_FILE));
        if (!note || this.#seen.get(folder)?.equals(note)) continue;
        const origin = `${this.#options.deployment}/${tag}/${replica}`;
        const opened = openNote(note.toString(), this.#signing.keys.verifiers);
        const checkpoint = opened && parseCheckpoint(opened.text);
        if (checkpoint?.origin !== origin) this.#complain(origin, 'its checkpoint is not signed by a key of this log');
        else if (checkpoint.size > 0) heads.push({ tag, folder, note, checkpoint });
      }
    }
    return heads;
  }

  #complain(origin: string, reason: string): void {
    if (this.#told.has(origin)) return;
    this.#told.add(origin);
    this.#options.tell.error('a tree is not rolled up; run audit verify', { evidence: origin, reason });
  }
}

async function tagsOf(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => /^[0-9a-f]{32}$/.test(name)).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}
