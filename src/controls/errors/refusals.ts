import type { RefusalsOf } from '../../core/mcp/refusals.ts';

export const ERRORS_REFUSALS = [
  /** Whatever was thrown inside: made by the flow, not by this control's stage. */
  'errors.internal',
] as const satisfies readonly RefusalsOf<'errors'>[];

type Complete = RefusalsOf<'errors'> extends (typeof ERRORS_REFUSALS)[number] ? true : false;
true satisfies Complete;
