import { HASH_BYTES, type NodeAt, nodeHash } from './merkle.ts';

/** Layout of C2SP tlog-tiles v0.1.0: hash tiles of 256 and entry bundles with a 16-bit length before each entry. */
export const TILE_WIDTH = 256;
export const TILE_HEIGHT = 8;
/** The length prefix of a bundle has 16 bits. */
export const MAX_ENTRY_BYTES = 65_535;

export interface TileName {
  /** `entries`, or the level of a hash tile. */
  readonly level: number | 'entries';
  readonly index: number;
  /** 1–256; below 256 the tile is partial. */
  readonly width: number;
}

/** Path under the log's folder, e.g. `tile/0/x001/x234/067.p/8`. */
export function tilePath({ level, index, width }: TileName): string {
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const groups = padded.match(/.{3}/g) as string[];
  const path = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
  return `tile/${level}/${path}${width < TILE_WIDTH ? `.p/${width}` : ''}`;
}

/** Reads a path; null when it is not exactly what `tilePath` writes. */
export function parseTilePath(path: string): TileName | null {
  const match = /^tile\/(entries|0|[1-9][0-9]?)\/((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/.exec(path);
  if (!match) return null;
  const level = match[1] === 'entries' ? 'entries' : Number(match[1]);
  const index = Number(match[2]!.replaceAll(/[x/]/g, ''));
  const width = match[3] === undefined ? TILE_WIDTH : Number(match[3]);
  const name = { level, index, width } as const;
  return Number.isSafeInteger(index) && width <= TILE_WIDTH && tilePath(name) === path ? name : null;
}

/** Is this a folder in which files of `tilePath` may stand? Sizes are safe integers: no index has more digits. */
export function isTileFolder(path: string): boolean {
  return /^tile(?:\/(?:entries|0|[1-9][0-9]?)(?:\/x[0-9]{3}){0,5}(?:\/[0-9]{3}\.p)?)?$/.test(path);
}

/** Entries of one bundle, each behind its length. */
export function encodeBundle(entries: readonly Uint8Array[]): Buffer {
  const bundle = Buffer.allocUnsafe(entries.reduce((sum, entry) => sum + 2 + entry.length, 0));
  let at = 0;
  for (const entry of entries) {
    if (entry.length > MAX_ENTRY_BYTES) throw new RangeError(`an entry of ${entry.length} bytes does not fit a bundle`);
    at = bundle.writeUInt16BE(entry.length, at);
    bundle.set(entry, at);
    at += entry.length;
  }
  return bundle;
}

/** The entries of an attacker-controlled bundle; null when the lengths do not add up. */
export function decodeBundle(bundle: Uint8Array): Buffer[] | null {
  const bytes = Buffer.from(bundle.buffer, bundle.byteOffset, bundle.length);
  const entries: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 2 > bytes.length) return null;
    const end = at + 2 + bytes.readUInt16BE(at);
    if (end > bytes.length) return null;
    entries.push(bytes.subarray(at + 2, end));
    at = end;
  }
  return entries;
}

/** How many hashes stand in the tile `index` of `level` when the tree has `size` leaves (0 to 256). */
export function tileWidthAt(size: number, level: number, index: number): number {
  const nodes = Math.floor(size / TILE_WIDTH ** level);
  return Math.max(0, Math.min(TILE_WIDTH, nodes - index * TILE_WIDTH));
}

/** Subtree hashes out of hash tiles. `readTile` gives the hashes of a tile, as many as there are. */
export function nodesFromTiles(readTile: (level: number, index: number) => Uint8Array): NodeAt {
  return (level, index) => {
    const tileLevel = Math.floor(level / TILE_HEIGHT);
    const height = level % TILE_HEIGHT;
    const first = index * 2 ** height;
    const tile = readTile(tileLevel, Math.floor(first / TILE_WIDTH));
    return foldTile(tile, first % TILE_WIDTH, 2 ** height);
  };
}

function foldTile(tile: Uint8Array, first: number, width: number): Uint8Array {
  if ((first + width) * HASH_BYTES > tile.length) throw new RangeError('the tile does not reach that far');
  if (width === 1) return tile.subarray(first * HASH_BYTES, (first + 1) * HASH_BYTES);
  return nodeHash(foldTile(tile, first, width / 2), foldTile(tile, first + width / 2, width / 2));
}
