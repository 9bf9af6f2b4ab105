import { crc32c } from './crc32c.ts';

/**
 * One record in a segment, little-endian: magic (4) ‖ CRC-32C of all that follows (4) ‖ length of the body (4) ‖ body.
 * Body: index (8) ‖ tenant tag (16) ‖ number of parts (1) ‖ length of the envelope (2) ‖ length of each part (4 each) ‖
 * a zero byte ‖ envelope ‖ parts. The zero byte is the prefix RFC 6962 hashes before a leaf: no copy is made for it.
 */
export const FRAME_MAGIC = Buffer.from('GWR1');
const MAGIC_NUMBER = FRAME_MAGIC.readUInt32LE(0);
export const TAG_BYTES = 16;
/** A record larger than this is not ours. */
export const MAX_FRAME_BYTES = 64 * 1024 * 1024;
/** audit.md 3.1 */
export const MAX_ENVELOPE_BYTES = 4096;
const HEAD_BYTES = 12;
const FIXED_BODY_BYTES = 8 + TAG_BYTES + 1 + 2 + 1;
const TWO_32 = 2 ** 32;

export interface Frame {
  /** Position in the physical journal. */
  readonly index: number;
  /** Which tree the record belongs to. */
  readonly tag: Buffer;
  /** The zero byte and the envelope: what the leaf hash covers. */
  readonly leaf: Buffer;
  readonly envelope: Buffer;
  /** Ciphertexts, in the order of the envelope's parts. */
  readonly parts: readonly Buffer[];
  /** Bytes of the whole frame. */
  readonly length: number;
}

/** What a frame is made of: its lengths are known before any byte of it is. */
export interface FrameSource {
  readonly envelopeLength: number;
  /** Of each ciphertext, in the order of the envelope's parts. */
  readonly partLengths: readonly number[];
  /** Writes the envelope at `at` and the ciphertexts behind it, one after the other. */
  writeInto(into: Buffer, at: number): void;
}

export function frameLength({ envelopeLength, partLengths }: FrameSource): number {
  let length = HEAD_BYTES + FIXED_BODY_BYTES + envelopeLength;
  for (const part of partLengths) length += 4 + part;
  return length;
}

/** Where in a frame its leaf (zero byte and envelope) begins. */
export function leafOffset({ partLengths }: FrameSource): number {
  return HEAD_BYTES + FIXED_BODY_BYTES - 1 + 4 * partLengths.length;
}

/** Writes a frame at `at`; there MUST be room for `frameLength`. */
export function writeFrame(into: Buffer, at: number, index: number, tag: Uint8Array, source: FrameSource): void {
  const { envelopeLength, partLengths } = source;
  into.set(FRAME_MAGIC, at);
  let place = at + HEAD_BYTES;
  into.writeUInt32LE(index % TWO_32, place);
  into.writeUInt32LE(Math.floor(index / TWO_32), place + 4);
  into.set(tag, place + 8);
  place += 8 + TAG_BYTES;
  into[place] = partLengths.length;
  into.writeUInt16LE(envelopeLength, place + 1);
  place += 3;
  for (const part of partLengths) place = into.writeUInt32LE(part, place);
  into[place] = 0;
  source.writeInto(into, place + 1);
  const end = at + frameLength(source);
  into.writeUInt32LE(end - at - HEAD_BYTES, at + 8);
  into.writeUInt32LE(crc32c(into, at + 8, end), at + 4);
}

/** Bytes the frame at `at` claims to have (attacker-controlled), 0 when none begins there; needs 12 bytes to look at. */
export function claimedLength(bytes: Buffer, at: number): number {
  if (at + HEAD_BYTES > bytes.length || bytes.readUInt32LE(at) !== MAGIC_NUMBER) return 0;
  const length = HEAD_BYTES + bytes.readUInt32LE(at + 8);
  return length > MAX_FRAME_BYTES || length < HEAD_BYTES + FIXED_BODY_BYTES ? 0 : length;
}

/** Bytes that `peekFrame` needs. */
export const FRAME_HEAD_BYTES = HEAD_BYTES + 8 + TAG_BYTES;

/** Index and tag as the frame at `at` claims them: nothing of it was checked. */
export function peekFrame(bytes: Buffer, at: number): Pick<Frame, 'index' | 'tag'> {
  const place = at + HEAD_BYTES;
  const index = bytes.readUInt32LE(place) + bytes.readUInt32LE(place + 4) * TWO_32;
  return { index, tag: bytes.subarray(place + 8, place + 8 + TAG_BYTES) };
}

/** The whole, undamaged frame at `at` as views into `bytes`, or null. */
export function readFrame(bytes: Buffer, at: number): Frame | null {
  const length = claimedLength(bytes, at);
  const end = at + length;
  if (length === 0 || end > bytes.length) return null;
  if (bytes.readUInt32LE(at + 4) !== crc32c(bytes, at + 8, end)) return null;
  let place = at + HEAD_BYTES;
  const index = bytes.readUInt32LE(place) + bytes.readUInt32LE(place + 4) * TWO_32;
  const tag = bytes.subarray(place + 8, place + 8 + TAG_BYTES);
  place += 8 + TAG_BYTES;
  const count = bytes[place]!;
  const envelopeLength = bytes.readUInt16LE(place + 1);
  place += 3;
  const leaf = place + 4 * count;
  let from = leaf + 1 + envelopeLength;
  if (from > end || bytes[leaf] !== 0 || !Number.isSafeInteger(index)) return null;
  const parts: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    const to = from + bytes.readUInt32LE(place + 4 * i);
    if (to > end) return null;
    parts.push(bytes.subarray(from, to));
    from = to;
  }
  if (from !== end) return null;
  const leafEnd = leaf + 1 + envelopeLength;
  return {
    index,
    tag,
    leaf: bytes.subarray(leaf, leafEnd),
    envelope: bytes.subarray(leaf + 1, leafEnd),
    parts,
    length,
  };
}
