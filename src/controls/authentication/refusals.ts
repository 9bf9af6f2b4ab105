import type { RefusalsOf } from '../../core/mcp/refusals.ts';
import { Refusal } from '../../core/stage.ts';

/** Everything this control can refuse with. All but `missing` look the same outside (core/mcp/refusals.ts). */
export const AUTHENTICATION_REFUSALS = [
  'authentication.missing',
  'authentication.invalid',
  'authentication.expired',
  'authentication.wrong_audience',
  'authentication.unavailable',
  /** Mcp-Session-Id names no session of this principal: not ours, ended, expired, or somebody else's. */
  'authentication.session',
] as const satisfies readonly RefusalsOf<'authentication'>[];
export type AuthenticationRefusal = (typeof AUTHENTICATION_REFUSALS)[number];

// The list is complete: a row of the table that is missing above does not compile.
type Missing = Exclude<RefusalsOf<'authentication'>, AuthenticationRefusal>;
const complete: [Missing] extends [never] ? true : Missing = true;
void complete;

/** A no, with the reason in our own words for record and log. `evidence` MUST NOT quote anything from the token. */
export function refuse(code: AuthenticationRefusal, evidence: string): Refusal {
  return new Refusal(code, { evidence });
}
