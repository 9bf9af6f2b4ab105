import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** One system under load: where it listens and the request it is sent, byte for byte. */
export interface LoadTarget {
  readonly port: number;
  /** PEM of the authority; null: plain. */
  readonly ca: string | null;
  /** The whole HTTP request for one connection; the nonce must come back in the answer. */
  readonly request: (nonce: string) => Buffer;
}

export interface LoadResult {
  readonly calls: number;
  readonly errors: number;
  readonly seconds: number;
  /** ms, one per answered call; only for open loops. */
  readonly latencies: number[];
}

const HEAD_END = Buffer.from('\r\n\r\n');

/** Keep-alive connection that sends one request at a time and reads answers with Content-Length: as cheap as it gets. */
class Connection {
  readonly #socket: Socket;
  readonly #bytes: Buffer;
  readonly #nonce: string;
  #parts: Buffer[] = [];
  #done: ((ok: boolean) => void) | null = null;

  constructor(socket: Socket, target: LoadTarget, index: number) {
    this.#socket = socket;
    this.#nonce = `nonce-${index}-${Math.random().toString(36).slice(2, 10)}`;
    this.#bytes = target.request(this.#nonce);
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('close', () => this.#finish(false));
    socket.on('error', () => this.#finish(false));
  }

  static open(target: LoadTarget, index: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = target.ca
        ? connectTls({ host: '127.0.0.1', port: target.port, ca: target.ca, servername: 'localhost', minVersion: 'TLSv1.3' })
        : connectPlain({ host: '127.0.0.1', port: target.port });
      socket.once(target.ca ? 'secureConnect' : 'connect', () => resolve(new Connection(socket, target, index)));
      socket.once('error', reject);
    });
  }

  call(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#socket.write(this.#bytes);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#parts.push(chunk);
    const all = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts);
    const end = all.indexOf(HEAD_END);
    if (end === -1) return;
    const head = all.toString("latin1", 0, end);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN);
    if (Number.isNaN(length)) return this.#finish(false);
    if (all.length < end + 4 + length) return;
    this.#parts = [];
    this.#finish(head.startsWith('HTTP/1.1 200') && all.includes(this.#nonce, end) && !all.includes('"isError":true', end));
  }

  #finish(ok: boolean): void {
    const done = this.#done;
    this.#done = null;
    done?.(ok);
  }
}

/** Closed loop: every connection sends its next request as soon as it has its answer. */
export async function closedLoop(target: LoadTarget, connections: number, seconds: number): Promise<LoadResult> {
  const open = await Promise.all(Array.from({ length: connections }, (_, i) => Connection.open(target, i)));
  let calls = 0;
  let errors = 0;
  const started = performance.now();
  const until = started + seconds * 1000;
  await Promise.all(
    open.map(async (connection) => {
      while (performance.now() < until) {
        if (await connection.call()) calls += 1;
        else {
          errors += 1;
          return;
        }
      }
    }),
  );
  const elapsed = (performance.now() - started) / 1000;
  for (const connection of open) connection.close();
  return { calls, errors, seconds: elapsed, latencies: [] };
}

/** Open loop: requests start at Poisson times whatever the answers do; latency counts from the time a request was due. */
export async function openLoop(target: LoadTarget, perSecond: number, seconds: number): Promise<LoadResult> {
  const idle = await Promise.all(Array.from({ length: 64 }, (_, i) => Connection.open(target, i)));
  const all = [...idle];
  const waiting: number[] = [];
  const latencies: number[] = [];
  const running = new Set<Promise<void>>();
  let errors = 0;
  const started = performance.now();
  const send = (due: number): void => {
    const connection = idle.pop();
    if (!connection) return void waiting.push(due);
    const call: Promise<void> = connection.call().then((ok) => {
      running.delete(call);
      if (ok) latencies.push(performance.now() - due);
      else errors += 1;
      idle.push(connection);
      const next = waiting.shift();
      if (next !== undefined) send(next);
    });
    running.add(call);
  };
  let due = started;
  const until = started + seconds * 1000;
  while (due < until) {
    due += (-Math.log(1 - Math.random()) / perSecond) * 1000;
    const wait = due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    send(due);
  }
  while (running.size > 0) await Promise.all(running);
  for (const connection of all) connection.close();
  return { calls: latencies.length, errors, seconds: (performance.now() - started) / 1000, latencies };
}

export function percentile(sorted: readonly number[], p: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
