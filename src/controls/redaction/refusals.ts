import type { RefusalsOf } from '../../core/mcp/refusals.ts';

/** Everything this control can refuse with. */
export const REDACTION_REFUSALS = [
  'redaction.blocked',
  'redaction.unavailable',
] as const satisfies readonly RefusalsOf<'redaction'>[];
export type RedactionRefusal = (typeof REDACTION_REFUSALS)[number];

// The list is complete: a row of the table that is missing above does not compile.
type Missing = Exclude<RefusalsOf<'redaction'>, RedactionRefusal>;
const complete: [Missing] extends [never] ? true : Missing = true;
void complete;
