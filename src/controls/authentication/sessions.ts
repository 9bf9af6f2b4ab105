import { hash } from 'node:crypto';
import { type Client, LEGACY_REVISIONS, type Principal, type Revision, type Session } from '../../core/call.ts';
import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { deriveKey, type SealKey, seal, sealKey, unseal } from '../../core/crypto/envelope.ts';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import { handle } from '../../core/ids.ts';

/**
 * Sessions of legacy clients, sealed into `Mcp-Session-Id` (protocol.md 2.4): `s1.<kid>.<base64url>`. Nothing is stored
 * to begin one, any process with the keys opens it, and it is never a credential: whoever names one must be its own
 * principal by his token, at the endpoint it was begun at.
 */
export interface Sessions {
  /** A sealed id for what the client said of itself in `initialize`; at most 2048 visible ASCII characters. */
  begin(client: Client, at: Place, utc: number): string;
  /** The client whose session this is, or why there is none, in our own words. `sealed` is attacker-controlled. */
  open(sealed: string, at: Place, utc: number): Client | SessionFault;
  /** Ends a session for this process until it would have expired; false when no more can be remembered. */
  end(id: string, expiresAt: number, utc: number): boolean;
  /** Whether requests that name it are refused now. */
  isOver(session: Session, utc: number): boolean;
  /** What `logging/setLevel` asked for. Forgotten with the oldest sessions, or with this process. */
  setLevel(id: string, level: string): void;
}

export interface Place {
  /** `Endpoint.resource`. */
  readonly resource: string;
  readonly principal: Pick<Principal, 'issuer' | 'subject' | 'client' | 'tenant'>;
}

export const SESSION_FAULTS = [
  'malformed',
  'unknown key',
  'does not open',
  'another principal',
  'expired',
  'ended',
] as const;
export type SessionFault = (typeof SESSION_FAULTS)[number];

export interface SessionsOptions {
  readonly seal: KeyPairOf<SymmetricKey>;
  /** Life of a session, ms. */
  readonly lifeMs: number;
  /** Opened ids and log levels remembered. */
  readonly remembered: number;
  /** Ended sessions remembered until they expire. */
  readonly ended: number;
}

const PREFIX = 's1.';
const MAX_SEALED = 2048;
const KID_LENGTH = 11;
/** Capabilities above this many bytes are cut to what is known, so that the id stays below MAX_SEALED. */
const MAX_CAPABILITIES = 768;

/** What is sealed. Short names: it travels with every request. */
interface Payload {
  readonly s: string;
  /** Digest over issuer, subject, client and tenant. */
  readonly p: string;
  readonly r: Revision;
  readonly c: Readonly<Record<string, unknown>>;
  readonly n: string;
  readonly v: string;
  /** Begun at, ends at: ms UTC. */
  readonly i: number;
  readonly e: number;
}

interface Opened {
  client: Client;
  readonly resource: string;
  readonly owner: string;
}

export function openSessions(options: SessionsOptions): Sessions {
  return new SealedSessions(options);
}

class SealedSessions implements Sessions {
  readonly #keys: ReadonlyMap<string, SealKey>;
  readonly #current: string;
  readonly #options: SessionsOptions;
  readonly #opened = new Map<string, Opened>();
  readonly #levels = new Map<string, string>();
  readonly #ended = new Map<string, number>();

  constructor(options: SessionsOptions) {
    this.#options = options;
    const keys = options.seal.flatMap((key) =>
      // The name an operator gave a key may hold what a header may not.
      key
        ? [[sha256Base64Url(key.kid).slice(0, KID_LENGTH), sealKey(deriveKey(key.secret, 'legacy session 1'))] as const]
        : [],
    );
    this.#keys = new Map(keys);
    this.#current = keys[0]![0];
  }

  begin(client: Client, at: Place, utc: number): string {
    const payload: Payload = {
      s: handle(),
      p: ownerOf(at.principal),
      r: client.revision,
      c: client.capabilities,
      n: client.name,
      v: client.version,
      i: utc,
      e: utc + this.#options.lifeMs,
    };
    const sealed = seal(this.#keys.get(this.#current)!, Buffer.from(JSON.stringify(payload)), placeOf(at));
    return `${PREFIX}${this.#current}.${sealed.toString('base64url')}`;
  }

  open(sealed: string, at: Place, utc: number): Client | SessionFault {
    const owner = ownerOf(at.principal);
    const known = this.#opened.get(sealed);
    const found = known?.resource === at.resource ? known : this.#unseal(sealed, at);
    if (typeof found === 'string') return found;
    // Judged for this request, whatever was remembered: the id is no credential.
    if (found.owner !== owner) return 'another principal';
    const session = found.client.session!;
    if (this.isOver(session, utc)) return session.expiresAt <= utc ? 'expired' : 'ended';
    const level = this.#levels.get(session.id) ?? null;
    if (found.client.logLevel !== level) found.client = { ...found.client, logLevel: level };
    remember(this.#opened, sealed, found, this.#options.remembered);
    return found.client;
  }

  end(id: string, expiresAt: number, utc: number): boolean {
    const ended = this.#ended;
    if (ended.size >= this.#options.ended) for (const [one, until] of ended) if (until <= utc) ended.delete(one);
    if (ended.size >= this.#options.ended) return false;
    ended.set(id, expiresAt);
    this.#levels.delete(id);
    return true;
  }

  isOver({ id, expiresAt }: Session, utc: number): boolean {
    return expiresAt <= utc || this.#ended.has(id);
  }

  setLevel(id: string, level: string): void {
    remember(this.#levels, id, level, this.#options.remembered);
  }

  #unseal(sealed: string, at: Place): Opened | SessionFault {
    const dot = sealed.indexOf('.', PREFIX.length);
    if (sealed.length > MAX_SEALED || !sealed.startsWith(PREFIX) || dot === -1) return 'malformed';
    const text = sealed.slice(dot + 1);
    const bytes = Buffer.from(text, 'base64url');
    // One session has one name: another spelling of the same bytes is none of ours.
    if (bytes.toString('base64url') !== text) return 'malformed';
    const key = this.#keys.get(sealed.slice(PREFIX.length, dot));
    if (!key) return 'unknown key';
    const plain = unseal(key, bytes, placeOf(at));
    if (!plain) return 'does not open';
    const { s, p, r, c, n, v, e } = JSON.parse(plain.toString()) as Payload;
    if (!(LEGACY_REVISIONS as readonly string[]).includes(r)) return 'malformed';
    const session = { id: s, expiresAt: e };
    const client = { revision: r, capabilities: c, name: n, version: v, logLevel: null, session };
    return { client, resource: at.resource, owner: p };
  }
}

/** Where an id is good: another endpoint's or tenant's does not open at all. */
function placeOf({ resource, principal }: Place): string {
  return `legacy session ${JSON.stringify([1, resource, principal.tenant])}`;
}

function ownerOf({ issuer, subject, client, tenant }: Place['principal']): string {
  return hash('sha256', JSON.stringify([issuer, subject, client, tenant]), 'base64url');
}

/** Least recently used dropped first: Map keeps insertion order. */
function remember<V>(map: Map<string, V>, key: string, value: V, bound: number): void {
  map.delete(key);
  if (map.size >= bound) map.delete(map.keys().next().value!);
  map.set(key, value);
}

/** What a client may say of what it can do, as kept in its session: all of it while it is small, else only what we know. */
export function keptCapabilities(declared: unknown): Readonly<Record<string, unknown>> {
  if (!isObject(declared)) return {};
  if (Buffer.byteLength(JSON.stringify(declared)) <= MAX_CAPABILITIES) return declared;
  const kept: Record<string, unknown> = {};
  for (const [name, members] of Object.entries(KNOWN)) {
    const said = declared[name];
    if (!Object.hasOwn(declared, name) || !isObject(said)) continue;
    const known = members.filter((member) => Object.hasOwn(said, member) && said[member]);
    kept[name] = Object.fromEntries(known.map((member) => [member, said[member] === true ? true : {}]));
  }
  return kept;
}

/** What a question can depend on; a legacy client has no other capability the gateway acts on. */
const KNOWN = { roots: ['listChanged'], sampling: ['context', 'tools'], elicitation: ['form', 'url'] } as const;

/** A name for people to read: no control or format characters, cut at `length` characters. */
export function trimmed(text: unknown, length: number): string {
  return typeof text === 'string'
    ? [...text.slice(0, length * 4).replace(/\p{C}/gu, '')].slice(0, length).join('')
    : '';
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
