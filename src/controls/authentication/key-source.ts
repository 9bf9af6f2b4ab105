import type { Now } from '../../core/call.ts';
import type { KeySet } from './key-set.ts';

/**
 * Where the keys of one issuer come from; drivers: a file, a URL. A driver MUST NOT hand out keys past their bound,
 * MUST NOT ask more often than its cool-down however many tokens name unknown keys, and MUST NOT throw.
 */
export interface KeySource {
  /** Grows with every change of the set; what was verified with an older version is verified anew. */
  readonly version: number;
  /** Monotonic ms: until then the set may be used without asking. */
  readonly freshUntil: number;
  /** The keys, or null when there are none we may use now. A promise only when the source had to be asked. */
  current(now: Now): KeySet | null | Promise<KeySet | null>;
  /** The keys after looking again for one we do not know; at once the same set within the cool-down. */
  lookAgain(now: Now): KeySet | null | Promise<KeySet | null>;
  close(): void | Promise<void>;
}
