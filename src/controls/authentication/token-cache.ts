import { hash } from 'node:crypto';
import type { Principal } from '../../core/call.ts';
import { RecentPairs } from '../../core/recent.ts';
import type { KeySet } from './key-set.ts';
import type { KeySource } from './key-source.ts';

/** A token that was verified, and everything that verdict depends on. */
export interface Verified {
  readonly principal: Principal;
  /** Certificate the token is bound to, checked on every use; null for a plain bearer token. */
  readonly certificate: string | null;
  readonly keys: KeySource;
  /** The very set that verified it: it stands as long as this is the source's latest. */
  readonly set: KeySet;
  /** ms UTC: from here on the token is judged anew (and refused). */
  readonly untilUtc: number;
  /** Monotonic ms: the longest we remember, also when the wall clock is set back. */
  readonly untilMono: number;
}

/**
 * Names a token without holding it: a table by the token itself would be faster by half a microsecond, and would keep
 * every live credential where a heap dump finds it.
 */
export function tokenDigest(token: string): string {
  return hash('sha256', token, 'base64url');
}

/** Verified tokens by resource and digest. Holds no failures: those cost nothing to make. */
export class TokenCache extends RecentPairs<Verified> {}
