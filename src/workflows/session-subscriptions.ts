import type { Principal, Session } from '../core/call.ts';
import type { OpenStream } from './open-stream.ts';

/** What one legacy session wants to hear of. */
export interface SessionSubscriptions {
  readonly uris: Set<string>;
  /** Its GET stream while it has one. */
  stream: OpenStream | null;
}

interface Kept extends SessionSubscriptions {
  /** ms UTC */
  readonly expiresAt: number;
}

const MAX_URIS = 64;
const MAX_SESSIONS_PER_PRINCIPAL = 16;
const MAX_PRINCIPALS = 4_096;

/**
 * Subscriptions of legacy sessions, kept in this process: the session itself is sealed and costs nothing, this is what
 * it can make us remember. A principal with too many sessions loses his own oldest; nobody loses another's.
 */
export class SubscriptionBook {
  readonly #principals = new Map<string, Map<string, Kept>>();

  /** Null: too many principals hold some already. */
  of({ key }: Principal, session: Session, now: number): SessionSubscriptions | null {
    const known = this.#principals.get(key);
    const kept = known?.get(session.id);
    if (kept) return kept;
    if (!known && this.#principals.size >= MAX_PRINCIPALS) this.#sweep(now);
    if (!known && this.#principals.size >= MAX_PRINCIPALS) return null;
    const sessions = known ?? new Map<string, Kept>();
    if (sessions.size >= MAX_SESSIONS_PER_PRINCIPAL) forgetOldest(sessions);
    const fresh: Kept = { uris: new Set(), stream: null, expiresAt: session.expiresAt };
    sessions.set(session.id, fresh);
    this.#principals.set(key, sessions);
    return fresh;
  }

  /** False: this session wants to hear of as much as it may. */
  add({ uris }: SessionSubscriptions, uri: string): boolean {
    if (!uris.has(uri) && uris.size >= MAX_URIS) return false;
    uris.add(uri);
    return true;
  }

  /** Nothing is remembered of a session that wants nothing and has no stream. */
  tidy({ key }: Principal, { id }: Session): void {
    const sessions = this.#principals.get(key);
    const kept = sessions?.get(id);
    if (!sessions || !kept || kept.uris.size > 0 || kept.stream) return;
    sessions.delete(id);
    if (sessions.size === 0) this.#principals.delete(key);
  }

  /** It was ended by its client. */
  forget({ key }: Principal, session: string): void {
    const sessions = this.#principals.get(key);
    const kept = sessions?.get(session);
    if (!sessions || !kept) return;
    kept.stream?.end();
    sessions.delete(session);
    if (sessions.size === 0) this.#principals.delete(key);
  }

  #sweep(now: number): void {
    for (const [key, sessions] of this.#principals) {
      for (const [id, kept] of sessions) if (kept.expiresAt <= now) sessions.delete(id);
      if (sessions.size === 0) this.#principals.delete(key);
    }
  }
}

function forgetOldest(sessions: Map<string, Kept>): void {
  const [id, kept] = [...sessions].find(([, one]) => one.stream === null) ?? [...sessions][0]!;
  sessions.delete(id);
  kept.stream?.end();
}
