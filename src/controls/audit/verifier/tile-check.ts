import { sha256 } from '../../../core/crypto/digest.ts';
import { HASH_BYTES } from '../../../core/crypto/merkle.ts';
import { TILE_WIDTH, type TileName, tilePath, tileWidthAt } from '../../../core/crypto/tiles.ts';
import type { LogSource } from './source.ts';

/** A tile as the records give it. */
export interface KnownTile {
  readonly level: number;
  readonly index: number;
  /** How many of its hashes are known. */
  readonly count: number;
  readonly hashes: Buffer;
  /** Journal index of the first record below each hash. */
  readonly firsts: readonly number[];
}

/** One file that stands for a tile: whole, or one of its partial ones. */
export interface TileFile {
  readonly path: string;
  readonly width: number;
  readonly bytes: Buffer;
}

/** Where a file departs from what is known: a slot, `tooLong`, or nowhere. */
export type Departure = number | 'too long' | null;

/**
 * The files of one tile (or bundle) as a source has them: the whole one, every partial one that a listing shows or a
 * checkpoint needs. Only what is known can be compared: wider ones are left to who knows more.
 */
export class TileFiles {
  readonly #source: LogSource;
  readonly #largest: number;
  /** The folder listed last, of hashes and of bundles: a log is read in its order. */
  readonly #listed = new Map<string, { folder: string; names: ReadonlySet<string> | null }>();

  /** @param largest bytes of the largest entry of a bundle */
  constructor(source: LogSource, largest: number) {
    this.#source = source;
    this.#largest = largest;
  }

  /** @param signed size of the checkpoint. `missing`: the width it needs, when no file has it. */
  async read(
    level: TileName['level'],
    index: number,
    count: number,
    signed: number,
  ): Promise<{ files: TileFile[]; missing: number | null }> {
    const needed = tileWidthAt(signed, level === 'entries' ? 0 : level, index);
    const isNeeded = needed > 0 && needed <= count;
    const widths = new Set(isNeeded ? [needed] : []);
    for (const width of await this.#widths(level, index)) if (width <= count) widths.add(width);
    if (count === TILE_WIDTH) widths.add(TILE_WIDTH);
    const files: TileFile[] = [];
    for (const width of widths) {
      const file = await this.#file({ level, index, width });
      if (file) files.push(file);
    }
    if (!isNeeded || files.some(({ width }) => width === needed || width === TILE_WIDTH))
      return { files, missing: null };
    // The writer has removed the partial one: a whole one took its place, and begins with it.
    const whole = count < TILE_WIDTH ? await this.#file({ level, index, width: TILE_WIDTH }) : null;
    if (whole) files.push(whole);
    const missing = whole ? null : needed;
    return { files, missing };
  }

  async #file(name: TileName): Promise<TileFile | null> {
    const path = tilePath(name);
    const most = name.width * (name.level === 'entries' ? 2 + this.#largest : HASH_BYTES);
    const bytes = await this.#source.read(path, 0, most + 1);
    return bytes && { path, width: name.width, bytes };
  }

  async #widths(level: TileName['level'], index: number): Promise<number[]> {
    const whole = tilePath({ level, index, width: TILE_WIDTH });
    const slash = whole.lastIndexOf('/');
    const folder = whole.slice(0, slash);
    let listed = this.#listed.get(String(level));
    if (listed?.folder !== folder) {
      const names = await this.#source.list(folder);
      listed = { folder, names: names && new Set(names) };
      this.#listed.set(String(level), listed);
    }
    if (!listed.names?.has(`${whole.slice(slash + 1)}.p/`)) return [];
    const names = (await this.#source.list(`${whole}.p`)) ?? [];
    return names.filter((name) => /^[1-9][0-9]{0,2}$/.test(name) && Number(name) < TILE_WIDTH).map(Number);
  }
}

/** Where a hash tile departs from what the records give; slots for which `excused` are passed over. */
export function tileDeparture(
  known: KnownTile,
  { bytes, width }: TileFile,
  excused: (slot: number) => boolean,
): Departure {
  const { hashes } = known;
  const compared = Math.min(width, known.count);
  if (
    bytes.length === width * HASH_BYTES &&
    bytes.compare(hashes, 0, compared * HASH_BYTES, 0, compared * HASH_BYTES) === 0
  )
    return null;
  for (let slot = 0; slot < compared; slot++) {
    const [from, to] = [slot * HASH_BYTES, (slot + 1) * HASH_BYTES];
    if (bytes.length < to) return slot;
    if (bytes.compare(hashes, from, to, from, to) !== 0 && !excused(slot)) return slot;
  }
  return bytes.length > width * HASH_BYTES ? 'too long' : null;
}

/** Where a bundle departs: each of its entries is hashed again and must be the leaf in the same place. */
export function bundleDeparture(known: KnownTile, { bytes, width }: TileFile): Departure {
  const compared = Math.min(width, known.count);
  let at = 0;
  for (let slot = 0; slot < compared; slot++) {
    const end = at + 2 <= bytes.length ? at + 2 + bytes.readUInt16BE(at) : Number.POSITIVE_INFINITY;
    if (end > bytes.length) return slot;
    // The second byte of the length, read by now, makes room for the zero that RFC 6962 hashes before a leaf.
    bytes[at + 1] = 0;
    const leaf = sha256(bytes.subarray(at + 1, end));
    if (leaf.compare(known.hashes, slot * HASH_BYTES, (slot + 1) * HASH_BYTES) !== 0) return slot;
    at = end;
  }
  return width === compared && at < bytes.length ? 'too long' : null;
}
