import type { Now, Principal, Target } from '../../core/call.ts';
import type { Refusal } from '../../core/stage.ts';

/** What is left in the tightest window, or why there is nothing left. A plain value when nothing has to be waited for. */
export type Allowed = number | Refusal | Promise<number | Refusal>;

/** How much may be asked for: drivers `window` and `unlimited`. */
export interface Allowance {
  /** One call, before anybody knows what it asks for. */
  call(principal: Principal, source: string, now: Now): Allowed;
  /** The weight of one target on top of that. */
  target(principal: Principal, target: Target, now: Now): Allowed;
}
