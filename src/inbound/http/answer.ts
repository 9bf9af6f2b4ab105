import type { ServerResponse } from 'node:http';
import type { Call } from '../../core/call.ts';
import { oneLine } from '../../core/mcp/one-line.ts';
import type { WireAnswer } from '../../core/mcp/wire.ts';

/** Headers of every response this product sends, names and values alternating. */
export interface ResponseHeaders {
  readonly common: readonly string[];
}

/** Writes a whole JSON answer. A connection whose request body was not read to its end is closed with it. */
export type AnswerWriter = (
  res: ServerResponse,
  answer: WireAnswer,
  extra: readonly string[],
  bodyRead: boolean,
) => void;

export function answerWriter({ common }: ResponseHeaders): AnswerWriter {
  // Each answer fills in a copy of one of these: nearly all have no further line.
  const empty = [...common, 'Content-Length', '0'];
  const json = [...common, 'Content-Type', 'application/json', 'Content-Length', ''];
  const length = json.length - 1;
  return (res, { status, retryAfter, body }, extra, bodyRead) => {
    if (res.headersSent || res.destroyed) return;
    const lines = (body.length > 0 ? json : empty).slice();
    if (body.length > 0) lines[length] = String(body.length);
    if (retryAfter > 0) lines.push('Retry-After', String(retryAfter));
    if (!bodyRead) lines.push('Connection', 'close');
    if (extra.length > 0) lines.push(...extra);
    res.writeHead(status, lines);
    res.end(body);
  };
}

const DATA = Buffer.from('event: message\ndata: ');
const END = Buffer.from('\n');
/** How soon a client that lost its connection may ask for the rest, ms. */
const RETRY_MS = 1_000;

/**
 * The event stream of one connection: opened by the first message, ended by the response. A client that does not read
 * is cut rather than buffered for (threats.md SZ-04).
 */
export class EventStream {
  readonly #res: ServerResponse;
  readonly #headers: ResponseHeaders;
  readonly #maxBuffered: number;
  #open = false;

  constructor(res: ServerResponse, headers: ResponseHeaders, maxBuffered: number) {
    this.#res = res;
    this.#headers = headers;
    this.#maxBuffered = maxBuffered;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Whether anybody can still hear it. */
  get alive(): boolean {
    return !this.#res.destroyed && !this.#res.writableEnded;
  }

  /** Sends the head; then the client knows that there is a stream. */
  begin(): void {
    if (this.#open || !this.alive || this.#res.headersSent) return;
    this.#open = true;
    this.#res.writeHead(200, [...this.#headers.common, 'Content-Type', 'text/event-stream', 'X-Accel-Buffering', 'no']);
    this.#res.flushHeaders();
  }

  /** An event without a message: the place from which the rest can be asked for (protocol.md 1.6). */
  prime(id: string): void {
    this.begin();
    if (this.alive) this.#res.write(`id: ${id}\nretry: ${RETRY_MS}\ndata: \n\n`);
  }

  /** @param id of the event; null: it cannot be asked for again */
  send(message: Uint8Array, id: string | null): void {
    if (!this.alive) return;
    // Judged by what waits already: a message may be larger than that, as an answer in one piece may be, and whoever
    // does not read it at all is cut by the transport.
    if (this.#res.writableLength > this.#maxBuffered) return void this.#res.destroy();
    this.begin();
    if (id !== null) this.#res.write(`id: ${id}\n`);
    this.#res.write(DATA);
    // For every reader: HTTPX, and with it many a Python client, ends lines of a stream at U+2028 too.
    this.#res.write(oneLine(message));
    this.#res.write(END);
  }

  comment(): void {
    if (this.#open && this.alive) this.#res.write(': keep-alive\n\n');
  }

  end(): void {
    if (this.alive) this.#res.end();
  }
}

const EVENTS = ['text/event-stream', '*/*', 'text/*'];

/** True when the client said it can read an event stream, in whatever case (RFC 9110 8.3.1). */
export function acceptsEvents(call: Pick<Call, 'head'>): boolean {
  const accept = call.head.headers['accept'];
  if (typeof accept !== 'string') return false;
  const lower = accept.toLowerCase();
  return EVENTS.some((range) => lower.includes(range));
}
