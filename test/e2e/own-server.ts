import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { splitCommand } from '../../src/inbound/cli/registry-command-line.ts';

const root = join(import.meta.dirname, '../..');

/** Commands of the guide under one heading, in order, as words. */
export function guided(heading: string): string[][] {
  const guide = readFileSync(join(root, 'docs/guides/own-server.md'), 'utf8');
  const section = guide.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const lines = [...section.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block]) => block!.trim().split('\n'));
  return lines.map((line) => splitCommand(line) ?? []);
}

/** A newcomer's empty folder, and what is typed there. */
export class Newcomer {
  readonly folder = mkdtempSync(join(tmpdir(), 'gatewrit-own-'));
  readonly #bin: string;
  #gateway: ChildProcess | null = null;
  #said = '';

  /** @param installed the package is in the newcomer's own folder; else it is this checkout */
  constructor({ installed } = { installed: false }) {
    this.#bin = join(installed ? join(this.folder, 'node_modules/gatewrit') : root, 'bin/gatewrit.mjs');
  }

  /** Runs a command to its end; what it printed. Rejects when it fails. */
  async types([program, ...args]: readonly string[]): Promise<string> {
    const gatewrit = program === 'gatewrit';
    return await new Promise((resolve, reject) => {
      const command = gatewrit ? process.execPath : program!;
      const child = execFile(
        command,
        gatewrit ? [this.#bin, ...args] : args,
        { cwd: this.folder, timeout: 240_000, maxBuffer: 16 * 1024 * 1024 },
        (error, stdout, stderr) =>
          error ? reject(new Error(`${stderr}${stdout}`, { cause: error })) : resolve(stdout),
      );
      child.stdin?.end();
    });
  }

  /** `gatewrit start`, until it says that it is ready. Ports of tests are free ones. */
  async starts(): Promise<void> {
    const file = join(this.folder, 'gatewrit.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/port: 844\d/g, 'port: 0'));
    const child = spawn(process.execPath, [this.#bin, 'start'], {
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#gateway = child;
    await new Promise<void>((resolve, reject) => {
      const keep = (chunk: Buffer) => {
        this.#said += chunk;
        if (this.#said.includes('Gatewrit is ready')) resolve();
      };
      child.stdout.on('data', keep);
      child.stderr.on('data', keep);
      child.once('exit', () => reject(new Error(`the gateway ended:\n${this.#said}`)));
    });
  }

  /** What the gateway wrote for its person. */
  get said(): string {
    return this.#said;
  }

  /** Connects as a client would that was given the printed entry for this server. */
  async connects(printed: string, server: string): Promise<Client> {
    const [json = '{}'] = /^ {2}\{\n {4}"mcpServers"[\s\S]*?^ {2}\}/m.exec(printed) ?? [];
    const { mcpServers } = JSON.parse(json) as { mcpServers: Record<string, { command: string; args: string[] }> };
    const client = new Client({ name: 'newcomer', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new StdioClientTransport({ ...mcpServers[server]!, stderr: 'inherit' }));
    return client;
  }

  async leaves(): Promise<void> {
    const child = this.#gateway;
    if (child && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
