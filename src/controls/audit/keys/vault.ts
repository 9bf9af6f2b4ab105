import { seal, unseal } from '../../../core/crypto/envelope.ts';
import type { Keyring, SubjectKey } from './keyring.ts';
import { tenantTag } from './keyring.ts';

const VERSION = 1;
const KID_BYTES = 16;

/**
 * Seals values of calls that other controls store, under the same subject keys as the payload of records: erasing a
 * subject reaches them. Sealed: version (1) ‖ key id (16) ‖ sealed bytes.
 */
export interface Vault {
  /** @param aad says where the value belongs; the same is needed to open it */
  seal(tenant: string, subject: string, plaintext: Uint8Array, aad: string): Uint8Array | Promise<Uint8Array>;
  /** Null when the key was erased, or the bytes, the subject or the place are not those that were sealed. */
  open(
    tenant: string,
    subject: string,
    sealed: Uint8Array,
    aad: string,
  ): Uint8Array | null | Promise<Uint8Array | null>;
}

export function vaultOf(keyring: Keyring, deployment: string, utc: () => number): Vault {
  const tags = new Map<string, string>();
  const tagOf = (tenant: string) => {
    let tag = tags.get(tenant);
    if (!tag) {
      tag = tenantTag(deployment, tenant).toString('hex');
      tags.set(tenant, tag);
    }
    return tag;
  };
  return {
    seal(tenant, subject, plaintext, aad) {
      const tag = tagOf(tenant);
      const place = `vault\n${tag}\n${aad}`;
      const key = keyring.cachedSubject(tag, subject, utc());
      if (key) return sealUnder(key, plaintext, place);
      return keyring.subject(tag, subject, utc(), true).then((made) => sealUnder(made!, plaintext, place));
    },
    open(tenant, subject, sealed, aad) {
      if (sealed[0] !== VERSION || sealed.length <= 1 + KID_BYTES) return null;
      const tag = tagOf(tenant);
      const place = `vault\n${tag}\n${aad}`;
      const key = keyring.cachedSubject(tag, subject, utc());
      if (key) return openUnder(key, sealed, place);
      return keyring
        .subject(tag, subject, utc(), false)
        .then((found) => (found ? openUnder(found, sealed, place) : null));
    },
  };
}

function sealUnder(key: SubjectKey, plaintext: Uint8Array, place: string): Buffer {
  return Buffer.concat([Buffer.from([VERSION]), Buffer.from(key.kid, 'base64url'), seal(key.key, plaintext, place)]);
}

function openUnder(key: SubjectKey, sealed: Uint8Array, place: string): Buffer | null {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length);
  if (bytes.toString('base64url', 1, 1 + KID_BYTES) !== key.kid) return null;
  return unseal(key.key, bytes.subarray(1 + KID_BYTES), place);
}
