import { type Dirent, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Frontier, HASH_BYTES } from '../../../core/crypto/merkle.ts';
import { type Checkpoint, type NoteVerifier, openNote, parseCheckpoint } from '../../../core/crypto/signed-note.ts';
import {
  encodeBundle,
  parseTilePath,
  TILE_HEIGHT,
  TILE_WIDTH,
  type TileName,
  tilePath,
  tileWidthAt,
} from '../../../core/crypto/tiles.ts';

export interface VerifiedTree {
  readonly origin: string;
  /** Leaves in the journal, and how many of them the signed checkpoint covers. */
  readonly leaves: number;
  readonly signed: number;
  /** base64 */
  readonly root: string;
}

interface TreeCheckOptions {
  readonly folder: string;
  /** Relative to the replica's folder, for findings. */
  readonly path: string;
  readonly entries: boolean;
  readonly verifiers: readonly NoteVerifier[];
  readonly report: (file: string, index: number | null, what: string) => void;
  readonly skip: (what: string) => void;
}

interface RightEdge {
  index: number;
  count: number;
  /** Journal index of the first record below this tile. */
  first: number;
  readonly hashes: Buffer;
}

/** Rebuilds one tree from the journal and compares every tile, bundle and the checkpoint with what is on disk. */
export class TreeCheck {
  readonly #options: TreeCheckOptions;
  readonly #checkpoint: Checkpoint | null;
  readonly #frontier = new Frontier();
  readonly #edges: RightEdge[] = [];
  #bundle: Buffer[] = [];
  #bundleFirst = 0;
  #rootAtCheckpoint: Uint8Array | null = null;
  #lastIndex = 0;
  /** Leaves that the journal's checkpoint covers: those the tree's own must cover too. */
  expected = 0;

  constructor(options: TreeCheckOptions) {
    this.#options = options;
    this.#checkpoint = this.#readCheckpoint();
    if (this.#checkpoint?.size === 0) this.#rootAtCheckpoint = this.#frontier.root();
  }

  get leaves(): number {
    return this.#frontier.size;
  }

  get signed(): number {
    return this.#checkpoint?.size ?? 0;
  }

  get origin(): string | null {
    return this.#checkpoint?.origin ?? null;
  }

  summary(): VerifiedTree {
    return {
      origin: this.origin ?? `(no checkpoint) ${this.#options.path}`,
      leaves: this.leaves,
      signed: this.signed,
      root: Buffer.from(this.#checkpoint?.root ?? []).toString('base64'),
    };
  }

  add(leaf: Uint8Array, index: number, envelope: Uint8Array): void {
    this.#lastIndex = index;
    this.#frontier.append(leaf, this.#keep);
    if (this.#options.entries) this.#addEntry(envelope);
    if (this.leaves === this.signed) this.#rootAtCheckpoint = this.#frontier.root();
  }

  /** @param live the log is being written: what is newer than this reading is no finding */
  finish(live: boolean): void {
    const { path, report, skip } = this.#options;
    const checkpoint = this.#checkpoint;
    if (checkpoint && this.leaves < checkpoint.size) {
      report(
        `${path}/checkpoint`,
        this.#lastIndex,
        `${checkpoint.size} leaves were signed, the journal has ${this.leaves}`,
      );
    } else if (checkpoint && this.#rootAtCheckpoint && Buffer.compare(this.#rootAtCheckpoint, checkpoint.root) !== 0) {
      report(`${path}/checkpoint`, null, 'the records are not those that were signed: another root');
    }
    if (this.signed < this.expected)
      report(
        `${path}/checkpoint`,
        null,
        `it signs ${this.signed} leaves, but the journal's checkpoint ${this.expected}`,
      );
    if (this.leaves > this.signed)
      skip(`${path}: ${this.leaves - this.signed} records are not signed yet (checksums and digests were checked)`);
    this.#checkEdges();
    this.#walk('', live);
  }

  #readCheckpoint(): Checkpoint | null {
    const { folder, path, verifiers, report, skip } = this.#options;
    const file = join(folder, 'checkpoint');
    if (!existsSync(file)) return null;
    const text = readFileSync(file);
    const opened = openNote(text.toString('utf8'), verifiers);
    const checkpoint = opened ? parseCheckpoint(opened.text) : null;
    if (!checkpoint) {
      report(`${path}/checkpoint`, null, 'it is not a checkpoint signed by the given key');
      return null;
    }
    if (opened!.unknown > 0) skip(`${path}/checkpoint: ${opened!.unknown} signatures by keys that were not given`);
    return checkpoint;
  }

  readonly #keep = (level: number, _index: number, node: Uint8Array): void => {
    if (level % TILE_HEIGHT !== 0) return;
    const edge = this.#edge(level / TILE_HEIGHT);
    if (edge.count === 0) edge.first = level === 0 ? this.#lastIndex : edge.first;
    edge.hashes.set(node, edge.count * HASH_BYTES);
    edge.count++;
    if (edge.count < TILE_WIDTH) return;
    this.#compareTile(level / TILE_HEIGHT, edge);
    edge.index++;
    edge.count = 0;
  };

  #edge(level: number): RightEdge {
    while (this.#edges.length <= level)
      this.#edges.push({ index: 0, count: 0, first: 0, hashes: Buffer.alloc(TILE_WIDTH * HASH_BYTES) });
    return this.#edges[level]!;
  }

  #addEntry(envelope: Uint8Array): void {
    if (this.#bundle.length === 0) this.#bundleFirst = this.#lastIndex;
    this.#bundle.push(Buffer.from(envelope));
    if (this.#bundle.length < TILE_WIDTH) return;
    const index = this.leaves / TILE_WIDTH - 1;
    this.#compareBundle(index);
    this.#bundle = [];
  }

  #compareTile(level: number, edge: RightEdge): void {
    const { index, count, first, hashes } = edge;
    this.#compare({ level, index, width: count }, hashes, first, (width) => width * HASH_BYTES);
  }

  #compareBundle(index: number): void {
    const bundle = encodeBundle(this.#bundle);
    const ends = [0];
    for (const entry of this.#bundle) ends.push(ends.at(-1)! + 2 + entry.length);
    this.#compare({ level: 'entries', index, width: this.#bundle.length }, bundle, this.#bundleFirst, (w) => ends[w]!);
  }

  /**
   * Compares the tile, and every partial tile of it that is on disk, with what the records give. What the checkpoint
   * reaches over must be there, as partial or whole tile.
   */
  #compare(known: TileName, expected: Buffer, first: number, lengthAt: (width: number) => number): void {
    const { folder, path, report } = this.#options;
    const whole = tilePath({ ...known, width: TILE_WIDTH });
    const widths = partialWidths(join(folder, `${whole}.p`)).filter((width) => width <= known.width);
    if (known.width === TILE_WIDTH) widths.push(TILE_WIDTH);
    const present = new Set<number>();
    for (const width of widths) {
      const tile = tilePath({ ...known, width });
      const bytes = readOrNull(join(folder, tile));
      if (!bytes) continue;
      present.add(width);
      if (bytes.compare(expected, 0, lengthAt(width)) !== 0)
        report(`${path}/${tile}`, first, 'it does not follow from the records');
    }
    const needed = tileWidthAt(this.signed, known.level === 'entries' ? 0 : known.level, known.index);
    if (needed > 0 && needed <= known.width && !present.has(needed) && !existsSync(join(folder, whole)))
      report(`${path}/${tilePath({ ...known, width: needed })}`, first, 'it is missing');
  }

  #checkEdges(): void {
    for (const [level, edge] of this.#edges.entries()) if (edge.count > 0) this.#compareTile(level, edge);
    if (this.#bundle.length > 0) this.#compareBundle(Math.floor(this.leaves / TILE_WIDTH));
  }

  /** Every file below the tree must be one that was compared. */
  #walk(below: string, live: boolean): void {
    const { folder, path, entries, report, skip } = this.#options;
    for (const item of listOf(join(folder, below))) {
      const name = below === '' ? item.name : `${below}/${item.name}`;
      if (item.isDirectory()) {
        this.#walk(name, live);
        continue;
      }
      if (name === 'checkpoint') continue;
      const tile = item.isFile() ? parseTilePath(name) : null;
      if (!tile || (tile.level === 'entries' && !entries)) {
        report(`${path}/${name}`, null, 'a file that does not belong to the log');
        continue;
      }
      const level = tile.level === 'entries' ? 0 : tile.level;
      const known = tileWidthAt(this.leaves, level, tile.index);
      if (tile.width > known && live) skip(`${path}/${name}: written while this was read`);
      else if (tile.width > known) report(`${path}/${name}`, null, 'it covers more records than there are');
    }
  }
}

function partialWidths(folder: string): number[] {
  return listOf(folder)
    .map(({ name }) => name)
    .filter((name) => /^[1-9][0-9]{0,2}$/.test(name) && Number(name) < TILE_WIDTH)
    .map(Number);
}

/** Empty when the folder is not, or no longer, there: a writer removes partial tiles that are whole by now. */
function listOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function readOrNull(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
