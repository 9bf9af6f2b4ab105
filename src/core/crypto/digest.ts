import { hash } from 'node:crypto';

/** SHA-256, 43 characters of base64url. */
export function sha256Base64Url(data: string | Uint8Array): string {
  return hash('sha256', data, 'base64url');
}

/** SHA-256, 32 bytes. By way of a string: three times as fast as asking for a buffer. */
export function sha256(data: string | Uint8Array): Buffer {
  const digest = Buffer.allocUnsafe(32);
  digest.write(hash('sha256', data, 'latin1'), 0, 32, 'latin1');
  return digest;
}
