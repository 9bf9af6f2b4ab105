import type { Allowance } from '../allowance.ts';

/** No windows. It has a name so that it shows as weak wherever limits are shown. */
export const UNLIMITED: Allowance = Object.freeze({
  call: () => Number.POSITIVE_INFINITY,
  target: () => Number.POSITIVE_INFINITY,
});
