import { join } from 'node:path';
import type { Checkpoint, NoteVerifier } from '../../../core/crypto/signed-note.ts';
import { tilePath } from '../../../core/crypto/tiles.ts';
import { SettingsError } from '../../../core/internal-error.ts';
import { SegmentReader } from '../format/segments.ts';
import { growsFrom } from '../tree/tree.ts';
import type { LockedBucket } from './bucket.ts';
import { type Carrier, SinkBroken } from './following.ts';
import { numberIn, pieceName, signedName } from './object-names.ts';
import { type Block, blocksOfSegment, blocksUntil, type FeedPosition } from './segment-feed.ts';
import { checkpointOf, type SignedEdge, SignedLog, type SignedTree, wentOnFrom } from './signed-edge.ts';
import { readOrNull, readTreeFile, tilesBetween } from './tree-files.ts';

/** A piece of a segment is full at this size: it is what the memory for one run amounts to. */
const PIECE_BYTES = 4 * 1024 * 1024;
const LOOKS = 5;
const AT_ONCE = 8;
const DAY_MS = 86_400_000;

export interface ObjectCopyOptions {
  readonly bucket: LockedBucket;
  /** For people. */
  readonly where: string;
  /** `<home>/audit/<replica>` */
  readonly log: string;
  /** What all names begin with: `<prefix>/<replica>/`. */
  readonly root: string;
  readonly retentionDays: number;
  readonly verifiers: () => readonly NoteVerifier[];
  readonly utc: () => number;
}

/**
 * A copy of one replica's log in a bucket that locks objects. Only what a checkpoint covers is shipped, checkpoints
 * last; no name is ever written twice. What was shipped is found again by asking the bucket.
 */
export class ObjectCopy implements Carrier {
  readonly #options: ObjectCopyOptions;
  readonly #log: SignedLog;
  /** Where shipping goes on; null: ask the bucket first. */
  #at: FeedPosition | null = null;
  #journal: Checkpoint | null = null;
  #lockSeen = false;
  readonly #sizes = new Map<string, number>();
  readonly #tags = new Set<string>();
  readonly #uncosigned = new Set<string>();

  constructor(options: ObjectCopyOptions) {
    this.#options = options;
    this.#log = new SignedLog(options.log, options.verifiers);
  }

  /** @throws SettingsError when the bucket answers that it locks nothing */
  async checkLock(): Promise<void> {
    if (!(await this.#options.bucket.isLocked()))
      throw new SettingsError(
        `${this.#options.where} has no Object Lock: what is written there could be deleted; make a bucket with Object Lock enabled`,
      );
    this.#lockSeen = true;
  }

  /** The newest checkpoint of the journal that is in the bucket. */
  async newest(): Promise<Checkpoint | null> {
    const note = await this.#newestNote();
    return note && checkpointOf(note, this.#options.verifiers());
  }

  async carry(signal: AbortSignal): Promise<void> {
    const journal = await this.#log.journal();
    if (!journal) return;
    if (!this.#lockSeen)
      await this.checkLock().catch((error) =>
        Promise.reject(error instanceof SettingsError ? new SinkBroken(error.message) : error),
      );
    if (!this.#at) await this.#adopt(journal);
    for (let looks = 0; looks < LOOKS; looks++) {
      const now = (await this.#log.journal())!;
      if (this.#journal?.size === now.checkpoint.size && Buffer.compare(this.#journal.root, now.checkpoint.root) === 0)
        return this.#shipCosigned();
      if (!growsFrom(join(this.#log.folder, 'journal'), this.#journal, now.checkpoint))
        throw new SinkBroken(`${this.#options.where} is not a copy of this log: it has signed something else or more`);
      await this.#shipSegments(now.checkpoint.size, signal);
      const edge = await this.#log.edge(now, this.#tags);
      if (!edge) continue;
      await this.#shipTrees(edge, signal);
      return this.#shipCosigned();
    }
    throw new Error('the log was signed anew at each look');
  }

  close(): void {
    this.#options.bucket.close();
  }

  #name(path: string): string {
    return `${this.#options.root}${path}`;
  }

  async #newestNote(): Promise<Buffer | null> {
    const size = await this.#shippedSize('journal');
    return size === 0 ? null : this.#options.bucket.get(this.#name(signedName('journal', 'checkpoint', size)));
  }

  async #adopt(journal: SignedTree): Promise<void> {
    this.#log.forget();
    this.#sizes.clear();
    const note = await this.#newestNote();
    this.#journal = note && wentOnFrom(note, this.#log.folder, journal, this.#options.where);
    this.#at = await this.#end();
    if (this.#at.index < (this.#journal?.size ?? 0))
      throw new SinkBroken(`${this.#options.where} is damaged: it has a checkpoint of records that it does not hold`);
  }

  /** Where the pieces in the bucket end. Those of the last segment are looked through; the ones before were whole before it began. */
  async #end(): Promise<FeedPosition> {
    const { bucket, where } = this.#options;
    const segments = (await bucket.folders(this.#name('segments/'))).filter((name) => /^[0-9]{8}\.seg$/.test(name));
    if (segments.length === 0) return { segment: 1, offset: 0, index: 0 };
    const last = segments.sort().at(-1)!;
    const segment = Number(last.slice(0, 8));
    const prefix = this.#name(`segments/${last}/`);
    let end = 0;
    for await (const page of bucket.names(prefix)) {
      for (const { name, size } of page) {
        if (numberIn(name.slice(prefix.length)) !== end)
          throw new SinkBroken(`${where}: a piece of ${last} is missing at byte ${end}`);
        end += size;
      }
    }
    return this.#boundary(segment, end);
  }

  async #boundary(segment: number, end: number): Promise<FeedPosition> {
    const folder = join(this.#log.folder, 'segments');
    let at: FeedPosition = { segment, offset: 0, index: firstOf(folder, segment) };
    for await (const block of blocksOfSegment(folder, at, Number.MAX_SAFE_INTEGER, end)) at = block.next;
    if (at.offset === end) return at;
    throw new SinkBroken(
      `${this.#options.where} holds more of segment ${segment} than the log: byte ${end} ends no record`,
    );
  }

  async #shipSegments(size: number, signal: AbortSignal): Promise<void> {
    let piece: { first: Block; chunks: Buffer[]; length: number; next: FeedPosition } | null = null;
    const ship = async () => {
      if (!piece) return;
      const { first, chunks, next } = piece;
      await this.#putPiece(pieceName(first.segment, first.offset), Buffer.concat(chunks));
      this.#at = next;
      piece = null;
    };
    try {
      for await (const block of blocksUntil(join(this.#log.folder, 'segments'), this.#at!, size)) {
        signal.throwIfAborted();
        for (const tag of block.tags) this.#tags.add(tag);
        const isFull = piece && piece.length + block.bytes.length > PIECE_BYTES;
        if (isFull || piece?.first.segment !== block.segment) await ship();
        piece ??= { first: block, chunks: [], length: 0, next: block.next };
        piece.chunks.push(block.bytes);
        piece.length += block.bytes.length;
        piece.next = block.next;
      }
      await ship();
    } catch (error) {
      // Whether it was stored nobody knows: the bucket is asked.
      this.#at = null;
      throw error;
    }
  }

  async #shipTrees({ trees, journal }: SignedEdge, signal: AbortSignal): Promise<void> {
    try {
      for (const tree of [...trees, journal]) await this.#shipTiles(tree, signal);
      await inParallel(trees, (tree) => this.#shipNote(tree, 'checkpoint'));
      await this.#shipNote(journal, 'checkpoint');
    } catch (error) {
      this.#log.forget();
      throw error;
    }
    for (const { path, checkpoint } of [...trees, journal]) {
      this.#sizes.set(path, checkpoint.size);
      this.#uncosigned.add(path);
    }
    this.#journal = journal.checkpoint;
    this.#tags.clear();
  }

  async #shipTiles({ path, checkpoint }: SignedTree, signal: AbortSignal): Promise<void> {
    const from = this.#sizes.get(path) ?? (await this.#shippedSize(path));
    if (from > checkpoint.size) throw new SinkBroken(`${this.#options.where} has signed more of ${path} than the log`);
    await inParallel(tilesBetween(from, checkpoint.size, path !== 'journal'), async (tile) => {
      signal.throwIfAborted();
      await this.#put(`${path}/${tilePath(tile)}`, await readTreeFile(join(this.#log.folder, path), tile));
    });
  }

  /** A checkpoint of a size that is there already was signed by another key then; the old one stays. */
  async #shipNote(tree: SignedTree, file: 'checkpoint' | 'cosigned'): Promise<void> {
    const { path, note, checkpoint } = tree;
    if (checkpoint.size === 0) return;
    const name = this.#name(signedName(path, file, checkpoint.size));
    if ((await this.#store(name, note)) === 'stored') return;
    const where = `${name} in ${this.#options.where}`;
    const there = wentOnFrom((await this.#options.bucket.get(name)) ?? Buffer.alloc(0), this.#log.folder, tree, where);
    if (there.size !== checkpoint.size) throw new SinkBroken(`${where} is of another size than its name`);
  }

  async #shipCosigned(): Promise<void> {
    if (this.#uncosigned.size === 0) return;
    const folder = this.#log.folder;
    if (!(await readOrNull(join(folder, 'journal', 'cosigned')))) return;
    for (const path of this.#uncosigned) {
      const note = await readOrNull(join(folder, path, 'cosigned'));
      const checkpoint = note && checkpointOf(note, this.#options.verifiers());
      const reach = this.#sizes.get(path) ?? 0;
      if (!note || !checkpoint || checkpoint.size > reach) continue;
      await this.#shipNote({ path, note, checkpoint }, 'cosigned');
      if (checkpoint.size === reach) this.#uncosigned.delete(path);
    }
  }

  /** The greatest size of a tree's checkpoints in the bucket. Names only come in ascending order: the end is searched for. */
  async #shippedSize(tree: string): Promise<number> {
    const prefix = this.#name(`${tree}/checkpoint/`);
    const lastOf = async (after: number): Promise<number | null> => {
      const first = after < 0 ? undefined : this.#name(signedName(tree, 'checkpoint', after));
      for await (const page of this.#options.bucket.names(prefix, first)) {
        const numbers = page.map(({ name }) => numberIn(name.slice(prefix.length)) ?? 0);
        if (numbers.length > 0) return Math.max(...numbers);
      }
      return null;
    };
    let low = (await lastOf(-1)) ?? 0;
    let high = low === 0 ? 0 : Number.MAX_SAFE_INTEGER;
    for (let after = low; low < high; after = low + Math.floor((high - low) / 2)) {
      const last = await lastOf(after);
      if (last === null || last <= after) high = after;
      else low = last;
    }
    return low;
  }

  /** A try whose answer was lost may have stored a shorter piece under this name: then the bucket is asked where it ends. */
  async #putPiece(path: string, bytes: Buffer): Promise<void> {
    const name = this.#name(path);
    if ((await this.#store(name, bytes)) === 'stored') return;
    const there = await this.#options.bucket.get(name);
    if (there?.equals(bytes)) return;
    if (there && bytes.subarray(0, there.length).equals(there)) throw new Error(`${name} was stored by an earlier try`);
    throw new SinkBroken(`${this.#options.where} holds another ${name} than the log`);
  }

  async #put(path: string, bytes: Uint8Array): Promise<void> {
    const name = this.#name(path);
    if ((await this.#store(name, bytes)) === 'stored') return;
    // Shipped before a restart that came in between: it must be the same.
    const there = await this.#options.bucket.get(name);
    if (!there?.equals(bytes)) throw new SinkBroken(`${this.#options.where} holds another ${name} than the log`);
  }

  #store(name: string, bytes: Uint8Array): Promise<'stored' | 'exists'> {
    const { bucket, utc, retentionDays } = this.#options;
    return bucket.put(name, bytes, utc() + retentionDays * DAY_MS);
  }
}

function firstOf(folder: string, segment: number): number {
  const reader = new SegmentReader(folder, segment);
  try {
    const head = reader.header();
    if (head) return head.header.first;
    throw new Error(`the header of segment ${segment} cannot be read; run audit verify`);
  } finally {
    reader.close();
  }
}

/** A few at a time; the first that fails ends it. */
async function inParallel<T>(list: Iterable<T>, each: (item: T) => Promise<void>): Promise<void> {
  const rest = list[Symbol.iterator]();
  const line = async () => {
    for (let next = rest.next(); !next.done; next = rest.next()) await each(next.value);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, line));
}
