import type { RefusalsOf } from '../../core/mcp/refusals.ts';

export const TRANSPORT_REFUSALS = [
  /** Not exactly one Host header that names us, or a target in absolute form that names another. */
  'transport.host',
  /** A browser page of a place that is not on the list. */
  'transport.origin',
  'transport.method',
  'transport.path',
  /** A repeated header that somebody decides by, both framings at once, Expect; another HTTP version, or chunks in 1.0. */
  'transport.framing',
  'transport.media_type',
  'transport.not_acceptable',
  'transport.too_large',
  'transport.timeout',
  'transport.aborted',
  'transport.draining',
] as const satisfies readonly RefusalsOf<'transport'>[];

type Complete = RefusalsOf<'transport'> extends (typeof TRANSPORT_REFUSALS)[number] ? true : false;
true satisfies Complete;
