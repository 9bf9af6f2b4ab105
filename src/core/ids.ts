import { randomFillSync } from 'node:crypto';

const pool = Buffer.allocUnsafe(4096);
let used = pool.length;

/** Fresh random bytes; the view is overwritten never (each range is handed out once), but copy it to keep memory small. */
export function randomSlice(length: number): Buffer {
  if (used + length > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const slice = Buffer.from(pool.subarray(used, used + length));
  pool.fill(0, used, used + length);
  used += length;
  return slice;
}

/** UUIDv7 (RFC 9562): 48 bits of ms UTC, then random. For calls (= correlation id) and records. */
export function uuidv7(utc: number): string {
  const bytes = randomSlice(16);
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
