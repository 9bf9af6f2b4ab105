import type { OpenRecord } from './read.ts';

/** A record as a line of JSON says it, without its payload. Every member by name, so that nothing goes out that was not meant to. */
export function plainRecord({ replica, index, leaf, origin, leafHash, envelope, meta, notes }: OpenRecord) {
  return { replica, index, leaf, origin, leafHash: leafHash.toString('base64'), envelope, meta, notes };
}
