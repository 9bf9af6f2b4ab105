import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { MAX_SUBMISSION_BYTES } from './submission.ts';
import type { Witness } from './witness.ts';

export interface WitnessServerOptions {
  readonly witness: Witness;
  /** Its `name+hash+key`, shown to people. */
  readonly line: string;
  readonly host: string;
  readonly port: number;
  /** PEM; null: plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Told of each submission: status and nothing of what a stranger wrote. */
  readonly say: (line: string) => void;
}

export interface WitnessServer {
  readonly url: string;
  close(): Promise<void>;
}

const REQUEST_MS = 10_000;
const IDLE_MS = 60_000;
const MAX_HEADER_BYTES = 8 * 1024;
const MAX_CONNECTIONS = 256;
/** Of one address, so that no single stranger keeps the logs out; a proxy in front needs far fewer. */
const MAX_PER_ADDRESS = 32;

/** A server of its own, small on purpose: a witness stands in another domain than the gateway and shares nothing with it. */
export async function serveWitness(options: WitnessServerOptions): Promise<WitnessServer> {
  const { host, port, tls } = options;
  const limits = {
    maxHeaderSize: MAX_HEADER_BYTES,
    requestTimeout: REQUEST_MS,
    // Who sends nothing for so long makes room for others: by default nobody looks for half a minute.
    connectionsCheckingInterval: 1_000,
    headersTimeout: REQUEST_MS,
    keepAliveTimeout: IDLE_MS,
  };
  const onRequest = (request: IncomingMessage, response: ServerResponse) => void answer(options, request, response);
  const server = tls
    ? createTlsServer({ ...limits, ...tls, minVersion: 'TLSv1.3', handshakeTimeout: REQUEST_MS }, onRequest)
    : createServer(limits, onRequest);
  server.maxConnections = MAX_CONNECTIONS;
  server.on('connection', shared(MAX_PER_ADDRESS));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  const shownHost = host.includes(':') ? `[${host}]` : host;
  return {
    url: `${tls ? 'https' : 'http'}://${shownHost}:${bound}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}

/** Cuts a connection of an address that has its share already. */
function shared(share: number): (socket: Socket) => void {
  const held = new Map<string, number>();
  return (socket) => {
    const address = socket.remoteAddress ?? '';
    const count = (held.get(address) ?? 0) + 1;
    if (count > share) {
      socket.destroy();
      return;
    }
    held.set(address, count);
    socket.once('close', () => {
      const left = held.get(address)! - 1;
      if (left === 0) held.delete(address);
      else held.set(address, left);
    });
  };
}

async function answer(
  { witness, line, say }: WitnessServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = '', url = '' } = request;
  if (method === 'GET' && url === '/') return send(response, 200, `witness ${witness.name}\n${line}\n`);
  if (!url.endsWith('/add-checkpoint')) return refuse(request, response, 404, 'there is POST /add-checkpoint\n');
  if (method !== 'POST') return refuse(request, response, 405, 'there is POST /add-checkpoint\n');
  const body = await bodyOf(request);
  if (body === null) return refuse(request, response, 413, 'a submission is not that long\n');
  try {
    const { status, type, body: text } = witness.addCheckpoint(body);
    say(`add-checkpoint: ${status}`);
    send(response, status, text, type);
  } catch (error) {
    say(`add-checkpoint: 500: ${error instanceof Error ? error.message : String(error)}`);
    send(response, 500, 'this witness cannot read or write what it has seen\n');
  }
}

/** Null: longer than any submission, or broken off. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_SUBMISSION_BYTES) return null;
      chunks.push(chunk);
    }
  } catch {
    return null;
  }
  return Buffer.concat(chunks);
}

/** The rest of the request is not read. */
function refuse(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
  response.setHeader('connection', 'close');
  send(response, status, text);
  response.once('finish', () => request.destroy());
}

function send(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
