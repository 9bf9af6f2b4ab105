import { hash } from 'node:crypto';
import type { Principal } from '../../core/call.ts';
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

/** Names a token at a resource without holding the token. Neither may contain a line feed. */
export function tokenDigest(token: string, resource: string): string {
  return hash('sha256', `${token}\n${resource}`, 'base64url');
}

/** Verified tokens by digest, least recently used dropped first. Holds no failures: those cost nothing to make. */
export class TokenCache {
  readonly #entries = new Map<string, Verified>();
  readonly #bound: number;

  constructor(bound: number) {
    this.#bound = bound;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(digest: string): Verified | undefined {
    const found = this.#entries.get(digest);
    if (found === undefined) return undefined;
    // Map keeps insertion order: taking an entry out and in again makes it the youngest.
    this.#entries.delete(digest);
    this.#entries.set(digest, found);
    return found;
  }

  /** Without making it younger. */
  peek(digest: string): Verified | undefined {
    return this.#entries.get(digest);
  }

  set(digest: string, verified: Verified): void {
    this.#entries.delete(digest);
    if (this.#entries.size >= this.#bound) this.#entries.delete(this.#entries.keys().next().value!);
    this.#entries.set(digest, verified);
  }

  delete(digest: string): void {
    this.#entries.delete(digest);
  }
}
