import {
  type Call,
  type CallWith,
  type Client,
  LEGACY_REVISIONS,
  type Message,
  MODERN_REVISION,
  type Now,
  type Revision,
} from '../../core/call.ts';
import type { Refusal, Stage } from '../../core/stage.ts';
import { refuse } from './refusals.ts';
import { isObject, keptCapabilities, type Sessions, trimmed } from './sessions.ts';

export type SessionStage = Stage<'endpoint' | 'principal', 'client'>;

const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const INFO = 'io.modelcontextprotocol/clientInfo';
const LEVEL = 'io.modelcontextprotocol/logLevel';
const NAME_LENGTH = 64;
const VERSION_LENGTH = 32;
const NOTHING: Readonly<Record<string, unknown>> = Object.freeze({});

/** Who speaks: a modern request says so itself; a legacy one by the session it names, which must be its principal's own. */
export function sessionStage(sessions: Pick<Sessions, 'open'>): SessionStage {
  return {
    name: 'authentication.session',
    leaves: 'client',
    run(call: CallWith<'endpoint' | 'principal'>, now: Now): Client | Refusal {
      const { message } = call as Call;
      if (message?.revision === MODERN_REVISION) return modern(message);
      if (message?.method === 'initialize') return beginning(message);
      const named = call.head.headers['mcp-session-id'];
      const said = call.head.headers['mcp-protocol-version'];
      // Some clients never send the id back: they are served without what only a session knows (protocol.md 2.2 B).
      if (named === undefined) return sessionless(said);
      const place = { resource: call.endpoint.resource, principal: call.principal };
      const client = typeof named === 'string' ? sessions.open(named, place, now.utc) : 'malformed';
      if (typeof client === 'string') return refuse('authentication.session', `session: ${client}`);
      if (said !== undefined && said !== client.revision)
        return refuse('authentication.session', 'session: negotiated another revision than the header names');
      return client;
    },
  };
}

function modern({ params }: Message): Client {
  const meta = (params['_meta'] ?? NOTHING) as Readonly<Record<string, unknown>>;
  const info = meta[INFO];
  const level = meta[LEVEL];
  const named = isObject(info);
  return {
    revision: MODERN_REVISION,
    capabilities: (meta[CAPABILITIES] ?? NOTHING) as Readonly<Record<string, unknown>>,
    name: named ? short(info['name'], NAME_LENGTH) : '',
    version: named ? short(info['version'], VERSION_LENGTH) : '',
    logLevel: typeof level === 'string' ? level : null,
    session: null,
  };
}

const PLAIN = /^[\x20-\x7e]*$/;
/** The same text as `trimmed`, without its work where there is nothing to trim. */
function short(text: unknown, length: number): string {
  return typeof text === 'string' && text.length <= length && PLAIN.test(text) ? text : trimmed(text, length);
}

/** `initialize`: what the client says now is what its session will say. */
function beginning({ params }: Message): Client {
  const info = isObject(params['clientInfo']) ? params['clientInfo'] : NOTHING;
  return {
    revision: negotiated(params['protocolVersion']),
    capabilities: keptCapabilities(params['capabilities']),
    name: trimmed(info['name'], NAME_LENGTH),
    version: trimmed(info['version'], VERSION_LENGTH),
    logLevel: null,
    session: null,
  };
}

/** The same revision if it begins with `initialize`, else the newest that does; never the modern one (protocol.md 1.6). */
function negotiated(asked: unknown): Revision {
  return isLegacy(asked) ? asked : LEGACY_REVISIONS[0]!;
}

function isLegacy(revision: unknown): revision is (typeof LEGACY_REVISIONS)[number] {
  return (LEGACY_REVISIONS as readonly unknown[]).includes(revision);
}

const SESSIONLESS = new Map<Revision, Client>(
  LEGACY_REVISIONS.map((revision) => [
    revision,
    Object.freeze({ revision, capabilities: NOTHING, name: '', version: '', logLevel: null, session: null }),
  ]),
);

/** A revision nobody named is the oldest one we speak (protocol.md 1.6). */
function sessionless(said: unknown): Client {
  return SESSIONLESS.get(isLegacy(said) ? said : LEGACY_REVISIONS.at(-1)!)!;
}
