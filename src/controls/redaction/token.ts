import { createHmac } from 'node:crypto';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import { type Found, TYPE_CLASS, type Type } from './types.ts';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const TOKEN_BYTES = 10;

/** What stands in the place of a value: same tenant, type and normalised value, same token (dlp.md section 5.6). */
export interface Tokeniser {
  replacement(found: Found, tenant: string): string;
}

/**
 * `[EMAIL:K7…]` for personal data: 80 bits of HMAC-SHA256 over tenant, type and value, so that an agent can tell
 * two people apart and nobody without the key can guess a number back. `[PRIVATE_KEY removed]` for secrets.
 */
export function openTokeniser(keys: KeyPairOf<SymmetricKey>): Tokeniser {
  const secret = keys[0].secret;
  return {
    replacement(found, tenant) {
      if (found.replacement !== undefined) return found.replacement;
      if (TYPE_CLASS[found.type] === 'secret') return marker(found.type);
      // Lengths go first: no tenant and type can be shifted into one another.
      const mac = createHmac('sha256', secret).update(`${tenant.length}:${tenant}${found.type.length}:${found.type}`);
      return `[${found.type}:${base32(mac.update(found.value).digest().subarray(0, TOKEN_BYTES))}]`;
    },
  };
}

export function marker(type: Type): string {
  return `[${type} removed]`;
}

function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32[(held >>> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return text;
}
