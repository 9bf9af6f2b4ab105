import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Usage } from './systems/answering.ts';

const STOP_MS = 5_000;
const READY_MS = 60_000;

/** One process of the bench, pinned to its cores when that is possible. */
export class Child {
  readonly name: string;
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #log: string[];

  private constructor(name: string, port: number, child: ChildProcess, log: string[]) {
    this.name = name;
    this.port = port;
    this.#process = child;
    this.#log = log;
  }

  /**
   * Starts `systems/<file>.ts` of this bench, or of another checkout's, and waits until it is ready.
   * @param cores list for taskset, or null: not pinned
   * @throws Error with what it wrote to stderr
   */
  static async start(
    name: string,
    file: string,
    args: readonly string[],
    cores: string | null,
    bench = import.meta.dirname,
  ): Promise<Child> {
    const script = join(bench, 'systems', `${file}.ts`);
    const [command, ...before] = cores === null ? [process.execPath] : ['taskset', '-c', cores, process.execPath];
    // Advanced serialization would cost the measured process more; JSON is enough for what is said here.
    const child = spawn(command!, [...before, script, ...args], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    const log: string[] = [];
    child.stderr!.on('data', (chunk: Buffer) => log.push(chunk.toString()));
    const ready = await answerOf<{ port?: number }>(child, READY_MS, () => `${name} did not start:\n${log.join('')}`);
    return new Child(name, ready.port ?? 0, child, log);
  }

  /** @throws Error when the process ends or does not answer */
  ask<T>(question: { readonly ask: string; readonly [more: string]: unknown }, timeoutMs = 30_000): Promise<T> {
    const answer = answerOf<T>(this.#process, timeoutMs, () => `${this.name} went silent:\n${this.log}`);
    this.#process.send(question);
    return answer;
  }

  get pid(): number {
    return this.#process.pid!;
  }

  usage(): Promise<Usage> {
    return this.ask<Usage>({ ask: 'usage' });
  }

  /** The end of what it has written to stderr. */
  get log(): string {
    return this.#log.join('').slice(-2_000);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    const kill = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS);
    if (this.#process.connected) this.#process.disconnect();
    await ended;
    clearTimeout(kill);
  }
}

/** The next message of a process. */
function answerOf<T>(child: ChildProcess, timeoutMs: number, complaint: () => string): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      child.off('message', heard);
      child.off('exit', failed);
      child.off('error', failed);
    };
    const heard = (message: unknown) => {
      end();
      resolve(message as T);
    };
    const failed = () => {
      end();
      reject(new Error(complaint()));
    };
    const timer = setTimeout(failed, timeoutMs);
    child.once('message', heard);
    child.once('exit', failed);
    child.once('error', failed);
  });
}
