import { readFileSync } from 'node:fs';
import { type Dispatcher, Pool } from 'undici';
import type { Credential, Remedy } from './credential.ts';
import { EventStreamReader } from './event-stream.ts';
import { type Classified, classify } from './message-kind.ts';
import { type Incoming, type Outgoing, type Wire, WireFault } from './wire.ts';

export interface HttpOptions {
  /** Where the upstream's MCP endpoint is; from operator settings only, never from a message. */
  readonly url: string;
  /** PEM file of the authority that signs the upstream's certificate, when it is not a public one. */
  readonly ca?: string;
  /** Our own credential at the upstream, e.g. `Bearer …`; the caller's is never passed on. */
  readonly authorization?: string;
  /** The same, obtained and renewed by OAuth; in place of `authorization`. */
  readonly credential?: Credential;
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
}

const CONNECTION_CODES = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'EAI_AGAIN',
];

/** Streamable HTTP over a keep-alive pool. Redirects are not followed: an upstream may not name another. */
export class HttpWire implements Wire {
  readonly #pool: Pool;
  readonly #path: string;
  readonly #fixed: readonly string[];
  readonly #credential: Credential | null;

  constructor(options: HttpOptions) {
    this.#credential = options.credential ?? null;
    const url = new URL(options.url);
    this.#path = url.pathname + url.search;
    this.#pool = new Pool(url.origin, {
      connections: options.maxConnections,
      pipelining: 1,
      connect: { timeout: options.connectTimeoutMs, ...(options.ca ? { ca: readFileSync(options.ca) } : {}) },
    });
    this.#fixed = [
      'content-type',
      'application/json',
      'accept',
      'application/json, text/event-stream',
      ...(options.authorization ? ['authorization', options.authorization] : []),
    ];
  }

  exchange(request: Outgoing): Promise<Incoming | WireFault> {
    if (request.signal?.aborted) return Promise.resolve(new WireFault('cancelled', false, 'the client left'));
    if (this.#credential) return this.#authorized(this.#credential, request);
    return new Promise((resolve) => this.#send(request, [], new Exchange(request, resolve)));
  }

  #send(request: Outgoing, authorization: readonly string[], exchange: Exchange): void {
    this.#pool.dispatch(
      {
        path: this.#path,
        method: 'POST',
        headers: [...this.#fixed, ...authorization, ...request.headers],
        body: request.bytes as Buffer,
        headersTimeout: request.timeoutMs,
        bodyTimeout: request.timeoutMs,
      },
      exchange,
    );
  }

  /** With our OAuth credential. A 401 or 403 came instead of an answer, so the same request may go out once more. */
  async #authorized(credential: Credential, request: Outgoing): Promise<Incoming | WireFault> {
    const tried = new Set<Remedy>();
    for (;;) {
      const authorization = await credential.headers('POST');
      if (request.signal?.aborted) return new WireFault('cancelled', false, 'the client left');
      const { promise, resolve } = Promise.withResolvers<Incoming | WireFault>();
      const exchange = new Exchange(request, resolve);
      this.#send(request, authorization, exchange);
      const answer = await promise;
      if (answer instanceof WireFault || (answer.status !== 401 && answer.status !== 403)) return answer;
      const at = authorization.indexOf('authorization');
      const presented = at < 0 ? null : (authorization[at + 1] ?? null);
      const remedy = await credential.refused({ ...exchange.refusal, status: answer.status, presented, tried });
      if (remedy === null || tried.has(remedy)) return answer;
      tried.add(remedy);
    }
  }

  notify(bytes: Uint8Array, headers: readonly string[]): void {
    Promise.resolve(this.#credential?.headers('POST') ?? [])
      .then((authorization) =>
        this.#pool.request({
          path: this.#path,
          method: 'POST',
          headers: [...this.#fixed, ...authorization, ...headers],
          body: Buffer.from(bytes),
        }),
      )
      .then((answer) => answer.body.dump())
      // A lost notification changes nothing we promise: the call itself has its own deadline and record.
      .catch(() => {});
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
    await this.#credential?.close();
  }
}

const NO_REFUSAL = { challenge: null, nonce: null };

function joined(field: string | string[] | undefined): string | null {
  return Array.isArray(field) ? field.join(', ') : (field ?? null);
}

/** One request's handler: collects the answer within its bounds and settles once. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #request: Outgoing;
  readonly #resolve: (answer: Incoming | WireFault) => void;
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | null = null;
  #onAbort: (() => void) | null = null;
  #status = 0;
  #session: string | null = null;
  /** What a 401 or 403 says of the credential it wants. */
  refusal: { readonly challenge: string | null; readonly nonce: string | null } = NO_REFUSAL;
  #stream: EventStreamReader | null = null;
  #response: { bytes: Uint8Array; classified: Classified } | null = null;
  #chunks: Buffer[] = [];
  #size = 0;
  #done = false;

  constructor(request: Outgoing, resolve: (answer: Incoming | WireFault) => void) {
    this.#request = request;
    this.#resolve = resolve;
    this.#timer = setTimeout(
      () => this.#end(new WireFault('timeout', true, `no answer in ${request.timeoutMs} ms`)),
      request.timeoutMs,
    );
    if (request.signal) {
      this.#onAbort = () => this.#end(new WireFault('cancelled', this.#controller !== null, 'the client left'));
      request.signal.addEventListener('abort', this.#onAbort, { once: true });
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#done) controller.abort(new Error('settled before it was sent'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status;
    const session = headers['mcp-session-id'];
    this.#session = typeof session === 'string' ? session : null;
    if (status === 401 || status === 403)
      this.refusal = { challenge: joined(headers['www-authenticate']), nonce: joined(headers['dpop-nonce']) };
    const type = headers['content-type'];
    if (typeof type === 'string' && type.startsWith('text/event-stream')) {
      this.#stream = new EventStreamReader(this.#request.maxBytes, (data) => this.#event(data));
    }
  }

  #event(data: Uint8Array): void {
    if (this.#done || this.#response) return;
    const classified = classify(data);
    if (classified.kind === 'response') this.#response = { bytes: data, classified };
    else this.#request.onOther?.(data, classified);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done) return;
    if (this.#stream) {
      if (!this.#stream.push(chunk)) return this.#end(new WireFault('too_large', true, 'an event passed the cap'));
      // The answer is complete; what follows it on the stream is not ours to wait for.
      if (this.#response) {
        const { bytes, classified } = this.#response;
        this.#end({ status: this.#status, session: this.#session, bytes, spans: classified.spans });
      }
      return;
    }
    this.#size += chunk.length;
    if (this.#size > this.#request.maxBytes)
      return this.#end(new WireFault('too_large', true, 'the answer passed the cap'));
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (this.#stream) return this.#end(new WireFault('protocol', true, 'the stream ended without an answer'));
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#end({ status: this.#status, session: this.#session, bytes, spans: null });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const code = (error as NodeJS.ErrnoException).code ?? error.name;
    if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT')
      return this.#end(new WireFault('timeout', true, code));
    const sent = !CONNECTION_CODES.includes(code) && this.#controller !== null;
    this.#end(new WireFault(sent && this.#status !== 0 ? 'protocol' : 'unavailable', sent, code));
  }

  #end(answer: Incoming | WireFault): void {
    if (this.#done) return;
    this.#done = true;
    clearTimeout(this.#timer);
    if (this.#onAbort) this.#request.signal?.removeEventListener('abort', this.#onAbort);
    const finished = !(answer instanceof WireFault) && !this.#stream;
    // Dropping the connection is how a request is cancelled over HTTP (protocol.md 1.2).
    if (!finished) this.#controller?.abort(new Error('no longer wanted'));
    this.#resolve(answer);
  }
}
