import type { RefusalsOf } from '../../core/mcp/refusals.ts';

export const AUDIT_REFUSALS = [
  /** The journal has failed, is full or hangs: no intent, no call. */
  'audit.unavailable',
  /** The call ran, but its outcome cannot be made durable: the result is held back. */
  'audit.outcome_unknown',
] as const satisfies readonly RefusalsOf<'audit'>[];

type Complete = RefusalsOf<'audit'> extends (typeof AUDIT_REFUSALS)[number] ? true : false;
true satisfies Complete;
