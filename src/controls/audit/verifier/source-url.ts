import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { LogSource } from './source.ts';
import { VerifierError } from './verifier-error.ts';

export interface UrlOptions {
  /** PEM of the authority that issued the server's certificate, when the system does not know it. */
  readonly ca?: string | undefined;
  /** How long one answer may take, ms. */
  readonly deadlineMs?: number;
}

const DEADLINE_MS = 60_000;
const CONNECTIONS = 8;
const NOT_THERE: ReadonlySet<number> = new Set([404, 410]);

/**
 * A log that a web server holds, below an http(s) address. It cannot be listed. Ranges are asked for; a server that does
 * not know them sends the whole file, which is then read on from window to window. Redirects are not followed: an
 * address is what the auditor was given, not what the server says.
 * @throws VerifierError `unreachable` for an address that is no http(s) URL
 */
export function urlSource(address: string, options: UrlOptions = {}): LogSource {
  const base = URL.parse(address.endsWith('/') ? address : `${address}/`);
  if (!base || !/^https?:$/.test(base.protocol))
    throw new VerifierError('unreachable', `${address} is not an http or https address`);
  return new UrlSource(base, options);
}

class UrlSource implements LogSource {
  readonly name: string;
  readonly #base: URL;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #deadlineMs: number;
  /** The whole file that a server without ranges is sending. */
  #stream: WholeFile | null = null;

  constructor(base: URL, { ca, deadlineMs = DEADLINE_MS }: UrlOptions) {
    this.name = `${base.origin}${base.pathname}`;
    this.#base = base;
    this.#deadlineMs = deadlineMs;
    const pool = { keepAlive: true, maxSockets: CONNECTIONS };
    this.#agent = base.protocol === 'https:' ? new HttpsAgent({ ...pool, ...(ca ? { ca } : {}) }) : new HttpAgent(pool);
  }

  async list(): Promise<null> {
    return null;
  }

  async size(path: string): Promise<number | null> {
    const response = await this.#ask('HEAD', path, {});
    response.resume();
    if (NOT_THERE.has(response.statusCode!)) return null;
    this.#require(response, path, response.statusCode === 200);
    const length = Number(response.headers['content-length'] ?? Number.NaN);
    return Number.isSafeInteger(length) ? length : this.#counted(path);
  }

  /** For a server that does not say how long its files are. */
  async #counted(path: string): Promise<number> {
    const response = await this.#ask('GET', path, { range: 'bytes=0-0' });
    const total = /^bytes 0-0\/([0-9]{1,15})$/.exec(response.headers['content-range'] ?? '');
    if (response.statusCode === 206 && total) {
      response.resume();
      return Number(total[1]);
    }
    this.#require(response, path, response.statusCode === 200);
    const whole = new WholeFile(response, path, this.#deadlineMs);
    await whole.skip(Number.MAX_SAFE_INTEGER);
    return whole.at;
  }

  async read(path: string, from: number, to: number): Promise<Buffer | null> {
    if (this.#stream?.isAt(path, from)) return this.#stream.take(to - from);
    const response = await this.#ask('GET', path, { range: `bytes=${from}-${to - 1}` });
    const { statusCode = 0, headers } = response;
    if (NOT_THERE.has(statusCode) || statusCode === 416) {
      response.resume();
      return statusCode === 416 ? Buffer.alloc(0) : null;
    }
    const coding = headers['content-encoding'] ?? 'identity';
    this.#require(response, path, (statusCode === 206 || statusCode === 200) && coding === 'identity');
    const whole = new WholeFile(response, path, this.#deadlineMs);
    if (statusCode === 206) {
      const range = /^bytes ([0-9]+)-/.exec(headers['content-range'] ?? '');
      this.#require(response, path, Number(range?.[1] ?? Number.NaN) === from);
      const bytes = await whole.take(to - from + 1);
      this.#require(response, path, bytes.length <= to - from);
      return bytes;
    }
    if (from > 0) await whole.skip(from);
    const bytes = await whole.take(to - from);
    if (whole.isOver) return bytes;
    this.#stream?.end();
    this.#stream = whole;
    return bytes;
  }

  close(): void {
    this.#stream?.end();
    this.#agent.destroy();
  }

  /** Resolves with the head of the answer; its body is still to come. */
  #ask(method: string, path: string, headers: Record<string, string>): Promise<IncomingMessage> {
    const url = new URL(path.split('/').map(encodeURIComponent).join('/'), this.#base);
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const request: ClientRequest = send(url, {
        method,
        agent: this.#agent,
        headers: { 'accept-encoding': 'identity', ...headers },
      });
      const timer = setTimeout(() => request.destroy(new Error('it took too long')), this.#deadlineMs);
      request.on('error', (cause) => {
        clearTimeout(timer);
        reject(unreachable(`${url.origin}${url.pathname}`, cause));
      });
      request.on('response', (response) => {
        clearTimeout(timer);
        resolve(response);
      });
      request.end();
    });
  }

  #require(response: IncomingMessage, path: string, holds: boolean): void {
    if (holds) return;
    response.destroy();
    const what = `${this.name}${path} was answered with status ${response.statusCode}`;
    throw new VerifierError('unreachable', `${what}, which is no file and does not say that there is none`);
  }
}

/** The body of an answer, taken piece by piece; never more than is asked for is held. */
class WholeFile {
  readonly #response: IncomingMessage;
  readonly #path: string;
  readonly #deadlineMs: number;
  #rest: Buffer | null = null;
  at = 0;
  isOver = false;

  constructor(response: IncomingMessage, path: string, deadlineMs: number) {
    this.#response = response;
    this.#path = path;
    this.#deadlineMs = deadlineMs;
    response.pause();
  }

  isAt(path: string, from: number): boolean {
    return !this.isOver && path === this.#path && from === this.at;
  }

  async take(count: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    await this.#pass(count, (piece) => pieces.push(piece));
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  skip(count: number): Promise<void> {
    return this.#pass(count, () => undefined);
  }

  end(): void {
    this.isOver = true;
    this.#response.destroy();
  }

  async #pass(count: number, hear: (piece: Buffer) => void): Promise<void> {
    const timer = setTimeout(() => this.#response.destroy(new Error('it took too long')), this.#deadlineMs);
    try {
      for (let left = count; left > 0; ) {
        const piece = this.#rest ?? (await this.#next());
        this.#rest = null;
        if (!piece) return;
        const used = piece.length > left ? piece.subarray(0, left) : piece;
        if (used.length < piece.length) this.#rest = piece.subarray(used.length);
        left -= used.length;
        this.at += used.length;
        hear(used);
      }
    } catch (cause) {
      throw unreachable(this.#path, cause);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The next piece, or null at the end of a whole body. */
  #next(): Promise<Buffer | null> {
    const response = this.#response;
    return new Promise((resolve, reject) => {
      const done = (act: () => void) => {
        response.off('readable', look).off('end', end).off('error', fail).off('close', closed);
        act();
      };
      const fail = (error: Error) => done(() => reject(error));
      const closed = () => fail(new Error('the connection was lost'));
      const end = () =>
        done(() => {
          this.isOver = true;
          resolve(null);
        });
      const look = () => {
        const piece = response.read() as Buffer | null;
        if (piece) done(() => resolve(piece));
      };
      if (response.readableEnded) return end();
      // It was lost while nobody was reading: there will be no event any more.
      if (response.destroyed) return closed();
      response.on('readable', look).on('end', end).on('error', fail).on('close', closed);
      look();
    });
  }
}

function unreachable(what: string, cause: unknown): VerifierError {
  return new VerifierError('unreachable', `${what} could not be read: ${(cause as Error).message}`, cause);
}
