import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Agent, request, fetch as undiciFetch } from 'undici';

const root = join(import.meta.dirname, '../../..');
const bin = join(root, 'bin/gatewrit.mjs');

/** The line a gateway prints when it is ready. */
export interface ReadyLine {
  readonly mcp: string;
  readonly admin: string;
  readonly issuer: string;
  readonly ca: string;
  readonly pid: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The JSON body, {} when there is none. */
  readonly json: {
    result?: Record<string, unknown>;
    error?: { code: number; message: string; data?: Record<string, unknown> };
  };
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A gateway in a process of its own, and everything a client or an operator does with it. */
export class GatewayProcess {
  readonly home: string;
  readonly ready: ReadyLine;
  readonly agent: Agent;
  readonly #child: ChildProcess;
  readonly #log: string[];
  readonly #out: string[];

  private constructor(home: string, ready: ReadyLine, child: ChildProcess, log: string[], out: string[]) {
    this.home = home;
    this.ready = ready;
    this.#child = child;
    this.#log = log;
    this.#out = out;
    this.agent = new Agent({ connect: { ca: readFileSync(ready.ca, 'utf8') } });
  }

  /** Starts `gatewrit start --json`. Rejects with what it wrote when it ends or takes too long. */
  static start(options: {
    home: string;
    config?: string;
    env?: Record<string, string>;
    timeoutMs?: number;
  }): Promise<GatewayProcess> {
    const args = [
      bin,
      'start',
      '--json',
      '--home',
      options.home,
      ...(options.config ? ['--config', options.config] : []),
    ];
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    });
    const log: string[] = [];
    child.stderr.on('data', (chunk: Buffer) => log.push(chunk.toString()));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`the gateway was not ready in time:\n${log.join('')}`));
      }, options.timeoutMs ?? 60_000);
      const written: string[] = [];
      child.stdout.on('data', (chunk: Buffer) => {
        written.push(chunk.toString());
        const out = written.join('');
        const end = out.indexOf('\n');
        if (end === -1) return;
        clearTimeout(timer);
        resolve(new GatewayProcess(options.home, JSON.parse(out.slice(0, end)) as ReadyLine, child, log, written));
      });
      child.once('exit', (code) => {
        clearTimeout(timer);
        reject(new Error(`the gateway ended with ${code}:\n${log.join('')}`));
      });
    });
  }

  /** Everything it has written to stderr so far. */
  log(): string {
    return this.#log.join('');
  }

  /** Everything it has written to stdout so far. */
  output(): string {
    return this.#out.join('');
  }

  /** Ends it in order; resolves with its exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    await this.agent.destroy();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode;
    const ended = new Promise<number | null>((resolve) => this.#child.once('exit', resolve));
    this.#child.kill(signal);
    return ended;
  }

  /** Runs another command of the product against this home. */
  run(...args: string[]): Promise<Ran> {
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [bin, ...args, '--home', this.home],
        { cwd: root, timeout: 30_000 },
        (error, stdout, stderr) => {
          resolve({ code: error ? Number(error.code ?? 3) : 0, stdout, stderr });
        },
      );
    });
  }

  async token(subject: string, scope: string, ...more: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run('token', '--sub', subject, '--scope', scope, ...more);
    if (code !== 0) throw new Error(`no token: ${stderr}`);
    return stdout.trim();
  }

  /** Sends one HTTP request as it is. */
  async send(
    url: string,
    options: { method?: string; headers?: Record<string, string>; body?: string | Uint8Array } = {},
  ): Promise<Answer> {
    const answer = await request(url, {
      method: options.method ?? 'POST',
      dispatcher: this.agent,
      headers: options.headers ?? {},
      ...(options.body === undefined ? {} : { body: options.body }),
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, headers: answer.headers, text, json: readJson(text) };
  }

  /** Sends one modern MCP request by hand, headers and envelope as the protocol wants them. */
  rpc(
    method: string,
    params: Record<string, unknown>,
    token: string | null,
    options: { url?: string; id?: number; headers?: Record<string, string> } = {},
  ): Promise<Answer> {
    const name = params['name'] ?? params['uri'];
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...options.headers,
    };
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: options.id ?? 1,
      method,
      params: { ...params, _meta: { ...meta, ...(params['_meta'] as object | undefined) } },
    });
    return this.send(options.url ?? this.ready.mcp, { headers, body });
  }

  call(tool: string, args: object, token: string | null): Promise<Answer> {
    return this.rpc('tools/call', { name: tool, arguments: args }, token);
  }

  /** The official SDK client, connected over HTTPS. */
  async client(token: string, url = this.ready.mcp): Promise<Client> {
    const client = new Client({ name: 'tour', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
    const fetch = (input: string | URL, init?: RequestInit) =>
      undiciFetch(input, { ...init, dispatcher: this.agent } as Parameters<
        typeof undiciFetch
      >[1]) as unknown as Promise<Response>;
    await client.connect(
      new StreamableHTTPClientTransport(new URL(url), { fetch, authProvider: { token: async () => token } }),
    );
    return client;
  }
}

function readJson(text: string): Answer['json'] {
  const data = text.startsWith('event:')
    ? (/^data: (.*)$/m.exec(text.slice(text.lastIndexOf('event:')))?.[1] ?? '')
    : text;
  try {
    return JSON.parse(data) as Answer['json'];
  } catch {
    return {}; // no JSON body: a bare status
  }
}

/** Text of a tool result. */
export function textOf(answer: Answer): string {
  const content = (answer.json.result?.['content'] ?? []) as { text?: string }[];
  return content.map(({ text }) => text ?? '').join('\n');
}

/** Public word of a refusal in whatever form it came. */
export function wordOf(answer: Answer): string {
  const meta = answer.json.result?.['_meta'] as Record<string, string> | undefined;
  return meta?.['gatewrit/code'] ?? String(answer.json.error?.data?.['code'] ?? '');
}
