import type { Dispatcher } from 'undici';
import { Gathered } from '../core/gathered.ts';
import { EventStreamReader } from './event-stream.ts';
import { type Classified, classify } from './message-kind.ts';
import { type Hearing, type Incoming, type Outgoing, WireFault } from './wire.ts';

const CONNECTION_CODES = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'EAI_AGAIN',
];

const NO_REFUSAL = { challenge: null, nonce: null };

function joined(field: string | string[] | undefined): string | null {
  return Array.isArray(field) ? field.join(', ') : (field ?? null);
}

/** What a 401 or 403 says of the credential it wants. */
export function refusalIn(headers: Record<string, string | string[] | undefined>) {
  return { challenge: joined(headers['www-authenticate']), nonce: joined(headers['dpop-nonce']) };
}

/** How long a server may make us wait before a stream is taken up again, and the least we wait unasked. */
const RESUME_MS = { least: 10, most: 30_000, unasked: 1_000 };
/** A server that closes its stream again and again without a word is left after this many times. */
const MAX_RESUMES = 100;

/** One request's handler: collects the answer within its bounds and settles once. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #request: Outgoing;
  readonly #resolve: (answer: Incoming | WireFault) => void;
  #timer: NodeJS.Timeout | null;
  #controller: Dispatcher.DispatchController | null = null;
  #onAbort: (() => void) | null = null;
  #status = 0;
  #session: string | null = null;
  /** What a 401 or 403 says of the credential it wants. */
  refusal: { readonly challenge: string | null; readonly nonce: string | null } = NO_REFUSAL;
  #stream: EventStreamReader | null = null;
  #response: { bytes: Uint8Array; classified: Classified } | null = null;
  /** The usual answer comes in one piece and is not copied. */
  #first: Buffer | null = null;
  readonly #all = new Gathered();
  #size = 0;
  #done = false;
  readonly #resume: (lastId: string, handler: Exchange) => void;
  #lastId = '';
  #retryMs: number | null = null;
  #resumes = 0;
  #pause: NodeJS.Timeout | null = null;

  /** @param resume takes a legacy stream up again behind the event of this id */
  constructor(
    request: Outgoing,
    resolve: (answer: Incoming | WireFault) => void,
    resume: (lastId: string, handler: Exchange) => void,
  ) {
    this.#request = request;
    this.#resolve = resolve;
    this.#resume = resume;
    const { timeoutMs } = request;
    this.#timer =
      timeoutMs === 0
        ? null
        : setTimeout(() => this.#end(new WireFault('timeout', true, `no answer in ${timeoutMs} ms`)), timeoutMs);
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
    if (this.#resumes > 0 && status !== 200)
      return this.#end(new WireFault('unavailable', true, `HTTP ${status} to a stream taken up again`));
    this.#status = status;
    const session = headers['mcp-session-id'];
    if (this.#resumes === 0) this.#session = typeof session === 'string' ? session : null;
    if (status === 401 || status === 403) this.refusal = refusalIn(headers);
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
    if (this.#first === null) {
      this.#first = chunk;
      return;
    }
    if (this.#all.length === 0) this.#all.add(this.#first);
    this.#all.add(chunk);
  }

  onResponseEnd(): void {
    if (this.#stream) {
      if (!this.#again()) this.#end(new WireFault('protocol', true, 'the stream ended without an answer'));
      return;
    }
    const bytes = this.#all.length > 0 || this.#first === null ? this.#all.take() : this.#first;
    this.#end({ status: this.#status, session: this.#session, bytes, spans: null });
  }

  /** The stream went, its answer may still come: only where its events had ids, and only for so many times. */
  #again(): boolean {
    if (this.#done || !this.#request.resumes || this.#stream === null) return false;
    const { lastId, retryMs } = this.#stream;
    if (lastId !== this.#lastId) this.#resumes = 0;
    this.#lastId = lastId || this.#lastId;
    this.#retryMs = retryMs ?? this.#retryMs;
    if (this.#lastId === '' || this.#resumes >= MAX_RESUMES) return false;
    this.#resumes++;
    this.#stream = null;
    const wait = Math.min(RESUME_MS.most, Math.max(RESUME_MS.least, this.#retryMs ?? RESUME_MS.unasked));
    this.#pause = setTimeout(() => this.#resume(this.#lastId, this), wait);
    return true;
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#again()) return;
    const code = (error as NodeJS.ErrnoException).code ?? error.name;
    if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT')
      return this.#end(new WireFault('timeout', true, code));
    const sent = !CONNECTION_CODES.includes(code) && this.#controller !== null;
    this.#end(new WireFault(sent && this.#status !== 0 ? 'protocol' : 'unavailable', sent, code));
  }

  #end(answer: Incoming | WireFault): void {
    if (this.#done) return;
    this.#done = true;
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#pause) clearTimeout(this.#pause);
    if (this.#onAbort) this.#request.signal?.removeEventListener('abort', this.#onAbort);
    const finished = !(answer instanceof WireFault) && !this.#stream;
    // Dropping the connection is how a request is cancelled over HTTP (protocol.md 1.2).
    if (!finished) this.#controller?.abort(new Error('no longer wanted'));
    this.#resolve(answer);
  }
}

/** The stream a legacy upstream speaks on unasked: handed on message by message until it ends. */
export class HearingHandler implements Dispatcher.DispatchHandler {
  readonly #hearing: Hearing;
  readonly #resolve: (end: number | WireFault) => void;
  #controller: Dispatcher.DispatchController | null = null;
  #stream: EventStreamReader | null = null;
  #status = 0;

  constructor(hearing: Hearing, resolve: (end: number | WireFault) => void) {
    this.#hearing = hearing;
    this.#resolve = (end) => {
      // The signal is the session's, which hears again and again.
      hearing.signal.removeEventListener('abort', this.#stop);
      resolve(end);
    };
    hearing.signal.addEventListener('abort', this.#stop, { once: true });
  }

  readonly #stop = (): void => {
    this.#resolve(this.#status);
    this.#controller?.abort(new Error('no longer wanted'));
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#hearing.signal.aborted) this.#stop();
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status;
    if (status !== 200 || !joined(headers['content-type'])?.startsWith('text/event-stream')) return this.#stop();
    this.#stream = new EventStreamReader(this.#hearing.maxBytes, (data) => {
      const read = classify(data);
      if (read.spans) this.#hearing.onMessage(data, read);
    });
    this.#hearing.onOpen();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // What is too long to be a notice ends the stream, not our memory.
    if (this.#stream?.push(chunk) === false) this.#stop();
  }

  onResponseEnd(): void {
    this.#resolve(this.#status);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#resolve(new WireFault('unavailable', false, (error as NodeJS.ErrnoException).code ?? error.name));
  }
}
