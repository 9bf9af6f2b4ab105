import { readFileSync } from 'node:fs';
import { Pool } from 'undici';
import type { Credential, Remedy } from './credential.ts';
import { Exchange, HearingHandler, refusalIn } from './http-exchange.ts';
import { type Hearing, type Incoming, type Outgoing, type Wire, WireFault } from './wire.ts';

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
    return new Promise((resolve) => this.#send(request, [], new Exchange(request, resolve, this.#resumeOf(request))));
  }

  #send(request: Outgoing, authorization: readonly string[], exchange: Exchange): void {
    this.#pool.dispatch(
      {
        path: this.#path,
        method: 'POST',
        headers: [...this.#fixed, ...authorization, ...request.headers],
        body: request.bytes as Buffer,
        // Exchange has the deadline; undici's own would be two more timers for each call.
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      exchange,
    );
  }

  /** With our OAuth credential. A 401 or 403 came instead of an answer, so the same request may go out once more. */
  async #authorized(credential: Credential, request: Outgoing): Promise<Incoming | WireFault> {
    const tried = new Set<Remedy>();
    for (;;) {
      const authorization = await had(() => credential.headers('POST'));
      if (authorization instanceof WireFault) return authorization;
      if (request.signal?.aborted) return new WireFault('cancelled', false, 'the client left');
      const { promise, resolve } = Promise.withResolvers<Incoming | WireFault>();
      const exchange = new Exchange(request, resolve, this.#resumeOf(request));
      this.#send(request, authorization, exchange);
      const answer = await promise;
      if (answer instanceof WireFault || (answer.status !== 401 && answer.status !== 403)) return answer;
      // On a stream something went on before it: whether the call ran is not certain.
      if (answer.spans !== null) return answer;
      const presented = presentedIn(authorization);
      const { status } = answer;
      const remedy = await had(() => credential.refused({ ...exchange.refusal, status, presented, tried }));
      if (remedy instanceof WireFault) return remedy;
      if (remedy === null || tried.has(remedy)) return answer;
      tried.add(remedy);
    }
  }

  #resumeOf(request: Outgoing): (lastId: string, handler: Exchange) => void {
    if (!request.resumes) return () => {};
    return (lastId, handler) =>
      void this.#headers('GET', ['last-event-id', lastId, ...request.headers]).then(
        (headers) => {
          if (!request.signal?.aborted)
            this.#pool.dispatch(
              { path: this.#path, method: 'GET', headers, headersTimeout: 0, bodyTimeout: 0 },
              handler,
            );
        },
        (cause: Error) => handler.onResponseError(null, cause),
      );
  }

  async #headers(method: 'POST' | 'GET' | 'DELETE', more: readonly string[]): Promise<string[]> {
    return [...this.#fixed, ...((await this.#credential?.headers(method)) ?? []), ...more];
  }

  async notify(bytes: Uint8Array, headers: readonly string[]): Promise<boolean> {
    return this.#brief('POST', headers, Buffer.from(bytes));
  }

  async hear(hearing: Hearing): Promise<number | WireFault> {
    const headers = await had(() => this.#headers('GET', hearing.headers));
    if (headers instanceof WireFault) return headers;
    const { promise, resolve } = Promise.withResolvers<number | WireFault>();
    this.#pool.dispatch(
      { path: this.#path, method: 'GET', headers, headersTimeout: BRIEF_MS, bodyTimeout: 0 },
      new HearingHandler(hearing, resolve),
    );
    return promise;
  }

  async forget(headers: readonly string[]): Promise<void> {
    await this.#brief('DELETE', headers, null);
  }

  /** A request whose answer says nothing but yes or no. */
  async #brief(method: 'POST' | 'DELETE', headers: readonly string[], body: Buffer | null): Promise<boolean> {
    const tried = new Set<Remedy>();
    try {
      for (;;) {
        const authorization = (await this.#credential?.headers(method)) ?? [];
        const answer = await this.#pool.request({
          path: this.#path,
          method,
          headers: [...this.#fixed, ...authorization, ...headers],
          body,
          headersTimeout: BRIEF_MS,
          bodyTimeout: BRIEF_MS,
        });
        await answer.body.dump({ limit: MAX_BRIEF_BYTES });
        const { statusCode: status } = answer;
        if (status !== 401 && status !== 403) return status >= 200 && status < 300;
        const presented = presentedIn(authorization);
        const said = refusalIn(answer.headers);
        const remedy = await this.#credential?.refused({ ...said, status, presented, tried });
        if (!remedy || tried.has(remedy)) return false;
        tried.add(remedy);
      }
    } catch {
      // Not reached, or not in time: not taken. Who asked judges what that means.
      return false;
    }
  }

  async close(): Promise<void> {
    if (!this.#pool.destroyed) await this.#pool.destroy();
  }
}

/** What comes of our own credential. It is kept in a store, which may fail: then nothing of this attempt has run. */
async function had<T>(ask: () => T | Promise<T>): Promise<T | WireFault> {
  try {
    return await ask();
  } catch (cause) {
    return new WireFault('unavailable', false, `our own credential cannot be had: ${(cause as Error).name}`);
  }
}

/** The value of `authorization` among names and values alternating. */
function presentedIn(headers: readonly string[]): string | null {
  const at = headers.indexOf('authorization');
  return at < 0 ? null : (headers[at + 1] ?? null);
}

const BRIEF_MS = 10_000;
const MAX_BRIEF_BYTES = 64 * 1024;
