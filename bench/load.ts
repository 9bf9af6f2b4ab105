import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Request } from './request.ts';
import { percentile } from './statistics.ts';

/** One system under load. */
export interface LoadTarget {
  readonly port: number;
  /** PEM of the authority; null: plain. */
  readonly ca: string | null;
  /** Bearer tokens, dealt out to the connections in turn; '' is none. */
  readonly tokens: readonly string[];
}

export interface LoadResult {
  readonly calls: number;
  /** Answers that were not 200, lacked the nonce or were a tool error, and connections lost; with the first of them. */
  readonly errors: number;
  readonly firstError: string;
  readonly seconds: number;
  /** ms from sending to the whole answer, or from the moment it had to wait for a free connection. */
  readonly latency: { readonly p50: number; readonly p95: number; readonly p99: number };
  /** How late the generator itself sent, ms, 99th percentile; open loop only. */
  readonly lagP99: number;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const TOOL_ERROR = Buffer.from('"isError":true');
const LENGTH = /\r\ncontent-length: (\d+)/i;

/** Keep-alive connection that sends one request at a time and reads answers with Content-Length: as cheap as it gets. */
class Connection {
  readonly #socket: Socket;
  readonly #request: Request;
  #read: Buffer | null = null;
  #done: ((fault: string | null) => void) | null = null;

  constructor(socket: Socket, request: Request) {
    this.#socket = socket;
    this.#request = request;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('close', () => this.#finish('the connection was lost'));
    socket.on('error', () => {});
  }

  static open({ port, ca, tokens }: LoadTarget, index: number): Promise<Connection> {
    const request = new Request(tokens[index % tokens.length]!, index);
    return new Promise((resolve, reject) => {
      const socket = ca
        ? connectTls({ host: '127.0.0.1', port, ca, servername: 'localhost', minVersion: 'TLSv1.3' })
        : connectPlain({ host: '127.0.0.1', port });
      socket.once('error', reject);
      socket.once(ca ? 'secureConnect' : 'connect', () => resolve(new Connection(socket, request)));
    });
  }

  /** Sends the next request. `done` hears null, or what was wrong with the answer. */
  call(done: (fault: string | null) => void): void {
    this.#done = done;
    if (this.#socket.destroyed) this.#finish('the connection was lost');
    else this.#socket.write(this.#request.next());
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const all = this.#read ? Buffer.concat([this.#read, chunk]) : chunk;
    const end = all.indexOf(HEAD_END);
    const head = end === -1 ? '' : all.toString('latin1', 0, end);
    const length = Number(LENGTH.exec(head)?.[1] ?? 0);
    if (end === -1 || all.length < end + 4 + length) {
      this.#read = all;
      return;
    }
    this.#read = null;
    const good =
      head.startsWith('HTTP/1.1 200') && all.includes(this.#request.nonce, end) && !all.includes(TOOL_ERROR, end);
    this.#finish(good ? null : all.toString('utf8').slice(0, 900));
  }

  #finish(fault: string | null): void {
    const done = this.#done;
    this.#done = null;
    done?.(fault);
  }
}

/** Open connections to one system, each of which has made one call already: handshakes and first looks are not measured. */
export class Load {
  readonly #connections: readonly Connection[];
  #errors = 0;
  #firstError = '';

  private constructor(connections: readonly Connection[]) {
    this.#connections = connections;
  }

  static async open(target: LoadTarget, connections: number): Promise<Load> {
    const load = new Load(await Promise.all(Array.from({ length: connections }, (_, i) => Connection.open(target, i))));
    const first = load.#connections.map((one) => new Promise<string | null>((resolve) => one.call(resolve)));
    const fault = (await Promise.all(first)).find((one) => one !== null);
    if (fault) throw new Error(`the first call failed: ${fault}`);
    return load;
  }

  /** Closed loop: every connection sends its next request as soon as it has its answer. */
  async closedLoop(seconds: number): Promise<LoadResult> {
    const started = performance.now();
    const until = started + seconds * 1000;
    const latencies: number[] = [];
    const drive = (connection: Connection) =>
      new Promise<void>((resolve) => {
        let sent = started;
        const answered = (fault: string | null) => {
          const now = performance.now();
          if (fault !== null) return resolve(this.#failed(fault));
          latencies.push(now - sent);
          if (now >= until) return resolve();
          sent = now;
          connection.call(answered);
        };
        connection.call(answered);
      });
    await Promise.all(this.#connections.map(drive));
    return this.#result(latencies, started, []);
  }

  /**
   * Open loop: requests are sent at Poisson times whatever the answers do. A request that finds no free connection
   * waits, and its waiting counts. That timers fire up to a millisecond late does not: it is reported as lag.
   */
  async openLoop(perSecond: number, seconds: number): Promise<LoadResult> {
    const idle = [...this.#connections];
    const waiting: number[] = [];
    const latencies: number[] = [];
    const lags: number[] = [];
    const started = performance.now();
    const until = started + seconds * 1000;
    await new Promise<void>((resolve) => {
      let running = 0;
      let over = false;
      const send = (connection: Connection, since: number) => {
        running += 1;
        connection.call((fault) => {
          running -= 1;
          if (fault === null) latencies.push(performance.now() - since);
          else this.#failed(fault);
          const next = waiting.shift();
          if (next !== undefined && fault === null) send(connection, next);
          else if (fault === null) idle.push(connection);
          if (over && running === 0) resolve();
        });
      };
      let due = started;
      const tick = () => {
        const now = performance.now();
        for (; due <= now && due < until; due += (-Math.log(1 - Math.random()) / perSecond) * 1000) {
          lags.push(now - due);
          const connection = idle.pop();
          if (connection) send(connection, performance.now());
          else waiting.push(now);
        }
        over = due >= until;
        if (!over) setTimeout(tick, due - now);
        else if (running === 0) resolve();
      };
      tick();
    });
    return this.#result(latencies, started, lags);
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  #failed(fault: string): void {
    this.#errors += 1;
    this.#firstError ||= fault;
  }

  #result(latencies: number[], started: number, lags: number[]): LoadResult {
    const seconds = (performance.now() - started) / 1000;
    const sorted = Float64Array.from(latencies).sort();
    return {
      calls: latencies.length,
      errors: this.#errors,
      firstError: this.#firstError,
      seconds,
      latency: { p50: percentile(sorted, 50), p95: percentile(sorted, 95), p99: percentile(sorted, 99) },
      lagP99: percentile(Float64Array.from(lags).sort(), 99),
    };
  }
}
