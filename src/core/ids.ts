import { randomFillSync } from 'node:crypto';

const pool = Buffer.allocUnsafe(4096);
let used = pool.length;
const uuid = Buffer.alloc(16);
const uuidText = Buffer.alloc(36, '-');
const HEX = Buffer.from('0123456789abcdef');

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
  randomInto(bytes, 6, 10);
  bytes.writeUIntBE(utc, 0, 6);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  // One string out of one buffer: pieces put together would each be an object of their own.
  let at = 0;
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) at++;
    uuidText[at++] = HEX[bytes[i]! >> 4]!;
    uuidText[at++] = HEX[bytes[i]! & 15]!;
  }
  return uuidText.toString('latin1');
}

/** 128 random bits for handles that leave the process. */
export function handle(): string {
  return randomSlice(16).toString('base64url');
}
