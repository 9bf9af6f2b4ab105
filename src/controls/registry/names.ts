import { sha256 } from '../../core/crypto/digest.ts';
import { folded, skeleton } from './look-alike.ts';

/**
 * Names on `/mcp` (architecture.md section 6): `<prefix>__<name>`, because Claude, OpenAI and Gemini clients refuse
 * names outside `^[a-zA-Z0-9_-]{1,64}$`. Gemini moreover wants a letter or underscore first, and one of its references
 * says 63, so 63 it is. Computed and pinned at review; looked up in a map, never split.
 */
export const MAX_EXPOSED = 63;
export const EXPOSED_NAME = /^[a-zA-Z_][a-zA-Z0-9_-]{0,62}$/;
const DIGEST_LENGTH = 8;

/** The name under which an item of a server with this prefix is exposed. Long names keep their beginning and get a digest. */
export function exposedName(prefix: string, name: string): string {
  const plain = `${prefix}__${name.replace(/[^a-zA-Z0-9_-]/gu, '_')}`;
  if (plain.length <= MAX_EXPOSED) return plain;
  const digest = sha256(name).toString('hex').slice(0, DIGEST_LENGTH);
  return `${plain.slice(0, MAX_EXPOSED - DIGEST_LENGTH - 1)}_${digest}`;
}

/** Whether a reviewed exposed name may stand: safe for every client and inside its own server's namespace. */
export function fitsPrefix(prefix: string, exposed: string): boolean {
  return EXPOSED_NAME.test(exposed) && exposed.startsWith(`${prefix}__`) && exposed.length > prefix.length + 2;
}

export interface Named {
  /** What must be unlike every other: exposed name or URI. */
  readonly name: string;
}

/**
 * Entries that another could be taken for: the same name, the same but for case, or look-alike. All parties to a
 * collision are returned; none of them may be served, so that neither captures the other's calls (threats.md T33c).
 */
export function collisions<T extends Named>(entries: readonly T[]): Map<T, T> {
  const found = new Map<T, T>();
  for (const form of [folded, skeleton]) {
    const seen = new Map<string, T>();
    for (const entry of entries) {
      const key = form(entry.name);
      const other = seen.get(key);
      if (other === undefined) seen.set(key, entry);
      else {
        found.set(entry, other);
        if (!found.has(other)) found.set(other, entry);
      }
    }
  }
  return found;
}
