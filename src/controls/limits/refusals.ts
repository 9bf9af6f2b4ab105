import type { RefusalsOf } from '../../core/mcp/refusals.ts';

export const LIMITS_REFUSALS = [
  /** Too many failed authentications from this source: at the door, and in place of the failure itself. */
  'limits.backoff',
  /** A window or a concurrency bound is used up. */
  'limits.exceeded',
  /** More calls in flight than this process takes on. */
  'limits.overloaded',
  /** One principal holds too many streams, sessions or parked calls. */
  'limits.streams',
  /** The ephemeral driver cannot be asked: fail shut. */
  'limits.unavailable',
] as const satisfies readonly RefusalsOf<'limits'>[];

type Complete = RefusalsOf<'limits'> extends (typeof LIMITS_REFUSALS)[number] ? true : false;
true satisfies Complete;
