import { deriveKey, type SealKey, seal, sealKey, unseal } from '../../core/crypto/envelope.ts';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';

/** Whose cursor it is and of which list: sealed into it, so that it fits nobody and nothing else. */
export interface CursorBinding {
  readonly principal: string;
  /** Name of the list method. */
  readonly list: string;
  /** Server of `/mcp/{server}`; null on `/mcp`. */
  readonly server: string | null;
}

const MAX_CURSOR = 4096;

/** Opaque cursors of lists, under a key derived from the state seal for this purpose alone. */
export class Cursors {
  readonly #keys: readonly SealKey[];

  constructor(keys: KeyPairOf<SymmetricKey>) {
    this.#keys = keys.flatMap((key) => (key ? [sealKey(deriveKey(key.secret, 'registry cursor 1'))] : []));
  }

  /** @param position name of the last entry on the page */
  seal(binding: CursorBinding, position: string): string {
    return seal(this.#keys[0]!, Buffer.from(position), placeOf(binding)).toString('base64url');
  }

  /** The position, or null for a cursor (attacker-controlled) that we did not make for exactly this. */
  open(binding: CursorBinding, cursor: string): string | null {
    if (cursor.length > MAX_CURSOR || !/^[A-Za-z0-9_-]+$/.test(cursor)) return null;
    const sealed = Buffer.from(cursor, 'base64url');
    if (sealed.toString('base64url') !== cursor) return null;
    for (const key of this.#keys) {
      const position = unseal(key, sealed, placeOf(binding));
      if (position) return position.toString();
    }
    return null;
  }
}

function placeOf({ principal, list, server }: CursorBinding): string {
  return `registry cursor ${JSON.stringify([principal, list, server])}`;
}
