import { InternalError } from '../internal-error.ts';

/**
 * The bytes a key is compared and ordered by: UTF-8, so that every driver lists in one order, whatever characters a
 * key holds. A lone surrogate has no UTF-8 form; two such keys would become one, so they are refused.
 */
export function keyBytes(key: string): Buffer {
  if (!key.isWellFormed()) throw new InternalError('store.key', 'a store key holds a lone surrogate; encode it first');
  return Buffer.from(key, 'utf8');
}

/** First bytes after all keys that begin with `prefix`; null: there is no end. The byte 0xff never occurs in UTF-8. */
export function prefixEnd(prefix: Buffer): Buffer | null {
  if (prefix.length === 0) return null;
  const end = Buffer.from(prefix);
  end[end.length - 1]! += 1;
  return end;
}

/** Tables are fixed words of the code, never input. */
export function tableName(name: string): string {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(name))
    throw new InternalError('store.table', 'a table name is a word of the code');
  return name;
}
