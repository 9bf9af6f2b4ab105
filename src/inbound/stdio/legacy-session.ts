import { setTimeout as wait } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { type GatewayLink, type Headers, idsIn, isEventStream, type Message, parseBatch, parseObject } from './link.ts';

const FIRST_PAUSE_MS = 1_000;
const LAST_PAUSE_MS = 30_000;
/** How often the rest of one answer is asked for before its request is given up. */
const RESUMPTIONS = 5;
const FAREWELL_MS = 2_000;
const INITIALIZED = Buffer.from('{"jsonrpc":"2.0","method":"notifications/initialized"}');

/** One answer: still a stream, or whole. */
interface Answer {
  readonly status: number;
  readonly stream: Dispatcher.ResponseData | null;
  readonly body: Uint8Array;
  /** The session headers its request went out with. */
  readonly under: Headers;
}

/**
 * The session of a client that speaks a legacy revision over stdio: its id goes with every request, its stream is held
 * open, and when the gateway no longer knows it, it is begun once more with the client's own words (protocol.md 1.6).
 */
export class LegacySession {
  readonly #link: GatewayLink;
  readonly #onDiagnostic: (line: string) => void;
  readonly #initialize: Uint8Array;
  readonly #closed = new AbortController();
  #headers: Headers = {};
  readonly #begun: Promise<void>;
  #again: Promise<boolean> | null = null;
  #stream: Promise<void> | null = null;

  /** @param initialize the client's request, as it wrote it; it is sent at once */
  constructor(link: GatewayLink, initialize: Uint8Array, onDiagnostic: (line: string) => void) {
    this.#link = link;
    this.#initialize = initialize;
    this.#onDiagnostic = onDiagnostic;
    this.#begun = this.#begin().then(({ status, body }) => link.answer(parseObject(initialize)?.['id'], status, body));
  }

  /** Resolves when the client has its answer to `initialize`. */
  begun(): Promise<void> {
    return this.#begun;
  }

  /** One message of the client: what it is answered with is written, if it is answered at all. */
  async exchange(line: Uint8Array, message: Message): Promise<void> {
    const answer = await this.#answerTo(line);
    const id = message['method'] === undefined ? undefined : message['id'];
    if (answer.stream) await this.#hear(answer.stream, id);
    else if (id !== undefined) this.#link.answer(id, answer.status, answer.body);
    if (message['method'] === 'notifications/initialized') this.#stream ??= this.#listen();
  }

  /** A batch, of the one revision that has them: answered in one piece, or each request by what refused it whole. */
  async exchangeBatch(line: Uint8Array, messages: readonly Message[]): Promise<void> {
    const { stream, status, body } = await this.#answerTo(line);
    if (stream) await this.#hear(stream, undefined);
    else if (parseBatch(body)) this.#link.write(body);
    else for (const id of idsIn(messages)) this.#link.answer(id, status, body);
  }

  /** What one line of the client is answered with. */
  async #answerTo(line: Uint8Array): Promise<Answer> {
    // Without an answer to initialize there is no session; the gateway says what that means.
    await this.#begun.catch(() => undefined);
    const answer = await this.#post(line, this.#headers);
    if (!isGone(answer)) return answer;
    if (this.#headers === answer.under && !(await this.#beginAgain()))
      throw new Error('the session has ended and could not be begun again');
    // It was refused because of its session: it has not run.
    return await this.#post(line, this.#headers);
  }

  /** Ends the session: its stream, then what the gateway knows of it. */
  async end(): Promise<void> {
    this.#closed.abort();
    await this.#stream;
    if (!this.#headers['mcp-session-id']) return;
    try {
      const signal = AbortSignal.timeout(FAREWELL_MS);
      const { body } = await this.#link.send('DELETE', { headers: this.#headers, signal });
      await body.dump();
    } catch {
      // It ends by itself when its time is over.
    }
  }

  async #begin(): Promise<Answer> {
    const { headers, statusCode, body } = await this.#link.send('POST', { body: this.#initialize });
    const bytes = Buffer.from(await body.arrayBuffer());
    const result = parseObject(bytes)?.['result'] as Message | undefined;
    const session = headers['mcp-session-id'];
    const revision = result?.['protocolVersion'];
    this.#headers = {
      ...(typeof session === 'string' ? { 'mcp-session-id': session } : {}),
      ...(typeof revision === 'string' ? { 'mcp-protocol-version': revision } : {}),
    };
    return { status: statusCode, stream: null, body: bytes, under: this.#headers };
  }

  /** Requests that find the session gone together share one attempt. The client agreed on a revision; another would be news to it. */
  #beginAgain(): Promise<boolean> {
    const agreed = this.#headers['mcp-protocol-version'];
    this.#again ??= (async () => {
      await this.#begin();
      if (!this.#headers['mcp-session-id'] || this.#headers['mcp-protocol-version'] !== agreed) return false;
      await this.#post(INITIALIZED, this.#headers);
      this.#onDiagnostic('the session had ended at the gateway and was begun again');
      return true;
    })().finally(() => {
      this.#again = null;
    });
    return this.#again;
  }

  async #post(line: Uint8Array, under: Headers): Promise<Answer> {
    const answer = await this.#link.send('POST', { headers: under, body: line });
    const stream = isEventStream(answer) ? answer : null;
    const body = stream ? Buffer.alloc(0) : Buffer.from(await answer.body.arrayBuffer());
    return { status: answer.statusCode, stream, body, under };
  }

  /** The stream of a request, to its answer: one that breaks off goes on in another connection where it can. */
  async #hear(stream: Dispatcher.ResponseData, id: unknown): Promise<void> {
    let heard = await this.#link.hear(stream, id);
    for (let round = 0; !heard.answered && heard.lastId !== '' && round < RESUMPTIONS; round++) {
      await wait(heard.retryMs ?? FIRST_PAUSE_MS);
      const headers = { ...this.#headers, 'last-event-id': heard.lastId };
      const rest = await this.#link.send('GET', { headers, signal: this.#closed.signal });
      if (!isEventStream(rest)) break;
      heard = await this.#link.hear(rest, id, heard.lastId);
    }
    if (!heard.answered && id !== undefined) throw new Error('the connection broke before the answer was there');
  }

  /** Holds the stream of the session open until its end. A gateway that has none says so with 405. */
  async #listen(): Promise<void> {
    const { signal } = this.#closed;
    let lastId = '';
    for (let pause = FIRST_PAUSE_MS; !signal.aborted; ) {
      try {
        const under = this.#headers;
        const headers = lastId === '' ? under : { ...under, 'last-event-id': lastId };
        const stream = await this.#link.send('GET', { headers, signal });
        if (isEventStream(stream)) {
          const heard = await this.#link.hear(stream, undefined, lastId);
          lastId = heard.lastId;
          pause = heard.retryMs ?? FIRST_PAUSE_MS;
        } else {
          await stream.body.dump();
          // A session that is gone is begun again by the next request: only a client that still talks needs one.
          if (stream.statusCode === 405) return;
          if (under !== this.#headers) lastId = '';
          pause = Math.min(pause * 2, LAST_PAUSE_MS);
        }
      } catch {
        pause = Math.min(pause * 2, LAST_PAUSE_MS);
      }
      await wait(pause, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** 404 is what a session that is not known is answered with; so is, elsewhere, a method that is none. */
function isGone({ status, body, under }: Answer): boolean {
  if (status !== 404 || !under['mcp-session-id']) return false;
  const error = parseObject(body)?.['error'] as Message | undefined;
  return error?.['code'] !== -32601;
}
