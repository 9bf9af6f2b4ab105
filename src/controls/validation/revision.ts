import { REVISIONS, type Revision } from '../../core/call.ts';
import { Refusal } from '../../core/stage.ts';
import { type Envelope, refuse } from './envelope.ts';

const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';

/**
 * Finds the era of a message from its body first (protocol.md 1.1): a malformed modern envelope is an error, never a
 * silent way back to an older era.
 * @param header MCP-Protocol-Version, trimmed, or null
 */
export function readRevision(envelope: Envelope, header: string | null): Revision | Refusal {
  const meta = envelope.params['_meta'];
  const { idBytes } = envelope;
  const claimed = isObject(meta) && Object.hasOwn(meta, VERSION) ? meta[VERSION] : undefined;
  if (claimed === undefined) return withoutClaim(envelope, header);
  if (typeof claimed !== 'string')
    return refuse('validation.meta', `params._meta["${VERSION}"] must be a string.`, idBytes);
  if (header !== null && header !== claimed) {
    return refuse(
      'validation.header_mismatch',
      'MCP-Protocol-Version differs from the version in params._meta.',
      idBytes,
    );
  }
  const revision = REVISIONS.find((known) => known === claimed);
  if (revision === undefined) return unsupported(claimed, idBytes);
  if (envelope.kind === 'request' && !isObject((meta as Readonly<Record<string, unknown>>)[CAPABILITIES])) {
    return refuse('validation.meta', `params._meta["${CAPABILITIES}"] must be an object.`, idBytes);
  }
  return revision;
}

/** No version in the body: the header decides whether this is a broken modern message or one of an older era. */
function withoutClaim(envelope: Envelope, header: string | null): Revision | Refusal {
  const revision = REVISIONS.find((known) => known === header);
  if (revision === undefined) return unsupported(header ?? envelope.params['protocolVersion'], envelope.idBytes);
  return envelope.kind === 'notification' ? revision : new Refusal('validation.meta', withId(envelope.idBytes));
}

function unsupported(requested: unknown, idBytes: Uint8Array | null): Refusal {
  // What was asked for is repeated only when it looks like a version; the specification wants it in `data`.
  const shown = typeof requested === 'string' && /^[\x21-\x7e]{1,32}$/.test(requested) ? { requested } : {};
  return new Refusal('validation.revision', { data: { supported: REVISIONS, ...shown }, ...withId(idBytes) });
}

function withId(requestId: Uint8Array | null): { readonly requestId?: Uint8Array } {
  return requestId === null ? {} : { requestId };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
