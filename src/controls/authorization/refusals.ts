import type { RefusalsOf } from '../../core/mcp/refusals.ts';

/** Every way this control says no. */
export const AUTHORIZATION_REFUSALS = [
  'authorization.unknown',
  'authorization.insufficient_scope',
  'authorization.denied',
  'authorization.unavailable',
] as const satisfies readonly RefusalsOf<'authorization'>[];
export type AuthorizationRefusal = (typeof AUTHORIZATION_REFUSALS)[number];

/** Does not compile when the table in core knows a code of this control that the list above lacks. */
type Complete = RefusalsOf<'authorization'> extends AuthorizationRefusal ? true : false;
true satisfies Complete;
