import { readFileSync } from 'node:fs';
import { type Dispatcher, Pool } from 'undici';
import { EventStreamReader } from './event-stream.ts';
import type { HttpOptions } from './http.ts';
import { type Classified, classify, numberAt, ownId } from './message-kind.ts';
import { type Incoming, type Outgoing, type Wire, WireFault } from './wire.ts';

export interface SseOptions extends HttpOptions {
  /** Bound on one message, in bytes. */
  readonly maxMessageBytes: number;
  /** Takes each message that belongs to no exchange: a notification, or a request of the server. */
  readonly onOther: (message: Uint8Array, read: Classified) => void;
  readonly onEnd: (reason: string) => void;
}

interface Waiting {
  readonly request: Outgoing;
  readonly settle: (answer: Incoming | WireFault) => void;
}

const BRIEF_MS = 10_000;
const MAX_BRIEF_BYTES = 64 * 1024;
const MAX_ENDPOINT_LENGTH = 2_048;

/**
 * HTTP+SSE, the transport of 2024-11-05 (deprecated; towards upstreams only): one stream on which the server speaks,
 * and an endpoint it names there, to which every message of ours is posted. One wire is one session.
 */
export class SseWire implements Wire {
  /** The one stream is always open. */
  readonly hear = null;
  readonly forget = null;
  readonly #options: SseOptions;
  readonly #pool: Pool;
  readonly #url: URL;
  readonly #waiting = new Map<number, Waiting>();
  #opening: Promise<string | WireFault> | null = null;
  #controller: Dispatcher.DispatchController | null = null;
  #over = false;

  constructor(options: SseOptions) {
    this.#options = options;
    this.#url = new URL(options.url);
    this.#pool = new Pool(this.#url.origin, {
      connections: options.maxConnections,
      pipelining: 1,
      connect: { timeout: options.connectTimeoutMs, ...(options.ca ? { ca: readFileSync(options.ca) } : {}) },
    });
  }

  async exchange(request: Outgoing): Promise<Incoming | WireFault> {
    if (request.signal?.aborted) return new WireFault('cancelled', false, 'the client left');
    this.#opening ??= this.#open().catch(({ message }) => new WireFault('unavailable', false, String(message)));
    const endpoint = await this.#opening;
    if (endpoint instanceof WireFault || this.#over)
      return endpoint instanceof WireFault ? endpoint : new WireFault('unavailable', false, 'the stream has ended');
    const { id, timeoutMs, signal } = request;
    const { promise, resolve } = Promise.withResolvers<Incoming | WireFault>();
    const settle = (answer: Incoming | WireFault) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      this.#waiting.delete(id);
      resolve(answer);
    };
    const timer =
      timeoutMs === 0
        ? undefined
        : setTimeout(() => settle(new WireFault('timeout', true, `no answer in ${timeoutMs} ms`)), timeoutMs);
    const onAbort = () => settle(new WireFault('cancelled', true, 'the client left'));
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiting.set(id, { request, settle });
    const status = await this.#post(endpoint, request.bytes);
    if (status < 200 || status >= 300)
      settle(new WireFault('unavailable', status === 0 || status >= 500, `HTTP ${status} to a message`, status));
    return promise;
  }

  async notify(bytes: Uint8Array): Promise<boolean> {
    const endpoint = await this.#opening;
    if (typeof endpoint !== 'string' || this.#over) return false;
    const status = await this.#post(endpoint, bytes);
    return status >= 200 && status < 300;
  }

  /** @returns the HTTP status, or 0 when nobody answered */
  async #post(path: string, bytes: Uint8Array): Promise<number> {
    try {
      const headers = ['content-type', 'application/json', ...(await this.#authorization('POST'))];
      const times = { headersTimeout: BRIEF_MS, bodyTimeout: BRIEF_MS };
      const answer = await this.#pool.request({ path, method: 'POST', headers, body: Buffer.from(bytes), ...times });
      await answer.body.dump({ limit: MAX_BRIEF_BYTES });
      return answer.statusCode;
    } catch {
      // Whether it arrived is unknown; the caller says so.
      return 0;
    }
  }

  async #authorization(method: 'GET' | 'POST'): Promise<readonly string[]> {
    const { authorization, credential } = this.#options;
    return credential ? credential.headers(method) : authorization ? ['authorization', authorization] : [];
  }

  /** Opens the stream and waits for the endpoint it names. */
  async #open(): Promise<string | WireFault> {
    const headers = ['accept', 'text/event-stream', ...(await this.#authorization('GET'))];
    const { promise, resolve } = Promise.withResolvers<string | WireFault>();
    const timer = setTimeout(() => this.#end('no endpoint was named in time'), BRIEF_MS);
    this.#fail = resolve;
    const reader = new EventStreamReader(this.#options.maxMessageBytes, (data, name) => {
      if (name !== 'endpoint') return this.#receive(data);
      const endpoint = this.#endpointOf(Buffer.from(data).toString());
      if (endpoint === null) this.#end('the endpoint it names is not its own');
      else resolve(endpoint);
    });
    const path = this.#url.pathname + this.#url.search;
    this.#pool.dispatch(
      { path, method: 'GET', headers, headersTimeout: BRIEF_MS, bodyTimeout: 0 },
      {
        onRequestStart: (controller) => {
          this.#controller = controller;
          if (this.#over) controller.abort(new Error('no longer wanted'));
        },
        onResponseStart: (_controller, status, fields) => {
          const type = fields['content-type'];
          if (status !== 200 || typeof type !== 'string' || !type.startsWith('text/event-stream'))
            this.#end(`HTTP ${status} in place of a stream`);
        },
        onResponseData: (_controller, chunk) => {
          if (!this.#over && !reader.push(chunk)) this.#end('a message passed the cap');
        },
        onResponseEnd: () => this.#end('the stream ended'),
        onResponseError: (_controller, error) => this.#end((error as NodeJS.ErrnoException).code ?? error.name),
      },
    );
    return promise.finally(() => clearTimeout(timer));
  }

  #fail: (fault: WireFault) => void = () => {};

  /** Only a place at the same origin: a server may not send our messages, and our credential, elsewhere. */
  #endpointOf(said: string): string | null {
    if (said.length > MAX_ENDPOINT_LENGTH || !URL.canParse(said, this.#url)) return null;
    const url = new URL(said, this.#url);
    return url.origin === this.#url.origin && url.username === '' ? url.pathname + url.search : null;
  }

  #receive(message: Uint8Array): void {
    const read = classify(message);
    if (!read.spans) return;
    if (read.kind === 'response') {
      const waiting = this.#waiting.get(ownId(message, read.spans) ?? -1);
      if (!waiting) return;
      const fits = message.length <= waiting.request.maxBytes;
      const answer = { status: 200, session: null, bytes: message, spans: read.spans };
      return waiting.settle(fits ? answer : new WireFault('too_large', true, 'the answer passed the cap'));
    }
    const token = read.spans.paramsMembers.get('progressToken');
    const waiting = token && read.kind === 'notification' && this.#waiting.get(numberAt(message, token) ?? -1);
    if (waiting) waiting.request.onOther?.(message, read);
    else if (!token || read.kind === 'request') this.#options.onOther(message, read);
  }

  #end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#fail(new WireFault('unavailable', false, reason));
    for (const { settle } of this.#waiting.values()) settle(new WireFault('unavailable', true, reason));
    this.#controller?.abort(new Error('no longer wanted'));
    this.#options.onEnd(reason);
  }

  async close(): Promise<void> {
    this.#end('closed');
    if (!this.#pool.destroyed) await this.#pool.destroy();
  }
}
