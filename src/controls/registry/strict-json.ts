import { scanDocument } from '../../core/mcp/scanner.ts';
import { treeOf } from '../../core/mcp/tree.ts';

/**
 * Parses one JSON text and refuses what two readers could understand differently: not UTF-8, a member named twice in
 * whatever escaping, and the member `__proto__`. `JSON.parse` alone keeps the last of two and says nothing.
 * @returns the tree, or why there is none
 */
export function parseStrict(bytes: Uint8Array): { readonly value: unknown } | 'duplicate_member' | 'malformed' {
  const scanned = scanDocument(bytes);
  if (typeof scanned === 'string')
    return scanned === 'duplicate_key' || scanned === 'folded_key' ? 'duplicate_member' : 'malformed';
  const value: unknown = treeOf(new TextDecoder().decode(bytes));
  return namesPrototype(value) ? 'malformed' : { value };
}

/** A member of this name changes what an object is for whoever copies it carelessly. Depth is bounded by the scan. */
function namesPrototype(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.hasOwn(value, '__proto__') || Object.values(value).some(namesPrototype);
}
