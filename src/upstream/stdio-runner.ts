import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { oneLine } from '../core/mcp/one-line.ts';
import type { MessageSpans } from '../core/mcp/scanner.ts';
import { LineReader } from './line-reader.ts';
import { type Classified, classify, numberAt, ownId, textOf } from './message-kind.ts';
import { type Incoming, type Outgoing, type Wire, WireFault } from './wire.ts';

export interface StdioOptions {
  /** Program and arguments, from operator settings only (threats.md T30a): never from a message, never through a shell. */
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** The whole environment of the process besides PATH, HOME and LANG; nothing else is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly maxLineBytes: number;
  /** Receives what the process writes to stderr, line by line; free text, never shown to callers. */
  readonly onDiagnostic: (line: string) => void;
  /** Takes each notification that names no call, and each request while one runs that may be asked; the taker answers it. */
  readonly onOther: (message: Uint8Array, read: Classified) => void;
  readonly onExit: (reason: string) => void;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

interface Waiting {
  readonly request: Outgoing;
  readonly settle: (answer: Incoming | WireFault) => void;
}

/** Streams say whose their messages are, and carry no log lines. */
const LISTEN = 'subscriptions/listen';
const STOP_GRACE_MS = 2_000;
/** Bytes that may wait for a process that does not read; past this it gets no more calls, so that we hold nothing for it. */
const MAX_BACKLOG_BYTES = 32 * 1024 * 1024;
/** The same for what it can make us say (answers to its pings): small, since many small writes weigh more than their bytes. */
const MAX_NOTICE_BACKLOG_BYTES = 1024 * 1024;

/**
 * One stdio process: one credential identity (protocol.md 1.7). Ids are ours, so answers cannot cross between callers.
 * The process is started by the caller of the constructor; when it ends, everything in flight is a fault.
 */
export class StdioProcess implements Wire {
  /** Null: it could not be started, and there is nothing to speak to. */
  readonly #child: Child | null;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  readonly #diagnostic: (line: string) => void;
  readonly #other: StdioOptions['onOther'];
  /** Its lines are the stream; its end is the end of what it kept. */
  readonly hear = null;
  readonly forget = null;
  #over = false;
  #why = 'the process has ended';

  constructor(options: StdioOptions) {
    this.#diagnostic = options.onDiagnostic;
    this.#other = options.onOther;
    const child = start(options);
    if (typeof child === 'string') {
      this.#child = null;
      this.#exited = Promise.resolve();
      this.#over = true;
      this.#why = `it cannot be started: ${child}`;
      return;
    }
    this.#child = child;
    const lines = new LineReader(
      options.maxLineBytes,
      (line) => this.#receiveSafely(line),
      () => options.onDiagnostic(`a message passed ${options.maxLineBytes} bytes and was dropped`),
    );
    child.stdout.on('data', (chunk: Buffer) => lines.push(chunk));
    const errors = new LineReader(
      16_384,
      (line) => options.onDiagnostic(Buffer.from(line).toString()),
      () => {},
    );
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    // A pipe to a process that has just died fails here; the exit below settles whoever waited for it.
    for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.on('error', () => {});
    this.#exited = new Promise((resolve) => {
      const end = (reason: string) => {
        if (this.#over) return;
        this.#over = true;
        for (const { settle } of this.#waiting.values()) settle(new WireFault('unavailable', true, reason));
        this.#waiting.clear();
        options.onExit(reason);
        resolve();
      };
      child.once('error', (error) =>
        end(`cannot be started: ${(error as NodeJS.ErrnoException).code ?? error.message}`),
      );
      child.once('exit', (code, signal) => end(`exited with ${signal ?? code}`));
    });
  }

  get over(): boolean {
    return this.#over;
  }

  exchange(request: Outgoing): Promise<Incoming | WireFault> {
    if (this.#over) return Promise.resolve(new WireFault('unavailable', false, this.#why));
    if (request.signal?.aborted) return Promise.resolve(new WireFault('cancelled', false, 'the client left'));
    if (this.#backlog > MAX_BACKLOG_BYTES)
      return Promise.resolve(new WireFault('unavailable', false, 'the process does not read what it is sent'));
    return new Promise((resolve) => {
      const { timeoutMs } = request;
      const timer =
        timeoutMs === 0
          ? undefined
          : setTimeout(() => abandon(new WireFault('timeout', true, `no answer in ${timeoutMs} ms`)), timeoutMs);
      const onAbort = () => abandon(new WireFault('cancelled', true, 'the client left'));
      const settle = (answer: Incoming | WireFault) => {
        clearTimeout(timer);
        request.signal?.removeEventListener('abort', onAbort);
        this.#waiting.delete(request.id);
        resolve(answer);
      };
      // The server is told, so that it can stop; whether it did is unknown.
      const abandon = (fault: WireFault) => {
        void this.notify(
          Buffer.from(
            `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${request.id},"reason":"${fault.code}"}}`,
          ),
        );
        settle(fault);
      };
      this.#waiting.set(request.id, { request, settle });
      request.signal?.addEventListener('abort', onAbort, { once: true });
      this.#write(request.bytes);
    });
  }

  notify(bytes: Uint8Array): Promise<boolean> {
    const takes = !this.#over && this.#backlog <= MAX_NOTICE_BACKLOG_BYTES;
    if (takes) this.#write(bytes);
    return Promise.resolve(takes);
  }

  get #backlog(): number {
    return this.#child?.stdin.writableLength ?? 0;
  }

  #write(bytes: Uint8Array): void {
    this.#child?.stdin.write(oneLine(bytes));
  }

  /** Nothing a server says may end the gateway: what is thrown here is thrown in an event of the pipe. */
  #receiveSafely(line: Uint8Array): void {
    try {
      this.#receive(line);
    } catch {
      this.#diagnostic('a message could not be taken and was dropped');
    }
  }

  #receive(line: Uint8Array): void {
    const read = classify(line);
    if (read.kind === 'invalid' || !read.spans)
      return this.#diagnostic('a line that is not one JSON-RPC message was dropped');
    if (read.kind === 'response') {
      const waiting = this.#waiting.get(ownId(line, read.spans) ?? -1);
      if (!waiting) return;
      const fits = line.length <= waiting.request.maxBytes;
      waiting.settle(
        fits
          ? { status: 200, session: null, bytes: line, spans: read.spans }
          : new WireFault('too_large', true, 'the answer passed the cap'),
      );
      return;
    }
    if (read.kind === 'request') {
      const asked =
        !isPing(line, read.spans) && [...this.#waiting.values()].some(({ request }) => request.takesQuestions);
      return asked ? this.#other(line, read) : this.#answerRequest(line, read.spans);
    }
    // Progress names its call by our token, which is the id, an event its stream; nothing else says whose it is.
    const { paramsMembers, metaMembers } = read.spans;
    const token = paramsMembers.get('progressToken') ?? metaMembers.get('io.modelcontextprotocol/subscriptionId');
    const waiting = token ? this.#waiting.get(numberAt(line, token) ?? -1) : this.#logged(line, read.spans);
    if (waiting) waiting.request.onOther?.(line, read);
    else if (!token) this.#other(line, read);
  }

  #logged(line: Uint8Array, { method }: MessageSpans): Waiting | null {
    const only = textOf(line, method!) === '"notifications/message"' ? this.#only : null;
    // A legacy session sorts its lines out by itself.
    return only?.request.takesQuestions ? null : only;
  }

  /** The call under way, where there is but one: only then is it certain what a line without a name is about. */
  get #only(): Waiting | null {
    const [only, ...others] = [...this.#waiting.values()].filter(({ request }) => request.method !== LISTEN);
    return only && others.length === 0 ? only : null;
  }

  /** A ping is answered; what cannot be put to anybody is refused. */
  #answerRequest(line: Uint8Array, spans: MessageSpans): void {
    const id = textOf(line, spans.id!);
    const answer = isPing(line, spans)
      ? '"result":{}'
      : '"error":{"code":-32601,"message":"Not supported by this client"}';
    void this.notify(Buffer.from(`{"jsonrpc":"2.0","id":${id},${answer}}`));
  }

  /** Closes stdin, waits, then ends the process (protocol.md 1.7). */
  async close(): Promise<void> {
    const child = this.#child;
    if (this.#over || child === null) return;
    child.stdin.end();
    const term = setTimeout(() => child.kill('SIGTERM'), STOP_GRACE_MS / 4);
    const kill = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    await this.#exited;
    clearTimeout(term);
    clearTimeout(kill);
  }
}

/** The process, or why there is none. Where no descriptor is left Node gives one without pipes, and says why only later. */
function start({ command, args, env, cwd }: StdioOptions): Child | string {
  const inherited = Object.fromEntries(
    ['PATH', 'HOME', 'LANG', 'TMPDIR'].flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])),
  );
  try {
    const child = spawn(command, [...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...inherited, ...env },
      ...(cwd ? { cwd } : {}),
    });
    // An error nobody listens for would end the gateway: one of the start, or of a signal that may not be sent.
    child.on('error', () => {});
    return (child.stdout as Readable | undefined) ? child : 'no file descriptor is left';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? (error as Error).name;
  }
}

const isPing = (line: Uint8Array, { method }: MessageSpans) => textOf(line, method!) === '"ping"';
