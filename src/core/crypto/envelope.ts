import { createCipheriv, createDecipheriv, createHmac, hash, timingSafeEqual } from 'node:crypto';
import { randomInto } from '../ids.ts';

/**
 * Sealing under a long-lived 256-bit key (audit.md 3.2): 24 random bytes and HMAC-SHA-512 give a single-use AES-256-GCM
 * key and a key commitment, which GCM itself lacks. Because every key is used once, the nonce is constant; nothing is
 * ever counted, so a reused index or a restored snapshot cannot repeat a (key, nonce).
 * Sealed: salt (24) ‖ commitment (32) ‖ ciphertext ‖ tag (16).
 */
export const SEAL_ALG = 'HS512-A256GCM-KC';
const SALT_BYTES = 24;
const COMMITMENT_BYTES = 32;
const TAG_BYTES = 16;
const HEAD_BYTES = SALT_BYTES + COMMITMENT_BYTES;
export const SEAL_OVERHEAD = HEAD_BYTES + TAG_BYTES;
const NONCE = Buffer.alloc(12);
const LABEL = Buffer.from(`gatewrit ${SEAL_ALG}\n`);
const BLOCK_BYTES = 128;
const DIGEST_BYTES = 64;
/** The last key derived and its commitment: in use until the next. */
const derived = Buffer.alloc(DIGEST_BYTES);
const cipherKey = derived.subarray(0, 32);
const keyCommitment = derived.subarray(32);

/**
 * A key to seal under, opened once and kept: the two padded blocks of HMAC-SHA-512 (RFC 2104), ready to be hashed. An
 * Hmac object per record costs more than twice as much as the two hashes (a test compares the results).
 */
export class SealKey {
  readonly #inner: Buffer;
  readonly #outer: Buffer;

  /** @param secret 32 bytes */
  constructor(secret: Uint8Array) {
    if (secret.length !== 32) throw new TypeError('a sealing key has 32 bytes');
    this.#inner = Buffer.alloc(BLOCK_BYTES + LABEL.length + SALT_BYTES, 0x36);
    this.#outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES, 0x5c);
    for (const [i, byte] of secret.entries()) {
      this.#inner[i] = byte ^ 0x36;
      this.#outer[i] = byte ^ 0x5c;
    }
    this.#inner.set(LABEL, BLOCK_BYTES);
  }

  /**
   * HMAC-SHA-512(secret, label ‖ salt): the single-use cipher key, then the commitment to it; good until the next call.
   * The salt stands in `bytes` at `at`.
   */
  derive(bytes: Uint8Array, at = 0): Buffer {
    const from = BLOCK_BYTES + LABEL.length;
    for (let i = 0; i < SALT_BYTES; i++) this.#inner[from + i] = bytes[at + i]!;
    this.#outer.write(hash('sha512', this.#inner, 'latin1'), BLOCK_BYTES, DIGEST_BYTES, 'latin1');
    derived.write(hash('sha512', this.#outer, 'latin1'), 0, DIGEST_BYTES, 'latin1');
    return derived;
  }
}

/** @param secret 32 bytes */
export function sealKey(secret: Uint8Array): SealKey {
  return new SealKey(secret);
}

/** Seals `plaintext`; `aad` says where it belongs and is needed to open it. */
export function seal(key: SealKey, plaintext: Uint8Array, aad: string): Buffer {
  const sealed = Buffer.allocUnsafe(SEAL_OVERHEAD + plaintext.length);
  sealInto(sealed, 0, key, plaintext, aad);
  return sealed;
}

/** The same, written at `at`, where there MUST be room for it. Returns where it ends. */
export function sealInto(
  into: Uint8Array,
  at: number,
  key: SealKey,
  plaintext: Uint8Array,
  aad: string | Uint8Array,
): number {
  randomInto(into, at, SALT_BYTES);
  key.derive(into, at);
  into.set(keyCommitment, at + SALT_BYTES);
  const cipher = createCipheriv('aes-256-gcm', cipherKey, NONCE);
  cipher.setAAD(typeof aad === 'string' ? Buffer.from(aad) : aad);
  into.set(cipher.update(plaintext), at + HEAD_BYTES);
  cipher.final();
  const end = at + HEAD_BYTES + plaintext.length;
  into.set(cipher.getAuthTag(), end);
  return end + TAG_BYTES;
}

/** The plaintext, or null when key, place or any byte is not the one it was sealed with. */
export function unseal(key: SealKey, sealed: Uint8Array, aad: string): Buffer | null {
  if (sealed.length < SEAL_OVERHEAD) return null;
  key.derive(sealed);
  if (!timingSafeEqual(keyCommitment, sealed.subarray(SALT_BYTES, HEAD_BYTES))) return null;
  const decipher = createDecipheriv('aes-256-gcm', cipherKey, NONCE);
  decipher.setAAD(Buffer.from(aad));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const body = decipher.update(sealed.subarray(HEAD_BYTES, sealed.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    // The tag does not fit: an expected answer for bytes that others may have changed.
    return null;
  }
  return body;
}

/** A key derived for one purpose from another, e.g. a tenant's wrapping key from the KEK. */
export function deriveKey(secret: Uint8Array, purpose: string): Buffer {
  return createHmac('sha512', secret).update(`gatewrit key\n${purpose}`).digest().subarray(0, 32);
}
