import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

export type FixtureEra = 'modern' | 'legacy' | 'both';
const MAIN = join(import.meta.dirname, 'fixtures/main.ts');
const TASKS = join(import.meta.dirname, 'fixtures/tasks.ts');
const START_MS = 20_000;

/** How a gateway starts the stdio variant by itself. @param scheme of the URIs it offers */
export function stdioFixture(
  era: FixtureEra,
  scheme = 'test',
): { readonly command: string; readonly args: readonly string[] } {
  return { command: 'node', args: [MAIN, '--over', 'stdio', '--era', era, '--scheme', scheme] };
}

/** The HTTP variant of a fixture, in a process of its own on a free port of 127.0.0.1. */
export class HttpFixture {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(port: string, child: ChildProcess) {
    this.url = `http://127.0.0.1:${port}/mcp`;
    this.#child = child;
  }

  static start(era: FixtureEra, scheme = 'test'): Promise<HttpFixture> {
    return HttpFixture.#spawn(`${era} fixture`, [MAIN, '--era', era, '--scheme', scheme]);
  }

  /** A modern server that answers with tasks, for the scenarios of that extension alone. */
  static startTasks(): Promise<HttpFixture> {
    return HttpFixture.#spawn('tasks fixture', [TASKS]);
  }

  static #spawn(name: string, args: readonly string[]): Promise<HttpFixture> {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let wrote = '';
    child.stderr.on('data', (chunk: Buffer) => {
      wrote = (wrote + chunk).slice(-20_000);
    });
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        child.kill('SIGKILL');
        reject(new Error(`the ${name} ${why}:\n${wrote}`));
      };
      const timer = setTimeout(() => fail('was not ready in time'), START_MS);
      child.once('exit', (code) => fail(`ended with ${code}`));
      child.stdout.once('data', (line: Buffer) => {
        clearTimeout(timer);
        child.removeAllListeners('exit');
        resolve(new HttpFixture(line.toString().trim(), child));
      });
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}
