/** CRC-32C (Castagnoli), sixteen bytes at a time. Node's zlib has only the other polynomial. */
const TABLES = new Int32Array(16 * 256);
for (let i = 0; i < 256; i++) {
  let value = i;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  TABLES[i] = value;
}
for (let at = 256; at < TABLES.length; at++) {
  const before = TABLES[at - 256]!;
  TABLES[at] = (before >>> 8) ^ TABLES[before & 255]!;
}
const NO_WORDS = new Int32Array(0);

/** Checksum of bytes [start, end). Words are read as this machine has them: every platform we run on is little-endian. */
export function crc32c(bytes: Uint8Array, start: number, end: number): number {
  let crc = -1;
  let i = start;
  for (; i < end && ((bytes.byteOffset + i) & 3) !== 0; i++) crc = TABLES[(crc ^ bytes[i]!) & 255]! ^ (crc >>> 8);
  const count = ((end - i) >>> 4) * 4;
  const words = count > 0 ? new Int32Array(bytes.buffer, bytes.byteOffset + i, count) : NO_WORDS;
  for (let k = 0; k < count; k += 4) {
    const a = crc ^ words[k]!;
    const b = words[k + 1]!;
    const c = words[k + 2]!;
    const d = words[k + 3]!;
    crc =
      TABLES[0xf00 | (a & 255)]! ^
      TABLES[0xe00 | ((a >>> 8) & 255)]! ^
      TABLES[0xd00 | ((a >>> 16) & 255)]! ^
      TABLES[0xc00 | (a >>> 24)]! ^
      TABLES[0xb00 | (b & 255)]! ^
      TABLES[0xa00 | ((b >>> 8) & 255)]! ^
      TABLES[0x900 | ((b >>> 16) & 255)]! ^
      TABLES[0x800 | (b >>> 24)]! ^
      TABLES[0x700 | (c & 255)]! ^
      TABLES[0x600 | ((c >>> 8) & 255)]! ^
      TABLES[0x500 | ((c >>> 16) & 255)]! ^
      TABLES[0x400 | (c >>> 24)]! ^
      TABLES[0x300 | (d & 255)]! ^
      TABLES[0x200 | ((d >>> 8) & 255)]! ^
      TABLES[0x100 | ((d >>> 16) & 255)]! ^
      TABLES[d >>> 24]!;
  }
  for (i += count * 4; i < end; i++) crc = TABLES[(crc ^ bytes[i]!) & 255]! ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}
