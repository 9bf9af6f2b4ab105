import { handle } from '../../core/ids.ts';
import type { EventStream } from './answer.ts';

/** Whose stream it is; both must be the same to hear the rest of it. */
export interface StreamOwner {
  /** `Session.id`. */
  readonly session: string;
  /** `Principal.key`. */
  readonly principal: string;
}

export interface StreamBounds {
  /** Kept for one stream: events and bytes. Beyond them the oldest are forgotten. */
  readonly events: number;
  readonly bytes: number;
  /** Streams kept for one session, and in all. */
  readonly streamsOfSession: number;
  readonly streams: number;
  /** Kept in all, bytes. */
  readonly totalBytes: number;
  /** How long the rest of a stream can be asked for after its end, ms. */
  readonly ttlMs: number;
}

export const STREAM_BOUNDS: StreamBounds = {
  events: 512,
  bytes: 4 * 1024 * 1024,
  streamsOfSession: 32,
  streams: 10_000,
  totalBytes: 64 * 1024 * 1024,
  ttlMs: 60_000,
};

/**
 * What was said on streams of legacy sessions, for a client that lost its connection (protocol.md 1.6). In memory and
 * bounded: who asks for what was forgotten gets a fresh stream. An event id is `<stream>.<count>`; the stream's name is
 * 128 random bits, and is worth nothing to anybody but its owner.
 */
export class StreamLogs {
  /** Oldest first. */
  readonly #logs = new Map<string, StreamLog>();
  readonly #owned = new Map<string, Set<StreamLog>>();
  readonly #bounds: StreamBounds;
  #bytes = 0;

  constructor(bounds: StreamBounds = STREAM_BOUNDS) {
    this.#bounds = bounds;
  }

  /** Bytes kept, of all streams. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @param ends whether the stream ends by itself, with an answer; else it can go on in another connection */
  open(owner: StreamOwner, ends: boolean): StreamLog {
    const log: StreamLog = new StreamLog(owner, ends, this.#bounds, {
      grown: (bytes) => {
        if (this.#logs.get(log.id) !== log) return false;
        this.#bytes += bytes;
        this.#trim();
        return this.#logs.has(log.id);
      },
      over: () => this.#forget(log),
    });
    this.#logs.set(log.id, log);
    const key = keyOf(owner);
    const same = this.#owned.get(key) ?? new Set();
    this.#owned.set(key, same.add(log));
    if (same.size > this.#bounds.streamsOfSession) this.#forget(leastWanted(same.values())!);
    this.#trim();
    return log;
  }

  /** The stream an event id names and how far it was heard, or null. `eventId` is attacker-controlled. */
  find(eventId: string, owner: StreamOwner): { readonly log: StreamLog; readonly after: number } | null {
    const [id = '', count = '', ...more] = eventId.split('.');
    const log = this.#logs.get(id);
    if (!log || more.length > 0 || !/^\d{1,9}$/.test(count) || keyOf(log.owner) !== keyOf(owner)) return null;
    return { log, after: Number(count) };
  }

  /** Forgets what was said in a session that has ended. */
  forget(owner: StreamOwner): void {
    for (const log of this.#owned.get(keyOf(owner)) ?? []) this.#forget(log);
  }

  #trim(): void {
    while (this.#bytes > this.#bounds.totalBytes || this.#logs.size > this.#bounds.streams) {
      const oldest = leastWanted(this.#logs.values());
      if (!oldest) return;
      this.#forget(oldest);
    }
  }

  #forget(log: StreamLog): void {
    if (!this.#logs.delete(log.id)) return;
    const key = keyOf(log.owner);
    const same = this.#owned.get(key)!;
    same.delete(log);
    if (same.size === 0) this.#owned.delete(key);
    this.#bytes -= log.bytes;
    log.clear();
  }
}

/** Session ids are ours and hold no blank. */
function keyOf({ session, principal }: StreamOwner): string {
  return `${session} ${principal}`;
}

/** The oldest that has ended, else the oldest. */
function leastWanted(logs: IterableIterator<StreamLog>): StreamLog | undefined {
  let first: StreamLog | undefined;
  for (const log of logs) {
    if (log.ended) return log;
    first ??= log;
  }
  return first;
}

/** One stream: what was said on it last, and the connection that hears it now. */
export class StreamLog {
  readonly id = handle();
  readonly owner: StreamOwner;
  readonly ends: boolean;
  ended = false;
  bytes = 0;
  /** The connection that took the stream over, and how to tell it that this is over. */
  #listener: { readonly stream: EventStream; readonly over: () => void } | null = null;
  readonly #events: Uint8Array[] = [];
  readonly #bounds: StreamBounds;
  readonly #kept: { readonly grown: (bytes: number) => boolean; readonly over: () => void };
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    owner: StreamOwner,
    ends: boolean,
    bounds: StreamBounds,
    kept: { readonly grown: (bytes: number) => boolean; readonly over: () => void },
  ) {
    this.owner = owner;
    this.ends = ends;
    this.#bounds = bounds;
    this.#kept = kept;
  }

  /** Id of the last event; of none yet: what a client names that has heard nothing. */
  get last(): string {
    return `${this.id}.${this.#count}`;
  }

  /** Keeps a message and says it to whoever listens now. */
  say(message: Uint8Array): void {
    this.#count++;
    // A copy of its own: the message may be a cut from something larger, which would be kept with it. (`slice` of a
    // Buffer shares its memory.)
    const event = new Uint8Array(message);
    this.#events.push(event);
    this.bytes += event.length;
    if (this.#kept.grown(event.length)) {
      while (this.#events.length > this.#bounds.events || this.bytes > this.#bounds.bytes) {
        const gone = this.#events.shift()!;
        this.bytes -= gone.length;
        this.#kept.grown(-gone.length);
      }
    } else this.clear();
    this.#listener?.stream.send(message, this.last);
  }

  /** From here on `stream` is the one that hears it; whoever did before is told. `after`: what it has heard already. */
  listen(stream: EventStream, over: () => void, after = this.#count): void {
    clearTimeout(this.#timer);
    const before = this.#listener;
    this.#listener = null;
    before?.over();
    const first = this.#count - this.#events.length + 1;
    for (const [i, event] of this.#events.entries()) {
      if (first + i > after) stream.send(event, `${this.id}.${first + i}`);
    }
    if (this.ended && this.ends) {
      this.#expire();
      return over();
    }
    this.ended = false;
    this.#listener = { stream, over };
  }

  /** The connection is gone. What ends by itself goes on; another connection may listen. */
  leave(stream: EventStream): void {
    if (this.#listener?.stream !== stream) return;
    this.#listener = null;
    if (!this.ends) this.end();
  }

  /** Nothing more will be said. What was can be asked for a while. */
  end(): void {
    this.ended = true;
    const listener = this.#listener;
    this.#listener = null;
    listener?.over();
    this.#expire();
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#events.length = 0;
    this.bytes = 0;
  }

  #expire(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#kept.over, this.#bounds.ttlMs);
    this.#timer.unref();
  }
}
