import { randomFillSync } from 'node:crypto';

const pool = Buffer.allocUnsafe(4096);
let used = pool.length;
const uuid = Buffer.alloc(16);

/** Writes fresh random bytes, each handed out once and wiped here: no buffer of their own for salts and keys. */
export function randomInto(into: Uint8Array, at: number, length: number): void {
  if (used + length > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  for (let i = 0; i < length; i++) {
    into[at + i] = pool[used]!;
    pool[used++] = 0;
  }
}

/** Fresh random bytes in a buffer of their own. */
export function randomSlice(length: number): Buffer {
  const slice = Buffer.allocUnsafe(length);
  randomInto(slice, 0, length);
  return slice;
}

/** UUIDv7 (RFC 9562): 48 bits of ms UTC, then random. For calls (= correlation id) and records. */
export function uuidv7(utc: number): string {
  const bytes = uuid;
  randomInto(bytes, 0, 16);
  bytes.writeUIntBE(utc, 0, 6);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** 128 random bits for handles that leave the process. */
export function handle(): string {
  return randomSlice(16).toString('base64url');
}
