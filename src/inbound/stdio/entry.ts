import type { Readable, Writable } from 'node:stream';
import { Agent, request } from 'undici';
import { oneLine } from '../../core/mcp/one-line.ts';
import { EventStreamReader } from '../../upstream/event-stream.ts';
import { LineReader } from '../../upstream/line-reader.ts';
import { type Declarations, declarationsOf, headersFor } from './mirrored-headers.ts';
import type { TokenSource } from './token-source.ts';

export interface EntryOptions {
  /** The gateway's MCP endpoint. */
  readonly url: string;
  /** PEM of the authority that signs the gateway's certificate; undefined: the system's. */
  readonly ca?: string;
  readonly tokens: TokenSource;
  readonly input: Readable;
  readonly output: Writable;
  readonly onDiagnostic: (line: string) => void;
}

const MAX_LINE_BYTES = 8 * 1024 * 1024;

/**
 * MCP over stdio for a client that starts programs: each line becomes one HTTPS request to the gateway with this
 * entry's own token; every control runs there. Resolves when stdin has ended and all answers are written.
 */
export async function runStdioEntry(options: EntryOptions): Promise<void> {
  const agent = new Agent({ connect: options.ca ? { ca: options.ca } : {} });
  const open = new Map<string, AbortController>();
  const declared: Declarations = new Map();
  const running = new Set<Promise<void>>();
  const write = (message: Uint8Array | string) => {
    options.output.write(oneLine(typeof message === 'string' ? Buffer.from(message) : message));
  };

  const forward = async (line: Uint8Array): Promise<void> => {
    const message = parseObject(line);
    if (!message)
      return write('{"jsonrpc":"2.0","error":{"code":-32700,"message":"This line is not one JSON object."}}');
    if (message['method'] === 'notifications/cancelled') {
      // Over HTTP a request is cancelled by dropping its connection.
      open.get(JSON.stringify((message['params'] as Record<string, unknown> | undefined)?.['requestId']))?.abort();
      return;
    }
    const key = JSON.stringify(message['id']);
    const abort = new AbortController();
    if (message['id'] !== undefined) open.set(key, abort);
    try {
      await exchange(line, message, abort.signal);
    } catch (error) {
      if (abort.signal.aborted || message['id'] === undefined) return;
      options.onDiagnostic(`the gateway at ${options.url} cannot be reached: ${(error as Error).message}`);
      write(
        JSON.stringify({
          jsonrpc: '2.0',
          id: message['id'],
          error: { code: -32603, message: 'The gateway cannot be reached; is `gatewrit start` running?' },
        }),
      );
    } finally {
      open.delete(key);
    }
  };

  const exchange = async (line: Uint8Array, message: Record<string, unknown>, signal: AbortSignal): Promise<void> => {
    const answer = await request(options.url, {
      method: 'POST',
      dispatcher: agent,
      signal,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${await options.tokens.token()}`,
        ...headersFor(message, declared),
      },
      body: line,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const type = String(answer.headers['content-type'] ?? '');
    if (type.startsWith('text/event-stream')) {
      const events = new EventStreamReader(MAX_LINE_BYTES, (data) => write(data));
      for await (const chunk of answer.body) {
        if (!events.push(chunk as Uint8Array)) throw new Error(`an event passed ${MAX_LINE_BYTES} bytes`);
      }
      return;
    }
    const body = Buffer.from(await answer.body.arrayBuffer());
    if (message['id'] === undefined) return;
    const parsed = parseObject(body);
    if (message['method'] === 'tools/list' && parsed) declarationsOf(parsed, declared);
    if (parsed && parsed['id'] === message['id']) return write(body);
    // An answer from before the id was read (401, 413, 429, 503): give it the id, so that the client is not left waiting.
    const error = (parsed?.['error'] as object | undefined) ?? {
      code: -32603,
      message: `The gateway answered HTTP ${answer.statusCode}.`,
    };
    write(JSON.stringify({ jsonrpc: '2.0', id: message['id'], error }));
  };

  const lines = new LineReader(
    MAX_LINE_BYTES,
    (line) => {
      const run: Promise<void> = forward(line).finally(() => running.delete(run));
      running.add(run);
    },
    () => options.onDiagnostic(`a line passed ${MAX_LINE_BYTES} bytes and was dropped`),
  );
  for await (const chunk of options.input) lines.push(chunk as Uint8Array);
  await Promise.all(running);
  await agent.close();
}

function parseObject(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null; // not JSON: the caller says so on the wire
  }
}
