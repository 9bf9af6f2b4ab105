import type { RefusalsOf } from '../../core/mcp/refusals.ts';
import { Refusal } from '../../core/stage.ts';

/** Every way this control says no: five to the caller, four to the person who decides. */
export const APPROVAL_REFUSALS = [
  'approval.required',
  'approval.denied',
  'approval.expired',
  'approval.consumed',
  'approval.unavailable',
  'approval.self',
  'approval.not_entitled',
  'approval.not_found',
  'approval.not_pending',
] as const satisfies readonly RefusalsOf<'approval'>[];
export type ApprovalRefusal = (typeof APPROVAL_REFUSALS)[number];

type Complete = RefusalsOf<'approval'> extends ApprovalRefusal ? true : false;
true satisfies Complete;

/** Fail shut: whatever went wrong, the call is not made and nothing is decided. */
export function unavailable(evidence: string, cause?: unknown): Refusal {
  return new Refusal('approval.unavailable', { evidence, ...(cause === undefined ? {} : { cause }) });
}
