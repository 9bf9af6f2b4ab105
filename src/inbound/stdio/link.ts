import { Agent, type Dispatcher, request } from 'undici';
import { oneLine } from '../../core/mcp/one-line.ts';
import { EventStreamReader } from '../../upstream/event-stream.ts';
import type { ClientCertificate } from '../client-certificate.ts';
import type { TokenSource } from './token-source.ts';

export interface LinkOptions {
  /** The gateway's MCP endpoint. */
  readonly url: string;
  /** PEM of the authority that signs the gateway's certificate; undefined: the system's. */
  readonly ca?: string;
  /** Shown when the gateway asks for one. */
  readonly certificate?: ClientCertificate | undefined;
  readonly tokens: TokenSource;
  /** Takes one message for the client, without line breaks. */
  readonly write: (message: Uint8Array) => void;
}

export const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;

export type Headers = Readonly<Record<string, string>>;
export type Message = Readonly<Record<string, unknown>>;

/** What came of an event stream: how far it was heard, and whether the request it belongs to was answered on it. */
export interface Heard {
  readonly answered: boolean;
  /** Of the last event that had an id; '' for none. */
  readonly lastId: string;
  readonly retryMs: number | null;
}

/** The way of the stdio entry to the gateway: requests with its own token, and what they are answered with. */
export class GatewayLink {
  readonly url: string;
  readonly write: (message: Uint8Array) => void;
  readonly #tokens: TokenSource;
  readonly #agent: Agent;

  constructor({ url, ca, certificate, tokens, write }: LinkOptions) {
    this.url = url;
    this.write = (message) => write(oneLine(message));
    this.#tokens = tokens;
    this.#agent = new Agent({ connect: { ...(ca ? { ca } : {}), ...certificate } });
  }

  async send(
    method: 'POST' | 'GET' | 'DELETE',
    options: { headers?: Headers; body?: Uint8Array; signal?: AbortSignal },
  ): Promise<Dispatcher.ResponseData> {
    return await request(this.url, {
      method,
      dispatcher: this.#agent,
      signal: options.signal ?? null,
      headers: {
        ...(options.body ? { 'content-type': 'application/json' } : {}),
        accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
        authorization: `Bearer ${await this.#tokens.token()}`,
        ...options.headers,
      },
      body: options.body ?? null,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** Passes the messages of an event stream on. A stream that breaks off has been heard so far. @param id of the request it belongs to */
  async hear({ body }: Dispatcher.ResponseData, id: unknown, lastId = ''): Promise<Heard> {
    let answered = false;
    const events = new EventStreamReader(MAX_MESSAGE_BYTES, (data) => {
      if (data.length === 0) return;
      answered ||= id !== undefined && isAnswerTo(parseObject(data), id);
      this.write(data);
    });
    events.lastId = lastId;
    try {
      for await (const chunk of body) {
        if (!events.push(chunk as Uint8Array)) throw new Error(`an event passed ${MAX_MESSAGE_BYTES} bytes`);
      }
    } catch (cause) {
      if (events.lastId === '' || (cause as Error).name === 'AbortError') throw cause;
    }
    return { answered, lastId: events.lastId, retryMs: events.retryMs };
  }

  /** An answer in one piece, under the id of the request: one from before the id was read (401, 413, 429, 503) gets it, so that no client is left waiting. */
  answer(id: unknown, status: number, body: Uint8Array): void {
    const parsed = parseObject(body);
    if (parsed && isAnswerTo(parsed, id)) return this.write(body);
    const error = parsed?.['error'] ?? { code: -32603, message: `The gateway answered HTTP ${status}.` };
    this.fail(id, error);
  }

  fail(id: unknown, error: unknown): void {
    this.write(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, error })));
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }
}

export function isEventStream({ headers }: Dispatcher.ResponseData): boolean {
  return String(headers['content-type'] ?? '').startsWith('text/event-stream');
}

function isAnswerTo(message: Message | null, id: unknown): boolean {
  return message !== null && message['id'] === id && message['method'] === undefined;
}

export function parseObject(bytes: Uint8Array): Message | null {
  const value = parse(bytes);
  return isObject(value) ? value : null;
}

/** The messages of a batch; null when it is none. What else stands in it is for the gateway to refuse. */
export function parseBatch(bytes: Uint8Array): readonly Message[] | null {
  const value = parse(bytes);
  return Array.isArray(value) ? value.filter(isObject) : null;
}

/** Of the requests among these messages. */
export function idsIn(messages: readonly Message[]): unknown[] {
  return messages.flatMap(({ id, method }) => (id === undefined || method === undefined ? [] : [id]));
}

function isObject(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return null; // not JSON: the caller says so on the wire
  }
}
