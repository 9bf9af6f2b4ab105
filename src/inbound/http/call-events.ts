import type { ServerResponse } from 'node:http';
import { type Call, MODERN_REVISION, type Now } from '../../core/call.ts';
import { EventStream, type ResponseHeaders } from './answer.ts';
import type { StreamLog, StreamLogs, StreamOwner } from './stream-logs.ts';

/** Only clients of this revision ask for the rest of a stream by an event without data. */
const RESUMABLE_REVISION = '2025-11-25';

export interface EventOptions {
  readonly headers: ResponseHeaders;
  readonly maxBufferedBytes: number;
  readonly keepAliveMs: number;
  readonly clock: () => Now;
}

/**
 * What a call says before its answer. A connection hears it while it is there; in a session that can resume, what was
 * said is kept as well, and another connection may take over.
 */
export class CallEvents {
  readonly #call: Call;
  readonly #stream: EventStream;
  readonly #logs: StreamLogs;
  readonly #keepAliveMs: number;
  #log: StreamLog | null = null;
  #keepAlive: NodeJS.Timeout | undefined;
  #begun = false;

  constructor(call: Call, res: ServerResponse, logs: StreamLogs, options: EventOptions) {
    this.#call = call;
    this.#stream = new EventStream(res, options.headers, options.maxBufferedBytes);
    this.#logs = logs;
    this.#keepAliveMs = options.keepAliveMs;
  }

  /** Whether this call ends by itself, with an answer. */
  get #ends(): boolean {
    return this.#call.head.method !== 'GET';
  }

  /** Whether the answer has to go out as an event, too. */
  get begun(): boolean {
    return this.#begun;
  }

  say(message: Uint8Array): void {
    this.begin();
    if (this.#log) this.#log.say(message);
    else this.#stream.send(message, null);
  }

  /** Opens the stream, with the place to resume it from where there is one. */
  begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#keepAlive = setInterval(() => this.#stream.comment(), this.#keepAliveMs);
    const owner = ownerOf(this.#call);
    // Nobody could ask for what nobody heard the beginning of.
    if (owner && this.#stream.alive) {
      this.#log = this.#logs.open(owner, this.#ends);
      this.#stream.prime(this.#log.last);
      this.#log.listen(this.#stream, this.#ends ? () => this.#stream.end() : this.#call.cancel);
    } else this.#stream.begin();
  }

  /**
   * The rest of the stream that `Last-Event-ID` names. One that ends by itself takes this connection for its own until
   * then; one that does not goes on in this call.
   */
  resume(): Promise<void> | null {
    const named = this.#call.head.headers['last-event-id'];
    const owner = ownerOf(this.#call);
    const found = typeof named === 'string' && owner ? this.#logs.find(named, owner) : null;
    if (!found) return null;
    const { log, after } = found;
    this.#begun = true;
    this.#keepAlive = setInterval(() => this.#stream.comment(), this.#keepAliveMs);
    this.#stream.begin();
    if (!log.ends) {
      this.#log = log;
      // Who listened until now has lost his connection without knowing, or has two: each message goes to one.
      log.listen(this.#stream, this.#call.cancel, after);
      return null;
    }
    return new Promise((resolve) => {
      const over = () => {
        log.leave(this.#stream);
        resolve();
      };
      this.#call.signal.addEventListener('abort', over, { once: true });
      log.listen(this.#stream, resolve, after);
    });
  }

  /** The connection has closed; what this call still says is kept where it can be asked for. */
  left(): void {
    clearInterval(this.#keepAlive);
    this.#log?.leave(this.#stream);
  }

  /** @param last the answer; null for a stream that has none */
  end(last: Uint8Array | null): void {
    clearInterval(this.#keepAlive);
    if (last && this.#log) this.#log.say(last);
    else if (last) this.#stream.send(last, null);
    if (this.#ends) this.#log?.end();
    // The stream of a GET may have gone on in another connection.
    else this.#log?.leave(this.#stream);
    this.#stream.end();
  }
}

function ownerOf({ client, principal }: Call): StreamOwner | null {
  if (client?.revision !== RESUMABLE_REVISION || !client.session || !principal) return null;
  return { session: client.session.id, principal: principal.key };
}

const MODERN = { revision: MODERN_REVISION };

/** In the legacy revisions a lost connection is no cancellation (protocol.md 1.6); a stream of its own ends with it. */
export function runsOn({ head, message, client }: Call): boolean {
  // A batch is no message, but has a client.
  const { revision } = message ?? client ?? MODERN;
  return head.method === 'POST' && revision !== MODERN_REVISION;
}

/** The owner of the streams a session had, when this call has ended it. */
export function endedOwner(call: Call, status: number): StreamOwner | null {
  return call.head.method === 'DELETE' && status < 300 ? ownerOf(call) : null;
}
