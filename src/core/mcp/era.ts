import { LEGACY_REVISIONS, type Message, MODERN_REVISION, type Revision } from '../call.ts';
import { Refusal, type RefusalFacts } from '../refusal.ts';

/**
 * Which revision a posted message speaks (protocol.md 1.1): the body first. A version claimed in `_meta` makes it a
 * modern one, and then a malformed envelope is an error, never a silent way back to an older era. GET and DELETE,
 * arrays and responses exist in legacy revisions only.
 */
export interface EraFacts {
  readonly kind: Message['kind'];
  /** '' for a response. */
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** Lexeme of the id, repeated in refusals. */
  readonly idBytes: Uint8Array | null;
}

const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
/** What may be claimed in `_meta`. */
const CLAIMED: readonly Revision[] = [MODERN_REVISION];
/** What `initialize` begins with when the client asks for something else. */
const NEWEST = LEGACY_REVISIONS[0]!;
/** What a request that names nothing is taken for (1.6); its session may know better. */
const ASSUMED = LEGACY_REVISIONS.at(-1)!;

/**
 * @param header MCP-Protocol-Version without surrounding blanks; null when there is none
 * @returns the revision the message itself names or implies, or validation.meta, .envelope, .revision, .header_mismatch
 */
export function readRevision(facts: EraFacts, header: string | null): Revision | Refusal {
  const meta = facts.params['_meta'];
  if (meta !== undefined) {
    if (!isObject(meta)) return refuse(facts, 'validation.envelope', { text: 'params._meta must be an object.' });
    if (!isToken(meta['progressToken']))
      return refuse(facts, 'validation.envelope', { text: 'progressToken must be a string or a whole number.' });
    if (Object.hasOwn(meta, VERSION)) return claimed(facts, meta, header);
  }
  if (header !== null && isModern(header)) return modernHeaderAlone(facts, header);
  if (facts.method === 'initialize') return asked(facts.params['protocolVersion']);
  if (header === null) return ASSUMED;
  return LEGACY_REVISIONS.find((known) => known === header) ?? unsupported(facts, header, LEGACY_REVISIONS);
}

/** Dates compare as text. What is newer than all we know is modern too, and not served. */
function isModern(version: string): boolean {
  return version >= MODERN_REVISION;
}

function claimed(facts: EraFacts, meta: Readonly<Record<string, unknown>>, header: string | null): Revision | Refusal {
  const version = meta[VERSION];
  if (typeof version !== 'string')
    return refuse(facts, 'validation.meta', { text: `params._meta["${VERSION}"] must be a string.` });
  const known = version === MODERN_REVISION;
  if (known && facts.kind === 'request' && !isObject(meta[CAPABILITIES]))
    return refuse(facts, 'validation.meta', { text: `params._meta["${CAPABILITIES}"] must be an object.` });
  if (header !== null && header !== version)
    return mismatch(facts, 'MCP-Protocol-Version differs from the version in params._meta.');
  return known ? MODERN_REVISION : unsupported(facts, version, CLAIMED);
}

/** The header promises a modern message and the body is none. */
function modernHeaderAlone(facts: EraFacts, header: string): Revision | Refusal {
  if (facts.kind === 'response')
    return refuse(facts, 'validation.envelope', { text: 'Responses are not part of this protocol revision.' });
  if (facts.kind === 'request') {
    return facts.method === 'initialize'
      ? mismatch(facts, 'initialize is not part of the protocol revision that MCP-Protocol-Version names.')
      : refuse(facts, 'validation.meta');
  }
  return header === MODERN_REVISION ? MODERN_REVISION : unsupported(facts, header, CLAIMED);
}

function asked(version: unknown): Revision {
  return LEGACY_REVISIONS.find((known) => known === version) ?? NEWEST;
}

function unsupported(facts: EraFacts, requested: string, supported: readonly Revision[]): Refusal {
  // What was asked for is repeated only when it looks like a version; the specification wants it in `data`.
  const shown = /^[\x21-\x7e]{1,32}$/.test(requested) ? { requested } : {};
  return refuse(facts, 'validation.revision', {
    data: { supported, ...shown },
    ...(supported === CLAIMED ? {} : { legacy: true }),
  });
}

function mismatch(facts: EraFacts, text: string): Refusal {
  return refuse(facts, 'validation.header_mismatch', { text });
}

type Code = 'validation.meta' | 'validation.envelope' | 'validation.revision' | 'validation.header_mismatch';

function refuse({ idBytes }: EraFacts, code: Code, more: RefusalFacts = {}): Refusal {
  return new Refusal(code, idBytes === null ? more : { ...more, requestId: idBytes });
}

function isToken(token: unknown): boolean {
  return token === undefined || typeof token === 'string' || Number.isSafeInteger(token);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
