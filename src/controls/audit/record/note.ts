import { canonicalJson } from '../../../core/crypto/jcs.ts';
import type { Entry } from './ledger.ts';
import { PlainText } from './plaintext.ts';

/** What the log says of itself, in the tree of tenant `system`. @param time ms UTC */
export function note(kind: 'full' | 'recovery' | 'refusals', time: number, meta: Record<string, unknown>): Entry {
  return { kind, time, refs: [], meta: new PlainText(canonicalJson(meta)), payload: null };
}
