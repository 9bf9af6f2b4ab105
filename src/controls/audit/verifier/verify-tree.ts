import type { Cosigned } from '../../../core/crypto/cosignature.ts';
import { Frontier, HASH_BYTES } from '../../../core/crypto/merkle.ts';
import type { Checkpoint } from '../../../core/crypto/signed-note.ts';
import {
  isTileFolder,
  parseTilePath,
  TILE_HEIGHT,
  TILE_WIDTH,
  tilePath,
  tileWidthAt,
} from '../../../core/crypto/tiles.ts';
import { type CosignedCheckpoint, type Keys, readCheckpoint, readCosigned } from './checkpoint-files.ts';
import { FOREIGN, type Saying } from './findings.ts';
import type { LogSource } from './source.ts';
import {
  bundleDeparture,
  type Departure,
  type KnownTile,
  type TileFile,
  TileFiles,
  tileDeparture,
} from './tile-check.ts';

export interface VerifiedTree {
  /** `<deployment>/<tag>/<replica>`, `<deployment>/journal/<replica>`, or of a roll-up `<deployment>/<tag>`. */
  readonly origin: string;
  /** Leaves in the journal, and how many of them the signed checkpoint covers. */
  readonly leaves: number;
  readonly signed: number;
  /** base64, of the signed checkpoint; '' when there is none. */
  readonly root: string;
  /** How many leaves the last cosigned checkpoint covers, and which of the given witnesses cosigned it when (s UTC). */
  readonly cosigned: { readonly size: number; readonly by: readonly Cosigned[] } | null;
}

/** A size and root that somebody vouches for: the tree must have had this root at this size. */
export interface Claim {
  /** File of the claim, for findings. */
  readonly file: string;
  readonly checkpoint: Checkpoint;
  /** What was done with so many leaves, and what is wrong when the root is another. */
  readonly verb: string;
  readonly other: string;
}

/** A checkpoint somebody kept elsewhere. */
export interface KeptCheckpoint extends Checkpoint {
  /** Where it was kept, for findings. */
  readonly name: string;
}

export interface TreeCheckOptions extends Saying {
  /** The tree's folder. */
  readonly source: LogSource;
  /** Relative to the replica's folder, for findings. */
  readonly path: string;
  /** Does it hold bundles beside the hashes? */
  readonly entries: boolean;
  /** Bytes of the largest entry. */
  readonly largest: number;
  readonly keys: Keys;
  /** Those of other trees are passed over. */
  readonly kept: readonly KeptCheckpoint[];
}

interface TreeEnd {
  readonly isLive: () => Promise<boolean>;
  readonly broken: boolean;
  readonly next: number;
}

interface RightEdge {
  index: number;
  count: number;
  hashes: Buffer;
  firsts: number[];
}

/** A tree of a few records needs little; a log may have thousands of such trees. */
const FIRST_HASHES = 16;

/** Rebuilds one tree from the journal and compares every tile, bundle and checkpoint with what the source has. */
export class TreeCheck {
  readonly #options: TreeCheckOptions;
  readonly #files: TileFiles;
  readonly #checkpoint: Checkpoint | null;
  readonly #cosigned: CosignedCheckpoint | null;
  readonly #frontier = new Frontier();
  readonly #edges: RightEdge[] = [];
  /** By size; those before `#claim` were compared. */
  readonly #claims: Claim[] = [];
  #claim = 0;
  #claimSize = Number.POSITIVE_INFINITY;
  /** Whole tiles that are not compared yet. */
  #known: KnownTile[] = [];
  /** Hashes, as level/index, that differ because a tile below them does. */
  readonly #dirty = new Set<string>();
  #carried = 0;
  #lastIndex = 0;
  /** Leaves that the journal's checkpoint covers: those the tree's own must cover too. */
  expected = 0;

  private constructor(options: TreeCheckOptions, checkpoint: Checkpoint | null, cosigned: CosignedCheckpoint | null) {
    this.#options = options;
    this.#files = new TileFiles(options.source, options.largest);
    this.#checkpoint = checkpoint;
    this.#cosigned = cosigned;
    const other = 'the records are not those that were signed: another root';
    if (checkpoint) this.#claimed({ file: `${options.path}/checkpoint`, checkpoint, verb: 'signed', other });
    if (!cosigned) return;
    this.#claimed({ file: `${options.path}/cosigned`, checkpoint: cosigned, verb: 'cosigned', other });
    if (!checkpoint || cosigned.origin !== checkpoint.origin || cosigned.size > checkpoint.size)
      options.report(`${options.path}/cosigned`, null, 'its tree is not one that `checkpoint` goes on from');
  }

  /** Reads the checkpoints, the older first: what they cover was there before, also when the log is being written. */
  static async open(options: TreeCheckOptions): Promise<TreeCheck> {
    const { source, path, keys } = options;
    const cosigned = await readCosigned(source, `${path}/cosigned`, keys, options);
    const checkpoint = await readCheckpoint(source, `${path}/checkpoint`, keys.verifiers, options);
    const tree = new TreeCheck(options, checkpoint, cosigned);
    for (const kept of options.kept) if (kept.origin === tree.origin) tree.#claimed(claimOf(kept));
    return tree;
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

  /** Something to compare before the next turn of the reader. */
  get isWaiting(): boolean {
    return this.#known.length > 0;
  }

  summary(): VerifiedTree {
    return {
      origin: this.origin ?? `(no checkpoint) ${this.#options.path}`,
      leaves: this.leaves,
      signed: this.signed,
      root: Buffer.from(this.#checkpoint?.root ?? []).toString('base64'),
      cosigned: this.#cosigned && { size: this.#cosigned.size, by: this.#cosigned.by },
    };
  }

  #claimed(claim: Claim): void {
    this.#claims.push(claim);
    this.#claims.sort((a, b) => a.checkpoint.size - b.checkpoint.size);
    this.#claimSize = this.#claims[0]!.checkpoint.size;
    if (this.#claimSize === 0) this.#compareClaims();
  }

  /** @param index in the journal. The leaf is copied. */
  add(leaf: Uint8Array, index: number): void {
    this.#lastIndex = index;
    this.#frontier.append(leaf, this.#keep);
    if (this.#frontier.size === this.#claimSize) this.#compareClaims();
  }

  /** Compares the tiles that have become whole. */
  async settle(): Promise<void> {
    const known = this.#known;
    this.#known = [];
    await this.#compareAll(known);
  }

  /**
   * @param isLive is the log being written? What is newer than this reading is no finding then
   * @param broken the journal could not be read to its end: that there are fewer leaves than were signed follows
   * @param next index of the record that would come next
   */
  async finish({ isLive, broken, next }: TreeEnd): Promise<void> {
    const { path, report, skip } = this.#options;
    // Where the journal breaks off that there are fewer leaves follows; a checkpoint kept elsewhere is told all the same.
    for (const { file, checkpoint, verb } of this.#claims.slice(this.#claim)) {
      if (broken && file.startsWith(`${path}/`)) continue;
      const what = `${checkpoint.size} leaves were ${verb}, the journal has ${this.leaves}`;
      report(
        file,
        next,
        verb === 'signed before' ? `the log was cut back or rewritten: ${checkpoint.origin}: ${what}` : what,
      );
    }
    if (this.signed < this.expected)
      report(
        `${path}/checkpoint`,
        null,
        `it signs ${this.signed} leaves, but the journal's checkpoint ${this.expected}`,
      );
    if (this.leaves > this.signed)
      skip(`${path}: ${this.leaves - this.signed} records are not signed yet (checksums and digests were checked)`);
    await this.settle();
    await this.#compareAll(this.#openTiles());
    await this.#walk('', isLive, broken);
  }

  #compareClaims(): void {
    const root = this.#frontier.root();
    for (; this.#claims[this.#claim]?.checkpoint.size === this.leaves; this.#claim++) {
      const { file, checkpoint, other } = this.#claims[this.#claim]!;
      if (Buffer.compare(root, checkpoint.root) !== 0) this.#options.report(file, null, other);
    }
    this.#claimSize = this.#claims[this.#claim]?.checkpoint.size ?? Number.POSITIVE_INFINITY;
  }

  readonly #keep = (level: number, _index: number, node: Uint8Array): void => {
    if (level % TILE_HEIGHT !== 0) return;
    const edge = this.#edge(level / TILE_HEIGHT);
    if (edge.count * HASH_BYTES === edge.hashes.length) edge.hashes = grown(edge.hashes);
    edge.firsts[edge.count] = level === 0 ? this.#lastIndex : this.#carried;
    edge.hashes.set(node, edge.count * HASH_BYTES);
    edge.count++;
    if (edge.count < TILE_WIDTH) return;
    this.#carried = edge.firsts[0]!;
    this.#known.push({ level: level / TILE_HEIGHT, ...edge });
    edge.index++;
    edge.count = 0;
    edge.hashes = Buffer.allocUnsafeSlow(TILE_WIDTH * HASH_BYTES);
    edge.firsts = [];
  };

  #edge(level: number): RightEdge {
    while (this.#edges.length <= level)
      this.#edges.push({ index: 0, count: 0, hashes: Buffer.allocUnsafeSlow(FIRST_HASHES * HASH_BYTES), firsts: [] });
    return this.#edges[level]!;
  }

  #openTiles(): KnownTile[] {
    return this.#edges.flatMap((edge, level) => (edge.count > 0 ? [{ level, ...edge }] : []));
  }

  /** Read together, judged in order: a difference above follows from one below. */
  async #compareAll(known: readonly KnownTile[]): Promise<void> {
    const { entries } = this.#options;
    const signed = this.signed;
    const found = await Promise.all(
      known.map(async ({ level, index, count }) => ({
        hashes: await this.#files.read(level, index, count, signed),
        bundle: entries && level === 0 ? await this.#files.read('entries', index, count, signed) : null,
      })),
    );
    known.forEach((tile, i) => {
      const { hashes, bundle } = found[i]!;
      const { level, index } = tile;
      for (const file of hashes.files) {
        const departure = tileDeparture(tile, file, (slot) => this.#dirty.has(`${level}/${index * TILE_WIDTH + slot}`));
        if (departure !== null) this.#dirty.add(`${level + 1}/${index}`);
        this.#reportDeparture(tile, file, departure);
      }
      this.#reportMissing(tile, level, hashes.missing);
      for (const file of bundle?.files ?? []) this.#reportDeparture(tile, file, bundleDeparture(tile, file));
      this.#reportMissing(tile, 'entries', bundle?.missing ?? null);
    });
  }

  #reportDeparture({ firsts }: KnownTile, { path }: TileFile, departure: Departure): void {
    if (departure === null) return;
    const { path: tree, report } = this.#options;
    if (departure === 'too long') report(`${tree}/${path}`, null, 'it goes on behind the last record');
    else report(`${tree}/${path}`, firsts[departure]!, 'it does not follow from the records');
  }

  #reportMissing({ index, firsts }: KnownTile, level: number | 'entries', width: number | null): void {
    if (width === null) return;
    const { path, report } = this.#options;
    report(`${path}/${tilePath({ level, index, width })}`, firsts[0]!, 'it is missing');
  }

  /** Every file below the tree must be one that was compared. */
  async #walk(folder: string, isLive: TreeEnd['isLive'], broken: boolean): Promise<void> {
    const { source, path, entries, report, skip } = this.#options;
    for (const item of (await source.list(folder)) ?? []) {
      const name = folder === '' ? item : `${folder}/${item}`;
      if (name.endsWith('/')) {
        const inner = name.slice(0, -1);
        // Not entered: a name that is no UTF-8 cannot be listed by what it reads as, and would hide what is in there.
        if (isTileFolder(inner)) await this.#walk(inner, isLive, broken);
        else report(`${path}/${inner}`, null, FOREIGN);
        continue;
      }
      if (name === 'checkpoint' || name === 'cosigned') continue;
      const tile = parseTilePath(name);
      if (!tile || (tile.level === 'entries' && !entries)) {
        report(`${path}/${name}`, null, FOREIGN);
        continue;
      }
      const known = tileWidthAt(this.leaves, tile.level === 'entries' ? 0 : tile.level, tile.index);
      if (tile.width <= known || broken) continue;
      if (await isLive()) skip(`${path}/${name}: written while this was read`);
      else report(`${path}/${name}`, null, 'it covers more records than there are');
    }
  }
}

/** What the tree must have been when somebody kept its checkpoint. */
function claimOf({ name, ...checkpoint }: KeptCheckpoint): Claim {
  const other = `the log was cut back or rewritten: ${checkpoint.origin} is another at ${checkpoint.size} records`;
  return { file: name, checkpoint, verb: 'signed before', other };
}

function grown(hashes: Buffer): Buffer {
  const wider = Buffer.allocUnsafeSlow(Math.min(TILE_WIDTH * HASH_BYTES, 4 * hashes.length));
  hashes.copy(wider);
  return wider;
}
