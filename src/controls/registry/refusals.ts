import type { RefusalCode, RefusalsOf } from '../../core/mcp/refusals.ts';

/**
 * The registry has no refusal of its own: what it does not serve is a candidate without target, which
 * authorization.visible answers as unknown, so that quarantined, hidden and nonexistent are one answer.
 */
export const REGISTRY_REFUSALS = [] as const satisfies readonly RefusalsOf<'registry'>[];

/** The one code of the table its lists return: a cursor that is not ours, or not this caller's. */
export const CURSOR_REFUSAL = 'validation.cursor' as const satisfies RefusalCode;

/** Does not compile when the table names a refusal of this control that the list above lacks. */
type Missing = Exclude<RefusalsOf<'registry'>, (typeof REGISTRY_REFUSALS)[number]>;
const complete: [Missing] extends [never] ? true : Missing = true;
void complete;
