import type { Now } from '../../core/call.ts';
import type { KeySet } from './key-set.ts';

/**
 * Where the keys of one issuer come from; drivers: a file, a URL. A driver MUST NOT hand out keys past their bound,
 * MUST NOT ask more often than its cool-down however many tokens name unknown keys, and MUST NOT throw.
 */
export interface KeySource {
  /** The set in use; another object as soon as the keys changed. What an older set verified is verified anew. */
  readonly latest: KeySet | null;
  /** Monotonic ms: until then the set may be used without asking. */
  readonly freshUntil: number;
  /** The keys, or null when there are none we may use now. A promise only when the source had to be asked. */
  current(now: Now): KeySet | null | Promise<KeySet | null>;
  /** The keys after looking again for one we do not know; at once the same set within the cool-down. */
  lookAgain(now: Now): KeySet | null | Promise<KeySet | null>;
  close(): void | Promise<void>;
}
