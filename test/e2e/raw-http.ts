import { readFileSync } from 'node:fs';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

/** One HTTP/1.1 answer as it came, or how the connection ended without one. */
export interface RawAnswer {
  readonly status: number;
  /** Lower-case names; repeated ones joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}
export type Ending = 'closed' | 'timeout';

export interface Place {
  /** An `https://localhost:PORT` URL. */
  readonly url: string;
  /** Path of the PEM of its authority. */
  readonly ca: string;
}

/**
 * A TLS connection on which anything can be sent and answers are read one by one: no client library between an attack
 * and the gateway. Reads answers only: it is no place to copy an HTTP client from.
 */
export class RawConnection {
  readonly #socket: TLSSocket;
  #received: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    socket.on('error', () => {}); // a reset is an ending like any other
    socket.on('close', () => this.#end());
    socket.on('end', () => this.#end());
  }

  /** Rejects with the TLS error when there is no handshake. */
  static open({ url, ca }: Place, options: ConnectionOptions & { localAddress?: string } = {}): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const port = Number(new URL(url).port);
      const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: authority(ca), ...options });
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        socket.off('error', reject);
        resolve(new RawConnection(socket));
      });
    });
  }

  get open(): boolean {
    return !this.#ended && !this.#socket.destroyed;
  }

  get protocol(): string | null {
    return this.#socket.getProtocol();
  }

  send(bytes: string | Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** Sends the end of our side; the other may still answer. */
  finish(): void {
    this.#socket.end();
  }

  /** The next answer. An answer without an end of its own is whole when the connection ends. */
  async answer(timeoutMs: number, method = 'POST'): Promise<RawAnswer | Ending> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const read = readAnswer(this.#received, method, this.#ended);
      if (read) {
        this.#received = this.#received.subarray(read.length);
        if (read.answer.status >= 200) return read.answer;
        continue;
      }
      if (this.#ended) return 'closed';
      const left = deadline - Date.now();
      if (left <= 0) return 'timeout';
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Resolves with whether the other side ended the connection in time. */
  async ends(timeoutMs: number): Promise<boolean> {
    const deadline = Date.now() + timeoutMs;
    while (!this.#ended && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    return this.#ended;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #end(): void {
    this.#ended = true;
    this.#wake();
  }
}

const authorities = new Map<string, string>();
function authority(path: string): string {
  const text = authorities.get(path) ?? readFileSync(path, 'utf8');
  authorities.set(path, text);
  return text;
}

function readAnswer(bytes: Buffer, method: string, ended: boolean): { answer: RawAnswer; length: number } | null {
  const blank = bytes.indexOf('\r\n\r\n');
  if (blank === -1) return null;
  const [first = '', ...lines] = bytes.toString('latin1', 0, blank).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1] ?? Number.NaN);
  if (Number.isNaN(status)) throw new Error(`this is no HTTP answer: ${JSON.stringify(first.slice(0, 80))}`);
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  const body = readBody(bytes.subarray(blank + 4), { status, headers, method, ended });
  return body && { answer: { status, headers, body: body.body }, length: blank + 4 + body.length };
}

function readBody(
  bytes: Buffer,
  of: { status: number; headers: Record<string, string>; method: string; ended: boolean },
): { body: Buffer; length: number } | null {
  const { status, headers, method, ended } = of;
  if (status < 200 || status === 204 || status === 304 || method === 'HEAD')
    return { body: Buffer.alloc(0), length: 0 };
  if (headers['transfer-encoding'] === 'chunked') return readChunks(bytes);
  const declared = headers['content-length'];
  if (declared === undefined) return ended ? { body: bytes, length: bytes.length } : null;
  const length = Number(declared);
  return bytes.length >= length ? { body: bytes.subarray(0, length), length } : null;
}

function readChunks(bytes: Buffer): { body: Buffer; length: number } | null {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf('\r\n', at);
    if (end === -1) return null;
    const size = Number.parseInt(bytes.toString('latin1', at, end), 16);
    if (bytes.length < end + 2 + size + 2) return null;
    chunks.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
    if (size === 0) return { body: Buffer.concat(chunks), length: at };
  }
}
