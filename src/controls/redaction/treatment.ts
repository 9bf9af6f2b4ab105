import type { Finding } from '../../core/call.ts';
import type { Depth, Rules } from './detect.ts';
import type { Found } from './types.ts';

/** What is to happen with what is found, decided by direction, settings and profile. */
export interface Treatment {
  readonly rules: Rules;
  action(found: Found, segments: readonly (string | number)[]): Finding['action'];
  replacement(found: Found): string;
  /** How deep a leaf is read; null: not at all (protocol members that only correlate). */
  depth(segments: readonly (string | number)[]): Depth | null;
}
