import { InternalError } from '../core/internal-error.ts';
import { ITSELF } from '../core/itself.ts';
import { type ReceivedResult, readAnswer } from './answer.ts';
import { MODERN, type UpstreamEra } from './outgoing.ts';
import { type Outgoing, type Wire, WireFault } from './wire.ts';

/** An open conversation with an upstream: its era, and what legacy HTTP wants repeated on every request. */
export interface Session {
  readonly era: UpstreamEra;
  readonly wire: Wire;
  readonly sessionId: string | null;
  readonly revision: string;
  /** Parts of the protocol the upstream declared: tools, prompts, resources. */
  readonly capabilities: Readonly<Record<string, unknown>>;
  /** What it says it is; of a legacy server, by which another in its place shows. */
  readonly identity: string;
}

/** What a session id may be (protocol.md 1.6): it goes out again as a header value. */
const SESSION_ID = /^[\x21-\x7e]{1,1024}$/;
const HANDSHAKE_MS = 10_000;
const HANDSHAKE_BYTES = 1024 * 1024;
const LEGACY_LATEST = '2025-11-25';
const LEGACY = [LEGACY_LATEST, '2025-06-18', '2025-03-26', '2024-11-05'];

function handshake(
  id: number,
  method: string,
  body: object,
  headers: readonly string[],
  timeoutMs = HANDSHAKE_MS,
): Outgoing {
  return {
    id,
    method,
    bytes: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, ...body })),
    headers,
    timeoutMs,
    maxBytes: HANDSHAKE_BYTES,
    signal: null,
    onOther: null,
  };
}

/** @param capabilities as they are declared: ours, or those of the client that is served */
export function modernMeta(capabilities: object = {}): object {
  return {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientCapabilities': capabilities,
    'io.modelcontextprotocol/clientInfo': ITSELF,
  };
}

/**
 * Asks with `server/discover`. A DiscoverResult that lists our revision, or an error that only a modern server gives
 * (-32020..-32022), is modern; any other answer is legacy. Trouble on the way is no evidence (protocol.md 1.1).
 * @returns the session, 'legacy', or the fault that kept us from knowing
 */
export async function probeModern(
  wire: Wire,
  carrier: 'http' | 'stdio',
  again = true,
): Promise<Session | 'legacy' | WireFault> {
  const headers = ['mcp-protocol-version', MODERN, 'mcp-method', 'server/discover'];
  const answer = await wire.exchange(
    handshake(
      1,
      'server/discover',
      { params: { _meta: modernMeta() } },
      headers,
      carrier === 'stdio' ? 5_000 : HANDSHAKE_MS,
    ),
  );
  if (answer instanceof WireFault) {
    // stdio: a timeout or an exit on a request before `initialize` is how many legacy servers answer.
    return carrier === 'stdio' && answer.code !== 'too_large' ? 'legacy' : answer;
  }
  if (answer.status === 401 || answer.status === 403 || answer.status >= 500)
    return new WireFault('unavailable', true, `HTTP ${answer.status} to server/discover`);
  const read = readAnswer(answer, 1);
  if (read instanceof WireFault) return 'legacy';
  if (read.kind === 'error') {
    const { code, data } = read.members();
    if (!MODERN_CODES.includes(code as number)) return 'legacy';
    const supported = (data as { supported?: unknown } | null | undefined)?.supported;
    const ours = code !== VERSION_REFUSED || (Array.isArray(supported) && supported.includes(MODERN));
    if (ours && again) return probeModern(wire, carrier, false);
    // It knows newer revisions than ours alone; some of those also begin with `initialize`.
    return ours ? new WireFault('protocol', false, `server/discover is refused with ${code}`) : 'legacy';
  }
  const discovered = discoverResult(read);
  if (discovered === null) return 'legacy';
  return { era: 'modern', wire, sessionId: null, revision: MODERN, capabilities: discovered, identity: '' };
}

/** Errors only a modern server gives. */
const MODERN_CODES = [-32020, -32021, -32022];
const VERSION_REFUSED = -32022;

function discoverResult(result: ReceivedResult): Record<string, unknown> | null {
  const { supportedVersions, capabilities } = result.members();
  if (!Array.isArray(supportedVersions) || !supportedVersions.includes(MODERN)) return null;
  return (capabilities ?? {}) as Record<string, unknown>;
}

/**
 * `initialize` and `notifications/initialized`.
 * @param capabilities one JSON object: what the upstream may ask for, and nothing we cannot carry back
 */
export async function openLegacy(wire: Wire, capabilities: string): Promise<Session | WireFault> {
  const params = {
    protocolVersion: LEGACY_LATEST,
    capabilities: JSON.parse(capabilities) as object,
    clientInfo: ITSELF,
  };
  const answer = await wire.exchange(handshake(2, 'initialize', { params }, []));
  if (answer instanceof WireFault) return answer;
  if (answer.status !== 200)
    return new WireFault('unavailable', false, `HTTP ${answer.status} to initialize`, answer.status);
  const result = readAnswer(answer, 2);
  if (result instanceof WireFault) return result;
  const { protocolVersion, capabilities: declared, serverInfo } = result.members();
  if (result.kind === 'error' || typeof protocolVersion !== 'string' || !LEGACY.includes(protocolVersion))
    return new WireFault('protocol', false, 'initialize was refused or offers an unknown revision');
  if (answer.session !== null && !SESSION_ID.test(answer.session))
    return new WireFault('protocol', false, 'the session id is not visible ASCII, or too long');
  const session: Session = {
    era: 'legacy',
    wire,
    sessionId: answer.session,
    revision: protocolVersion,
    capabilities: (declared ?? {}) as Record<string, unknown>,
    identity: JSON.stringify([protocolVersion, serverInfo]),
  };
  // Some servers refuse what comes before it; over HTTP it could be overtaken.
  const initialized = Buffer.from('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  if (!(await wire.notify(initialized, legacyHeaders(session))))
    return new WireFault('unavailable', false, 'notifications/initialized was not taken');
  return session;
}

export function legacyHeaders(session: Session): string[] {
  return [
    'mcp-protocol-version',
    session.revision,
    ...(session.sessionId ? ['mcp-session-id', session.sessionId] : []),
  ];
}

const MAX_PAGES = 50;
/** Of all pages of one list: parsed, they weigh many times that. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;

const isItem = (item: unknown): item is Record<string, unknown> => typeof item === 'object' && item !== null;

/**
 * Everything a server says it has under one list method. Bounded: a server that never stops paging is refused.
 * @throws InternalError `upstream.introspection`
 */
export async function listAll(
  session: Session,
  method: string,
  member: string,
  nextId: () => number,
): Promise<Record<string, unknown>[]> {
  const items: Record<string, unknown>[] = [];
  let cursor: string | undefined;
  let room = MAX_LIST_BYTES;
  for (let page = 0; page < MAX_PAGES; page++) {
    const id = nextId();
    const params = {
      ...(cursor === undefined ? {} : { cursor }),
      ...(session.era === 'modern' ? { _meta: modernMeta() } : {}),
    };
    const headers =
      session.era === 'modern' ? ['mcp-protocol-version', MODERN, 'mcp-method', method] : legacyHeaders(session);
    const answer = await session.wire.exchange({
      ...handshake(id, method, { params }, headers),
      maxBytes: Math.min(room, 8 * HANDSHAKE_BYTES),
    });
    if (!(answer instanceof WireFault)) room -= answer.bytes.length;
    const result = answer instanceof WireFault ? answer : readAnswer(answer, id);
    if (result instanceof WireFault)
      throw new InternalError('upstream.introspection', `${method}: ${result.evidence}`, { kind: 'outage' });
    // A part the server declares but does not have is empty.
    if (result.kind === 'error') return items;
    const { [member]: list, nextCursor } = result.members();
    if (!Array.isArray(list) || !list.every(isItem))
      throw new InternalError('upstream.introspection', `${method} answered without ${member}`, { kind: 'outage' });
    for (const item of list) items.push(item);
    if (typeof nextCursor !== 'string') return items;
    cursor = nextCursor;
  }
  throw new InternalError('upstream.introspection', `${method} has more than ${MAX_PAGES} pages`, { kind: 'outage' });
}
