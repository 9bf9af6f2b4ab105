import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HASH_BYTES } from '../../../core/crypto/merkle.ts';
import { decodeBundle, TILE_WIDTH, type TileName, tilePath } from '../../../core/crypto/tiles.ts';

/** The files that a tree of `to` leaves has and the same tree of `from` leaves had not, whole tiles before partial ones. */
export function* tilesBetween(from: number, to: number, entries: boolean): Generator<TileName> {
  for (let level = 0; TILE_WIDTH ** level <= to; level++) {
    yield* tilesOfLevel(level, Math.floor(from / TILE_WIDTH ** level), Math.floor(to / TILE_WIDTH ** level));
  }
  if (entries) yield* tilesOfLevel('entries', from, to);
}

function* tilesOfLevel(level: TileName['level'], from: number, to: number): Generator<TileName> {
  if (from === to) return;
  const last = Math.floor(to / TILE_WIDTH);
  for (let index = Math.floor(from / TILE_WIDTH); index < last; index++) yield { level, index, width: TILE_WIDTH };
  if (to % TILE_WIDTH > 0) yield { level, index: last, width: to % TILE_WIDTH };
}

/**
 * Bytes of a tile or bundle. A partial one may have given way to the whole one meanwhile, which begins with it.
 * @throws Error when neither is there, or it is shorter than its name says
 */
export async function readTreeFile(folder: string, name: TileName): Promise<Buffer> {
  const path = join(folder, tilePath(name));
  const whole = join(folder, tilePath({ ...name, width: TILE_WIDTH }));
  const bytes = (await readOrNull(path)) ?? (path === whole ? null : await readOrNull(whole));
  const length = bytes === null ? -1 : lengthOf(bytes, name);
  if (bytes === null || length < 0 || length > bytes.length) throw new Error(`${path} of the log cannot be read`);
  return bytes.subarray(0, length);
}

function lengthOf(bytes: Buffer, { level, width }: TileName): number {
  if (level !== 'entries') return width * HASH_BYTES;
  const entries = decodeBundle(bytes);
  if (entries === null || entries.length < width) return -1;
  return entries.slice(0, width).reduce((sum, entry) => sum + 2 + entry.length, 0);
}

/** Null when there is no such file. */
export async function readOrNull(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
