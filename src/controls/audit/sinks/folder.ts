import { existsSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint, NoteVerifier } from '../../../core/crypto/signed-note.ts';
import { TILE_WIDTH, tilePath } from '../../../core/crypto/tiles.ts';
import { segmentName } from '../format/segments.ts';
import { makeFolder, Placer, type Placing, systemFiles } from '../journal/files.ts';
import { growsFrom } from '../tree/tree.ts';
import { AppendedFile } from './appended-file.ts';
import { adoptCopy } from './copy-adoption.ts';
import { type Carrier, SinkBroken } from './following.ts';
import { blocksUntil, type FeedPosition } from './segment-feed.ts';
import { checkpointOf, type SignedEdge, SignedLog, type SignedTree, wentOnFrom } from './signed-edge.ts';
import { readOrNull, readTreeFile, tilesBetween } from './tree-files.ts';

const LOOKS = 5;
/** Files placed together: they share the syncs of their folders. */
const PLACED_TOGETHER = 64;

/**
 * A byte-for-byte copy of one replica's log. Only what a checkpoint covers is copied, records first and checkpoints
 * last, so that `audit verify` finds the copy good at any moment. Nothing that stands in the copy is ever written over
 * with something else.
 */
export class FolderCopy implements Carrier {
  /** The folder of the setting: it MUST exist, or a disk that is not mounted would be taken for an empty copy. */
  readonly #root: string;
  readonly #copy: string;
  readonly #log: SignedLog;
  readonly #verifiers: () => readonly NoteVerifier[];
  readonly #placer: Placer;
  readonly #work: string;
  /** Where copying goes on; null: look at the copy first. */
  #at: FeedPosition | null = null;
  #journal: Checkpoint | null = null;
  /** The journal's checkpoint as it was copied last; another signature under the same tree is brought over too. */
  #note: Buffer | null = null;
  /** Leaves of each tree the copy is signed for. */
  readonly #sizes = new Map<string, number>();
  /** Trees with new leaves that the copy does not sign yet. */
  readonly #tags = new Set<string>();
  /** Trees that grew since a cosigned checkpoint of theirs was copied. */
  readonly #uncosigned = new Set<string>();

  /** @param log `<home>/audit/<replica>` */
  constructor(options: { log: string; path: string; replica: string; verifiers: () => readonly NoteVerifier[] }) {
    const { log, path, replica, verifiers } = options;
    this.#root = path;
    this.#copy = join(path, 'audit', replica);
    this.#work = join(path, 'audit-work', replica, 'placing');
    this.#log = new SignedLog(log, verifiers);
    this.#verifiers = verifiers;
    this.#placer = new Placer(systemFiles, this.#work);
  }

  /** The newest state this copy has seen signed, for the start: a log that is older was rolled back. */
  async newest(): Promise<Checkpoint | null> {
    const note = await readOrNull(join(this.#copy, 'journal', 'checkpoint'));
    return note && checkpointOf(note, this.#verifiers());
  }

  async carry(signal: AbortSignal): Promise<void> {
    const journal = await this.#log.journal();
    if (!journal) return;
    if (!this.#at) await this.#adopt(journal);
    for (let looks = 0; looks < LOOKS; looks++) {
      const now = (await this.#log.journal())!;
      if (this.#note?.equals(now.note)) return this.#bringCosigned();
      if (!growsFrom(join(this.#log.folder, 'journal'), this.#journal, now.checkpoint))
        throw new SinkBroken(`${this.#copy} is not a copy of this log: it has signed something else or more`);
      await this.#bringSegments(now.checkpoint.size, signal);
      const edge = await this.#log.edge(now, this.#tags);
      if (!edge) continue;
      await this.#bringTrees(edge, signal);
      return this.#bringCosigned();
    }
    throw new Error('the log was signed anew at each look');
  }

  async #adopt(journal: SignedTree): Promise<void> {
    if (!existsSync(this.#root)) throw new Error(`there is no folder ${this.#root}; make it on the other disk`);
    makeFolder(systemFiles, join(this.#copy, 'segments'));
    makeFolder(systemFiles, this.#work);
    for (const name of await readdir(this.#work)) await rm(join(this.#work, name));
    this.#sizes.clear();
    this.#log.forget();
    this.#journal = await this.#copied(journal);
    const at = await adoptCopy(join(this.#log.folder, 'segments'), join(this.#copy, 'segments'));
    if (at.index < (this.#journal?.size ?? 0))
      throw new SinkBroken(`${this.#copy} is damaged: it has signed records that it does not hold any more`);
    this.#at = at;
  }

  async #bringSegments(size: number, signal: AbortSignal): Promise<void> {
    let file: AppendedFile | null = null;
    const end = async () => {
      const ended = file;
      file = null;
      await ended?.close();
    };
    try {
      for await (const block of blocksUntil(join(this.#log.folder, 'segments'), this.#at!, size)) {
        signal.throwIfAborted();
        const path = join(this.#copy, 'segments', segmentName(block.segment));
        if (file?.path !== path) await end();
        if (block.offset === 0) await this.#beginSegment(path, block.bytes);
        else {
          file ??= await AppendedFile.open(path, block.offset);
          await file.append(block.bytes);
        }
        for (const tag of block.tags) this.#tags.add(tag);
        this.#at = block.next;
      }
      await end();
    } catch (error) {
      // What was written may not be there: the copy is looked at again before it goes on.
      this.#at = null;
      await end().catch(() => undefined);
      throw error;
    }
  }

  /** With its header and first records at once: nobody meets a segment without them. */
  async #beginSegment(path: string, bytes: Buffer): Promise<void> {
    if (existsSync(path) && (await stat(path)).size > 0) throw new Error(`${path} was made by somebody else`);
    await this.#placer.place([[path, bytes]]);
  }

  async #bringTrees({ trees, journal }: SignedEdge, signal: AbortSignal): Promise<void> {
    const grown: [SignedTree, from: number][] = [];
    try {
      for (const tree of [...trees, journal]) {
        const from = this.#sizes.get(tree.path) ?? (await this.#copied(tree))?.size ?? 0;
        grown.push([tree, from]);
        await this.#bringTiles(tree, from, signal);
      }
      for (let i = 0; i < trees.length; i += PLACED_TOGETHER)
        await this.#placer.place(trees.slice(i, i + PLACED_TOGETHER).map((tree) => this.#checkpointFile(tree)));
      await this.#placer.place([this.#checkpointFile(journal)]);
    } catch (error) {
      this.#log.forget();
      throw error;
    }
    this.#journal = journal.checkpoint;
    this.#note = journal.note;
    this.#tags.clear();
    for (const [tree, from] of grown) {
      this.#sizes.set(tree.path, tree.checkpoint.size);
      this.#uncosigned.add(tree.path);
      await this.#removePartials(tree, from);
    }
  }

  #checkpointFile({ path, note }: SignedTree): Placing {
    return [join(this.#copy, path, 'checkpoint'), note];
  }

  /** The copy's checkpoint of a tree; null when there is none yet. @throws SinkBroken when the log did not go on from it */
  async #copied(tree: SignedTree): Promise<Checkpoint | null> {
    const file = join(this.#copy, tree.path, 'checkpoint');
    const note = await readOrNull(file);
    return note && wentOnFrom(note, this.#log.folder, tree, file);
  }

  async #bringTiles({ path, checkpoint }: SignedTree, from: number, signal: AbortSignal): Promise<void> {
    let waiting: Placing[] = [];
    for (const name of tilesBetween(from, checkpoint.size, path !== 'journal')) {
      signal.throwIfAborted();
      const bytes = await readTreeFile(join(this.#log.folder, path), name);
      const target = join(this.#copy, path, tilePath(name));
      const there = await readOrNull(target);
      if (there && !there.equals(bytes)) throw new SinkBroken(`${target} is not what the log has there`);
      if (!there) waiting.push([target, bytes]);
      if (waiting.length < PLACED_TOGETHER) continue;
      await this.#placer.place(waiting);
      waiting = [];
    }
    await this.#placer.place(waiting);
  }

  /** Partial tiles that are whole by now; the checkpoint that needed them has gone. */
  async #removePartials({ path, checkpoint }: SignedTree, from: number): Promise<void> {
    for (const name of tilesBetween(from, checkpoint.size, path !== 'journal')) {
      if (name.width < TILE_WIDTH) continue;
      await rm(`${join(this.#copy, path, tilePath(name))}.p`, { recursive: true, force: true });
    }
  }

  /** What a witness has signed comes later than what the log has, and is copied when the copy reaches that far. */
  async #bringCosigned(): Promise<void> {
    if (this.#uncosigned.size === 0 || !existsSync(join(this.#log.folder, 'journal', 'cosigned'))) return;
    for (const path of this.#uncosigned) {
      const note = await readOrNull(join(this.#log.folder, path, 'cosigned'));
      const size = note ? (checkpointOf(note, this.#verifiers())?.size ?? null) : null;
      const reach = this.#sizes.get(path) ?? 0;
      if (!note || size === null || size > reach) continue;
      const target = join(this.#copy, path, 'cosigned');
      if (!(await readOrNull(target))?.equals(note)) await this.#placer.place([[target, note]]);
      if (size === reach) this.#uncosigned.delete(path);
    }
  }
}
