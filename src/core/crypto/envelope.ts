import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { randomSlice } from '../ids.ts';

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

/** A key to seal under, opened once and kept. */
export type SealKey = KeyObject;

/** @param secret 32 bytes */
export function sealKey(secret: Uint8Array): SealKey {
  if (secret.length !== 32) throw new TypeError('a sealing key has 32 bytes');
  return createSecretKey(secret);
}

/** Seals `plaintext`; `aad` says where it belongs and is needed to open it. */
export function seal(key: SealKey, plaintext: Uint8Array, aad: string): Buffer {
  const salt = randomSlice(SALT_BYTES);
  const derived = derive(key, salt);
  const cipher = createCipheriv('aes-256-gcm', derived.subarray(0, 32), NONCE);
  cipher.setAAD(Buffer.from(aad));
  const body = cipher.update(plaintext);
  cipher.final();
  const sealed = Buffer.allocUnsafe(SEAL_OVERHEAD + body.length);
  sealed.set(salt, 0);
  sealed.set(derived.subarray(32), SALT_BYTES);
  sealed.set(body, HEAD_BYTES);
  sealed.set(cipher.getAuthTag(), HEAD_BYTES + body.length);
  return sealed;
}

/** The plaintext, or null when key, place or any byte is not the one it was sealed with. */
export function unseal(key: SealKey, sealed: Uint8Array, aad: string): Buffer | null {
  if (sealed.length < SEAL_OVERHEAD) return null;
  const derived = derive(key, sealed.subarray(0, SALT_BYTES));
  if (!timingSafeEqual(derived.subarray(32), sealed.subarray(SALT_BYTES, HEAD_BYTES))) return null;
  const decipher = createDecipheriv('aes-256-gcm', derived.subarray(0, 32), NONCE);
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

/** 64 bytes: the single-use cipher key, then the commitment to it. */
function derive(key: SealKey, salt: Uint8Array): Buffer {
  return createHmac('sha512', key).update(LABEL).update(salt).digest();
}

/** A key derived for one purpose from another, e.g. a tenant's wrapping key from the KEK. */
export function deriveKey(secret: Uint8Array, purpose: string): Buffer {
  return createHmac('sha512', secret).update(`gatewrit key\n${purpose}`).digest().subarray(0, 32);
}
