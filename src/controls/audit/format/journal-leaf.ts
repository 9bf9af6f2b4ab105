import { sha256, sha256Into } from '../../../core/crypto/digest.ts';
import { TAG_BYTES } from './frame.ts';

const journalLeafBytes = Buffer.alloc(1 + 8 + TAG_BYTES + 32);
/**
 * The journal's own tree binds what no tenant's tree shows: order across tenants, and that no tenant is missing. Its
 * leaf is SHA-256(0x00 ‖ index (8, big-endian) ‖ tag (16) ‖ leaf hash of the envelope (32)).
 */
export function journalLeaf(index: number, tag: Uint8Array, leaf: Uint8Array): Buffer {
  fillJournalLeaf(index, tag, leaf);
  return sha256(journalLeafBytes);
}

/** The same, written into `into`: once for each record. */
export function journalLeafInto(into: Buffer, index: number, tag: Uint8Array, leaf: Uint8Array): void {
  fillJournalLeaf(index, tag, leaf);
  sha256Into(journalLeafBytes, into, 0);
}

function fillJournalLeaf(index: number, tag: Uint8Array, leaf: Uint8Array): void {
  journalLeafBytes.writeUInt32BE(Math.floor(index / 2 ** 32), 1);
  journalLeafBytes.writeUInt32BE(index % 2 ** 32, 5);
  journalLeafBytes.set(tag, 9);
  journalLeafBytes.set(leaf, 9 + TAG_BYTES);
}
