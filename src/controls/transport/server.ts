import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { Server as HttpsServer, ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import { openSecret } from '../../core/settings.ts';
import { clientOptions, cutFalseCertificates } from './clients.ts';
import { readPem } from './pem.ts';
import type { TransportSettings } from './settings.ts';

/** A TLS leaf, PEM. */
export interface KeyPair {
  readonly certificate: string | Buffer;
  readonly key: string | Buffer;
}

/** The pair the settings name, or null when they name none. @throws SettingsError */
export function readKeyPair(settings: TransportSettings): KeyPair | null {
  if (!settings.tls) return null;
  return { certificate: readPem(settings.tls.certificate), key: openSecret(settings.tls.key) };
}

/** For `https.createServer` and, on a new pair, `server.setSecureContext`. */
export function serverOptions(settings: TransportSettings, pair: KeyPair, home: string): ServerOptions {
  return {
    cert: pair.certificate,
    key: pair.key,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: settings.handshakeTimeoutMs,
    ...clientOptions(settings, home),
    ...headOptions(settings),
  };
}

/** The part of the options that has nothing to do with TLS. */
function headOptions(settings: TransportSettings): ServerOptions {
  return {
    headersTimeout: settings.headersTimeoutMs,
    requestTimeout: settings.requestTimeoutMs,
    // The default, 30 s, is what lets slow heads live long after their timeout.
    connectionsCheckingInterval: Math.max(50, Math.min(500, Math.floor(settings.headersTimeoutMs / 4))),
    keepAliveTimeout: settings.keepAliveTimeoutMs,
    maxHeaderSize: settings.maxHeaderBytes,
    insecureHTTPParser: false,
    // Node would answer on its own, without HSTS and without a record: transport.head refuses it.
    requireHostHeader: false,
    joinDuplicateHeaders: false,
    noDelay: true,
  };
}

/**
 * What options alone cannot say: bounds that are properties of a server, bare answers to what is not HTTP, no
 * `100 Continue`, one request at a time, slow readers cut, early answers readable. Call once, after the request listener and before `listen`.
 * @returns stops what it started
 */
export function hardenServer(
  server: HttpServer | HttpsServer,
  settings: TransportSettings,
  headers: readonly string[],
): () => void {
  // Node drops what is above without a word; one more is let through for transport.head to refuse.
  server.maxHeadersCount = settings.maxHeaders + 1;
  server.maxConnections = settings.maxConnections;
  server.maxRequestsPerSocket = settings.maxRequestsPerConnection;
  const bare = bareAnswers(headers);

  server.on('clientError', (error: NodeJS.ErrnoException, duplex) => {
    const socket = duplex as Answering;
    // An answer is under way on this connection: a second status line would be read as part of it.
    const answering = socket._httpMessage?.headersSent === true;
    if (!socket.writable || answering || error.code === 'ECONNRESET') return void socket.destroy();
    socket.end(bare.get(error.code ?? '') ?? bare.get('')!, () => socket.destroySoon());
  });
  server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy());
  // Without a listener Node says "100 Continue" on its own; transport.head refuses Expect, so both come to it.
  const asRequest = (req: IncomingMessage, res: ServerResponse) => void server.emit('request', req, res);
  server.on('checkContinue', asRequest);
  server.on('checkExpectation', asRequest);

  runInTurn(server);

  const readers = new SlowReaders(settings.writeTimeoutMs);
  const secure = 'setSecureContext' in server;
  server.on(secure ? 'secureConnection' : 'connection', (socket: Socket) => {
    readers.watch(socket);
    lingerOnClose(socket, settings);
  });
  if (secure && settings.clients.certificates !== 'off') cutFalseCertificates(server as HttpsServer);
  server.on('close', () => readers.stop());
  return () => readers.stop();
}

function bareAnswers(headers: readonly string[]): ReadonlyMap<string, string> {
  let common = '';
  for (let i = 0; i < headers.length; i += 2) common += `${headers[i]}: ${headers[i + 1]}\r\n`;
  const answer = (status: string) => `HTTP/1.1 ${status}\r\n${common}Content-Length: 0\r\nConnection: close\r\n\r\n`;
  return new Map([
    ['', answer('400 Bad Request')],
    ['HPE_HEADER_OVERFLOW', answer('431 Request Header Fields Too Large')],
    ['HPE_CHUNK_EXTENSIONS_OVERFLOW', answer('413 Payload Too Large')],
    ['ERR_HTTP_REQUEST_TIMEOUT', answer('408 Request Timeout')],
  ]);
}

/** What node:http keeps on its sockets without documenting it; the name is as old as keep-alive. */
type Answering = Socket & { _httpMessage?: ServerResponse | null };

/** Requests on one connection that may wait for their turn. */
const MAX_WAITING = 16;

/**
 * Pipelined requests run one after the other, as their answers go out; only safe ones might run at once (RFC 9112 9.3.2).
 * An answer made before its turn is held in memory, where no slow reader is noticed, for as long as the one before it
 * lasts: a stream lasts for hours. Behind an answer that closes the connection no turn ever comes.
 */
function runInTurn(server: HttpServer | HttpsServer): void {
  const listeners = server.listeners('request') as ((req: IncomingMessage, res: ServerResponse) => void)[];
  server.removeAllListeners('request');
  const waiting = new WeakMap<Socket, number>();
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    const run = () => {
      for (const listener of listeners) listener(req, res);
    };
    const { socket } = req;
    const earlier = (socket as Answering)._httpMessage;
    if (!earlier || earlier === res) return run();
    const before = waiting.get(socket) ?? 0;
    if (before === MAX_WAITING) return void socket.destroy();
    waiting.set(socket, before + 1);
    res.once('socket', () => {
      waiting.set(socket, waiting.get(socket)! - 1);
      run();
    });
  });
}

/**
 * Cuts peers that leave an answer unread: a socket on which bytes wait to be written and no write has completed for
 * `timeoutMs`. One sweep over the sockets instead of a timer per answer, so the call itself pays nothing.
 */
class SlowReaders {
  readonly #sockets = new Map<Socket, { done: number; stuckFor: number }>();
  readonly #timeoutMs: number;
  readonly #everyMs: number;
  readonly #timer: NodeJS.Timeout;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#everyMs = Math.max(20, Math.min(1_000, Math.floor(timeoutMs / 4)));
    this.#timer = setInterval(() => this.#sweep(), this.#everyMs).unref();
  }

  watch(socket: Socket): void {
    this.#sockets.set(socket, { done: 0, stuckFor: 0 });
    socket.once('close', () => this.#sockets.delete(socket));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    for (const [socket, state] of this.#sockets) {
      const waiting = socket.writableLength;
      const done = socket.bytesWritten - waiting;
      if (waiting === 0 || done !== state.done) state.stuckFor = 0;
      else state.stuckFor += this.#everyMs;
      state.done = done;
      if (state.stuckFor >= this.#timeoutMs) socket.destroy();
    }
  }
}

/**
 * Node cuts a connection as soon as its last answer is written. If the peer is still sending (a body that is too
 * large), the kernel then throws the answer away before it is read. So: say that nothing more will come, take the
 * connection away from the HTTP parser, so that no further request on it can run, discard what still arrives for a
 * moment, then cut.
 */
function lingerOnClose(socket: Socket, settings: TransportSettings): void {
  const most = settings.maxBodyBytes * 4;
  socket.destroySoon = () => {
    socket.destroySoon = () => void socket.destroy();
    if (socket.destroyed) return;
    const cut = setTimeout(() => socket.destroy(), settings.lingerMs);
    let discarded = 0;
    socket.removeAllListeners('data');
    socket.on('data', (chunk) => {
      discarded += chunk.length;
      if (discarded > most) socket.destroy();
    });
    socket.once('end', () => socket.destroy());
    socket.once('close', () => clearTimeout(cut));
    socket.resume();
    if (!socket.writableEnded) socket.end();
  };
}
