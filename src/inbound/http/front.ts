import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { BodySource, Call, Head, Now, WayIn } from '../../core/call.ts';
import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { uuidv7 } from '../../core/ids.ts';
import type { WireAnswer } from '../../core/mcp/wire.ts';
import { acceptsEvents, type ResponseHeaders, writeAnswer } from './answer.ts';
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

export interface FrontOptions {
  readonly handler: CallHandler;
  readonly headers: ResponseHeaders;
  readonly body: (req: IncomingMessage) => BodySource & { readonly done: boolean };
  readonly clock: () => Now;
  readonly maxBufferedBytes: number;
  readonly keepAliveMs: number;
}

/** MCP over Streamable HTTP: one request becomes one call, its ending becomes one answer or one event stream. */
export function mcpFront(options: FrontOptions): (req: IncomingMessage, res: ServerResponse) => void {
  const logs = new StreamLogs();
  return (req, res) => {
    const body = options.body(req);
    const { call, abandon } = arrive(req, 'http', body, options.clock());
    let events: CallEvents | null = null;
    const said = () => (events ??= new CallEvents(call, res, logs, options));
    res.once('close', () => {
      if (res.writableFinished) return;
      events?.left();
      if (!runsOn(call)) abandon();
    });
    if (acceptsEvents(call)) call.events = (message) => said().say(message);
    if (call.head.method === 'GET') call.stream = { resume: () => said().resume(), begin: () => said().begin() };
    // Nobody can be answered any more, and no request may end the process.
    const lost = () => void res.destroy();
    const answered = ({ answer, challenge }: Handled): void => {
      // A stream without a request ends without an answer.
      if (events?.begun) events.end(call.head.method === 'GET' ? null : answer.body);
      else writeAnswer(res, options.headers, answer, extraHeaders(call, answer.status, challenge), body.done);
      const ended = endedOwner(call, answer.status);
      if (ended) logs.forget(ended);
    };
    // By then the parser has handed over what came with the head, usually the whole body: no call waits for that.
    process.nextTick(() => void options.handler.handle(call).then(answered).catch(lost));
  };
}

const NO_HEADERS: readonly string[] = [];

function extraHeaders(call: Call, status: number, challenge: string): readonly string[] {
  if (challenge) return ['WWW-Authenticate', challenge];
  if (call.opened !== undefined && status === 200) return ['Mcp-Session-Id', call.opened];
  if (status !== 405) return NO_HEADERS;
  return ['Allow', call.client?.session ? 'GET, POST' : 'POST'];
}

/** A call as it arrives: identity, head and an unread body. `abandon` is for when the client has gone. */
export function arrive(
  req: IncomingMessage,
  way: WayIn,
  source: BodySource,
  now: Now,
): { call: Call; abandon: () => void } {
  const abort = new AbortController();
  const call: Call = {
    id: uuidv7(now.utc),
    way,
    arrived: now,
    head: headOf(req, now.utc),
    source,
    signal: abort.signal,
    cancel: () => abort.abort(),
    events: null,
  };
  return { call, abandon: () => abort.abort() };
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
