import { sha256Base64Url } from '../core/crypto/digest.ts';
import { type Bridged, NOTHING_BRIDGED } from './capabilities.ts';
import { LegacySession } from './legacy-session.ts';
import type { ListName } from './message-kind.ts';
import { openLegacy } from './session.ts';
import { type Wire, WireFault } from './wire.ts';

export interface SessionBounds {
  readonly total: number;
  readonly perOwner: number;
  readonly idleMs: number;
}

export interface SessionParts {
  /** A wire for a new session: shared over HTTP, a process or stream of its own otherwise. */
  readonly dial: (key: string) => Wire;
  readonly sharesWire: boolean;
  readonly bounds: SessionBounds;
  readonly mono: () => number;
  readonly nextId: () => number;
  readonly onListChanged: (list: ListName) => void;
}

const SWEEP_MS = 30_000;
/** A limit of ours was met; the server was not even asked. */
export const NO_ROOM = 'as many sessions as there may be';

/**
 * Legacy sessions by (principal, capabilities): what one principal leaves in a session no other can see, and a server
 * asks nothing its client did not declare. Bounded, in all and per principal; what is idle is ended.
 */
export class LegacySessions {
  readonly #parts: SessionParts;
  readonly #sessions = new Map<string, LegacySession>();
  readonly #opening = new Map<string, Promise<LegacySession | WireFault>>();
  readonly #sweep: NodeJS.Timeout;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#sweep = setInterval(() => this.#endIdle(), SWEEP_MS);
    this.#sweep.unref();
  }

  /** @param owner the principal's key; '' is this gateway itself */
  get(owner: string, bridge: Bridged): LegacySession | Promise<LegacySession | WireFault> {
    const key = owner === '' ? '' : `${placesOf(owner)}${bridge.json === '{}' ? '' : sha256Base64Url(bridge.json)}`;
    const open = this.#sessions.get(key);
    if (open) {
      open.usedAt = this.#parts.mono();
      return open;
    }
    const known = this.#opening.get(key);
    if (known) return known;
    const opening = this.#open(key, owner, bridge);
    this.#opening.set(key, opening);
    const over = () => this.#opening.delete(key);
    opening.then(over, over);
    return opening;
  }

  async #open(key: string, owner: string, bridge: Bridged): Promise<LegacySession | WireFault> {
    if (!this.#makeRoom(owner)) return new WireFault('unavailable', false, NO_ROOM);
    const wire = this.#parts.dial(key);
    // Whatever comes of it, a process that leads to no session is ended: nobody else knows of it.
    const unwanted = () => (this.#parts.sharesWire ? undefined : wire.close());
    const session = await openLegacy(wire, bridge.json).catch(async (cause) => {
      await unwanted();
      throw cause;
    });
    if (session instanceof WireFault) {
      await unwanted();
      return session;
    }
    const { mono, nextId, onListChanged } = this.#parts;
    const opened = new LegacySession({ session, key, owner, bridge, mono, nextId, onListChanged });
    this.#sessions.set(key, opened);
    // The gateway's own hears of lists that change; a client's may be asked there.
    if (!bridge.silent) await opened.hear();
    else if (owner === '') void opened.hear();
    return opened;
  }

  /** One more session of this owner; the one it has not used for longest gives way. The gateway's own has its place. */
  #makeRoom(owner: string): boolean {
    if (owner === '') return true;
    const { total, perOwner } = this.#parts.bounds;
    const all = [...this.#sessions.values()].filter((session) => session.owner !== '');
    const own = all.filter((session) => session.owner === owner);
    const opening = [...this.#opening.keys()].filter((key) => key.startsWith(placesOf(owner))).length;
    const crowd = own.length + opening >= perOwner ? own : all.length + this.#opening.size > total ? all : null;
    if (!crowd) return true;
    const oldest = (sessions: LegacySession[]) => sessions.sort((a, b) => a.usedAt - b.usedAt)[0];
    // A client that never came back with its answers must not keep its principal, or others, from the server; whoever
    // has too much of his own gives way himself.
    const least = oldest(crowd.filter(({ busy }) => !busy)) ?? oldest(own.filter(({ waits }) => waits));
    if (!least) return false;
    void this.end(least);
    return true;
  }

  #endIdle(): void {
    const before = this.#parts.mono() - this.#parts.bounds.idleMs;
    for (const session of this.#sessions.values())
      if (session.owner !== '' && !session.busy && session.usedAt < before) void this.end(session);
  }

  /** It is gone at the server; the next call opens another. False: another has taken its place already. */
  lost(session: LegacySession): boolean {
    if (this.#sessions.get(session.key) !== session) return false;
    this.#sessions.delete(session.key);
    session.over();
    if (!this.#parts.sharesWire) void session.wire.close();
    return true;
  }

  /** A call runs that does not wait for answers of its client. */
  get areActive(): boolean {
    return [...this.#sessions.values()].some(({ running, waits }) => running.size > 0 && !waits);
  }

  byWire(wire: Wire): LegacySession | null {
    for (const session of this.#sessions.values()) if (session.wire === wire) return session;
    return null;
  }

  /** Ends a session of ours, and says so. */
  async end(session: LegacySession): Promise<void> {
    this.#sessions.delete(session.key);
    session.over();
    for (const call of session.running.values()) call.abandon();
    if (session.sessionId) await session.wire.forget?.(session.headers);
    if (!this.#parts.sharesWire) await session.wire.close();
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    await Promise.all(this.#opening.values());
    await Promise.all([...this.#sessions.values()].map((session) => this.end(session)));
  }
}

/** What the keys of one owner's sessions begin with; a principal's key holds no line break. */
const placesOf = (owner: string) => `${owner}\n`;

/** How this gateway itself is served: it can be asked nothing. */
export const OWN = { owner: '', bridge: NOTHING_BRIDGED } as const;
