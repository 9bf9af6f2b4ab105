import { hash } from 'node:crypto';

/** SHA-256, 43 characters of base64url. */
export function sha256Base64Url(data: string | Uint8Array): string {
  return hash('sha256', data, 'base64url');
}

/** SHA-256, written at `at`: where there is a place for it already, no memory is needed. */
export function sha256Into(data: string | Uint8Array, into: Buffer, at: number): void {
  into.write(hash('sha256', data, 'latin1'), at, 32, 'latin1');
}

/** SHA-256, 32 bytes. By way of a string: three times as fast as asking for a buffer. */
export function sha256(data: string | Uint8Array): Buffer {
  const digest = Buffer.allocUnsafe(32);
  sha256Into(data, digest, 0);
  return digest;
}
