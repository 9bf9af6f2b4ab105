import { segmentName } from '../format/segments.ts';

/**
 * How a log lies in a bucket, where nothing can be appended to and nothing replaced: a segment in pieces named by the
 * byte they begin at, a checkpoint named by its size, tiles and bundles as they are called anyway.
 */
const DIGITS = 16;

const padded = (count: number) => String(count).padStart(DIGITS, '0');

/** Path below the replica, e.g. `segments/00000001.seg/0000000000000000`. */
export function pieceName(segment: number, offset: number): string {
  return `segments/${segmentName(segment)}/${padded(offset)}`;
}

/** @param file `checkpoint` or `cosigned` */
export function signedName(tree: string, file: 'checkpoint' | 'cosigned', size: number): string {
  return `${tree}/${file}/${padded(size)}`;
}

/** The number that a name ends with; null when it is none of ours. */
export function numberIn(name: string): number | null {
  return /^[0-9]{16}$/.test(name) && Number.isSafeInteger(Number(name)) ? Number(name) : null;
}
