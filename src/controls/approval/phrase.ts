import { WORDS } from './words.ts';

/**
 * Four words of a digest (32 bits), the same on every channel: a person can tell over the phone that two cards are
 * one. The digest holds a nonce of ours, so nobody can search for a call with the phrase of another.
 * @param digest SHA-256, base64url
 */
export function phraseOf(digest: string): string {
  return [...Buffer.from(digest, 'base64url').subarray(0, 4)].map((byte) => WORDS[byte]!).join(' ');
}

/** The first 12 hexadecimal digits of a digest. */
export function prefixOf(digest: string): string {
  return Buffer.from(digest, 'base64url').subarray(0, 6).toString('hex');
}
