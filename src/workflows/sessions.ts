import type { Place, Sessions } from '../controls/authentication/index.ts';
import type { CallWith, Message, Now, Principal, Reply, Result } from '../core/call.ts';
import type { InFlight } from '../core/in-flight.ts';
import { parseSpan, scanDocument, textOf } from '../core/mcp/scanner.ts';
import { Refusal } from '../core/stage.ts';
import type { Stages } from '../pipeline.ts';

/** A notification is acknowledged by its status alone. */
export const TAKEN: Reply = Object.freeze({
  kind: 'result',
  bytes: new Uint8Array(0),
  findings: [],
  diagnostics: null,
  status: 202,
});
const ENDED: Reply = Object.freeze({ ...TAKEN, status: 200 });

export interface SessionPorts {
  readonly sessions: Pick<Sessions, 'begin' | 'end' | 'setLevel'>;
  /** The result of `server/discover` for this caller, JSON text: what initialize offers is what discovery offers. */
  readonly discover: (call: CallWith<'endpoint' | 'principal'>, now: Now) => string;
  readonly inFlight: Pick<InFlight, 'calls'>;
  /** Told of the end of a session. */
  readonly onEnded: (session: string, principal: Principal) => void;
}

type Local = CallWith<'endpoint' | 'principal' | 'message' | 'client'>;

/** What a legacy session is told by the gateway alone; its notifications; its end (protocol.md 1.6). */
export function sessionStages(ports: SessionPorts): Stages['sessions'] {
  const local = (call: Local, now: Now): Result | Refusal => {
    if (call.message.method === 'initialize') return begin(ports, call, now);
    if (call.message.method === 'ping') return EMPTY;
    const level = call.message.params['level'];
    if (typeof level !== 'string' || !LEVELS.includes(level))
      return new Refusal('validation.params', { text: `level must be one of ${LEVELS.join(', ')}.` });
    // Without a session there is nothing the level could be kept for; the client asked for what we cannot give, not for an error.
    if (call.client.session) ports.sessions.setLevel(call.client.session.id, level);
    return EMPTY;
  };
  return {
    local: { name: 'sessions.local', leaves: 'scrubbed', run: local },
    notified: {
      name: 'sessions.notified',
      leaves: 'reply',
      run(call) {
        if (call.message.method === 'notifications/cancelled') cancel(ports.inFlight, call);
        return TAKEN;
      },
    },
    ended: {
      name: 'sessions.ended',
      leaves: 'reply',
      run(call, now) {
        const { session } = call.client;
        if (!session || !ports.sessions.end(session.id, session.expiresAt, now.utc))
          return new Refusal('transport.method');
        // Its streams end with it, and what waits for an answer of its client; calls that run go on to their records,
        // their answers find nobody.
        for (const other of ports.inFlight.calls())
          if (other.head.method === 'GET' && other.client?.session?.id === session.id) other.cancel();
        ports.onEnded(session.id, call.principal);
        return ENDED;
      },
    },
  };
}

/** RFC 5424, least severe first. */
const LEVELS: readonly string[] = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];
const EMPTY = resultOf({});

function begin({ sessions, discover }: SessionPorts, call: Local, now: Now): Result {
  const offered = JSON.parse(discover(call, now)) as Offered;
  const place: Place = { resource: call.endpoint.resource, principal: call.principal };
  call.opened = sessions.begin(call.client, place, now.utc);
  return resultOf({
    protocolVersion: call.client.revision,
    // Any session may set its level: what servers log is filtered by it on the way.
    // Extensions are of the modern revision alone; undefined is no member.
    capabilities: { ...offered.capabilities, extensions: undefined, logging: {} },
    serverInfo: offered._meta['io.modelcontextprotocol/serverInfo'],
    ...(offered.instructions === undefined ? {} : { instructions: offered.instructions }),
  });
}

interface Offered {
  readonly capabilities: object;
  readonly instructions?: string;
  readonly _meta: { readonly 'io.modelcontextprotocol/serverInfo': object };
}

/** Ends the request a notification names, if it runs in the very same session of the same principal. Nothing else answers to a name. */
function cancel(inFlight: Pick<InFlight, 'calls'>, call: CallWith<'principal' | 'message' | 'client'>): void {
  const session = call.client.session?.id;
  const id = requestIdOf(call.message);
  if (session === undefined || id === null) return;
  for (const other of inFlight.calls()) {
    if (other.client?.session?.id !== session || other.principal?.key !== call.principal.key) continue;
    if (other.message && isNamed(other.message, id)) other.cancel();
  }
}

/** The id a cancellation names: its lexeme, because two large numbers may be one to JSON.parse. */
function requestIdOf({ bytes, spans }: Message): string | null {
  if (!spans.params) return null;
  const params = bytes.subarray(spans.params.start, spans.params.end);
  const scanned = scanDocument(params);
  const span = typeof scanned === 'string' ? undefined : scanned.members?.get('requestId');
  if (!span) return null;
  const value = parseSpan(params, span);
  return typeof value === 'string' ? JSON.stringify(value) : textOf(params, span.start, span.end);
}

function isNamed({ kind, method, id, bytes, spans }: Message, name: string): boolean {
  // initialize cannot be cancelled (protocol.md 1.6).
  if (kind !== 'request' || !spans.id || method === 'initialize') return false;
  return name === (typeof id === 'string' ? JSON.stringify(id) : textOf(bytes, spans.id.start, spans.id.end));
}

function resultOf(value: object): Result {
  const bytes = Buffer.from(JSON.stringify(value));
  return { kind: 'result', bytes, diagnostics: null, view: () => value };
}
