import type { RefusalsOf } from '../../core/mcp/refusals.ts';

export const VALIDATION_REFUSALS = [
  /** Not UTF-8, or it begins with a byte order mark. */
  'validation.encoding',
  /** Not one JSON text (RFC 8259), or a lone surrogate in it. */
  'validation.json',
  /** An object names one member twice, at any depth. */
  'validation.duplicate_key',
  /** Too deep, too many members, a string or number too long, a number beyond the range of a double. */
  'validation.bounds',
  'validation.batch',
  /** JSON, but no request or notification: wrong version, id or params, a response, an unknown or disguised member. */
  'validation.envelope',
  /** params._meta lacks what every request must carry. */
  'validation.meta',
  /** A method of an extension that this client did not declare on the request. */
  'validation.capability',
  'validation.revision',
  /** A mirrored header is missing, malformed or says something else than the body. */
  'validation.header_mismatch',
  'validation.method',
  'validation.params',
  /** Raised where lists are made: the cursor is not one of ours. */
  'validation.cursor',
  /** requestState: not ours, not for this call or caller, expired, or used before. */
  'validation.round',
  /** The arguments do not match the pinned definition. */
  'validation.arguments',
  /** The arguments are larger than the manifest allows for this target. */
  'validation.too_large',
] as const satisfies readonly RefusalsOf<'validation'>[];

type Complete = RefusalsOf<'validation'> extends (typeof VALIDATION_REFUSALS)[number] ? true : false;
true satisfies Complete;
