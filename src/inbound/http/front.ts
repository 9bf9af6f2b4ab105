import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { BodySource, Call, Head, Now, WayIn } from '../../core/call.ts';
import { Cancellation } from '../../core/cancellation.ts';
import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { uuidv7 } from '../../core/ids.ts';
import type { WireAnswer } from '../../core/mcp/wire.ts';
import { type AnswerWriter, acceptsEvents, answerWriter, type ResponseHeaders } from './answer.ts';
import { CallEvents, endedOwner, runsOn } from './call-events.ts';
import { StreamLogs } from './stream-logs.ts';

/** `challenge` is the value for WWW-Authenticate, '' when none is due. */
export interface Handled {
  readonly answer: WireAnswer;
  readonly challenge: string;
}

/** What the front needs of the product: take a call through its flow, and say how its ending looks on the wire. */
export interface CallHandler {
  /** Never rejects: whatever fails inside is an answer. */
  handle(call: Call): Promise<Handled>;
}

type RequestBody = BodySource & { readonly done: boolean };

export interface FrontOptions {
  readonly handler: CallHandler;
  readonly headers: ResponseHeaders;
  readonly body: (req: IncomingMessage) => RequestBody;
  readonly clock: () => Now;
  readonly maxBufferedBytes: number;
  readonly keepAliveMs: number;
}

/** MCP over Streamable HTTP: one request becomes one call, its ending becomes one answer or one event stream. */
export function mcpFront(options: FrontOptions): (req: IncomingMessage, res: ServerResponse) => void {
  const shared = { ...options, logs: new StreamLogs(), write: answerWriter(options.headers) };
  // By then the parser has handed over what came with the head, usually the whole body: no call waits for that.
  return (req, res) => process.nextTick(serve, new Exchange(req, res, shared));
}

function serve(exchange: Exchange): void {
  void exchange.serve();
}

/** What all requests share. */
interface Shared extends FrontOptions {
  readonly logs: StreamLogs;
  readonly write: AnswerWriter;
}

/** One request, its call and its answer. */
class Exchange {
  readonly #res: ServerResponse;
  readonly #shared: Shared;
  readonly #body: RequestBody;
  readonly #call: Call;
  #events: CallEvents | null = null;

  constructor(req: IncomingMessage, res: ServerResponse, shared: Shared) {
    this.#res = res;
    this.#shared = shared;
    this.#body = shared.body(req);
    const call = arrive(req, 'http', this.#body, shared.clock());
    this.#call = call;
    res.on('close', () => this.#closed());
    if (acceptsEvents(call)) call.events = (message) => this.#said().say(message);
    if (call.head.method === 'GET')
      call.stream = { resume: () => this.#said().resume(), begin: () => this.#said().begin() };
  }

  async serve(): Promise<void> {
    const call = this.#call;
    const { handler, write, logs } = this.#shared;
    try {
      const { answer, challenge } = await handler.handle(call);
      const extra = extraHeaders(call, answer.status, challenge);
      // A stream without a request ends without an answer.
      if (this.#events?.begun) this.#events.end(call.head.method === 'GET' ? null : answer.body);
      else write(this.#res, answer, extra, this.#body.done);
      const ended = endedOwner(call, answer.status);
      if (ended) logs.forget(ended);
    } catch {
      // Nobody can be answered any more, and no request may end the process.
      this.#res.destroy();
    }
  }

  #said(): CallEvents {
    this.#events ??= new CallEvents(this.#call, this.#res, this.#shared.logs, this.#shared);
    return this.#events;
  }

  #closed(): void {
    if (this.#res.writableFinished) return;
    this.#events?.left();
    if (!runsOn(this.#call)) this.#call.cancel();
  }
}

const NO_HEADERS: readonly string[] = [];

function extraHeaders(call: Call, status: number, challenge: string): readonly string[] {
  if (challenge) return ['WWW-Authenticate', challenge];
  if (call.opened !== undefined && status === 200) return ['Mcp-Session-Id', call.opened];
  if (status !== 405) return NO_HEADERS;
  return ['Allow', call.client?.session ? 'GET, POST' : 'POST'];
}

/** A call as it arrives: identity, head and an unread body. Its `cancel` is for when the client has gone. */
export function arrive(req: IncomingMessage, way: WayIn, source: BodySource, now: Now): Call {
  const cancellation = new Cancellation();
  // All of it stands here from the start, what stages leave as well: an object that grows on its way is moved at every step.
  return {
    id: uuidv7(now.utc),
    way,
    arrived: now,
    head: headOf(req, now.utc),
    source,
    signal: cancellation,
    cancel: () => cancellation.abort(),
    events: null,
    endpoint: undefined,
    door: undefined,
    principal: undefined,
    budget: undefined,
    body: undefined,
    message: undefined,
    client: undefined,
    candidate: undefined,
    target: undefined,
    lease: undefined,
    arguments: undefined,
    round: undefined,
    decision: undefined,
    findings: undefined,
    approval: undefined,
    intent: undefined,
    consumed: undefined,
    result: undefined,
    scrubbed: undefined,
    reply: undefined,
    receipt: undefined,
  };
}

function headOf(req: IncomingMessage, utc: number): Head {
  const url = req.url ?? '';
  const mark = url.indexOf('?');
  return {
    method: req.method ?? '',
    path: mark === -1 ? url : url.slice(0, mark),
    query: mark === -1 ? '' : url.slice(mark + 1),
    headers: req.headers,
    rawHeaders: req.rawHeaders,
    version: req.httpVersion,
    address: req.socket.remoteAddress ?? '',
    certificate: certificateOf(req.socket as TLSSocket, utc),
  };
}

/**
 * Only a certificate the TLS layer itself verified counts; one named in a header never does (threats.md MT-03). The
 * handshake may be long ago: what has ended since then proves nothing any more.
 */
function certificateOf(socket: TLSSocket, utc: number): string | null {
  if (!socket.encrypted || !socket.authorized) return null;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined || utc >= certificate.validToDate.getTime()) return null;
  return sha256Base64Url(certificate.raw);
}
