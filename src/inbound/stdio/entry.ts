import type { Readable, Writable } from 'node:stream';
import { LineReader } from '../../upstream/line-reader.ts';
import { type ClientCertificate, certificateDemand } from '../client-certificate.ts';
import { LegacySession } from './legacy-session.ts';
import { GatewayLink, idsIn, isEventStream, MAX_MESSAGE_BYTES, type Message, parseBatch, parseObject } from './link.ts';
import { type Declarations, declarationsOf, headersFor } from './mirrored-headers.ts';
import type { TokenSource } from './token-source.ts';

export interface EntryOptions {
  /** The gateway's MCP endpoint. */
  readonly url: string;
  /** PEM of the authority that signs the gateway's certificate; undefined: the system's. */
  readonly ca?: string;
  /** Shown when the gateway asks for one. */
  readonly certificate?: ClientCertificate | undefined;
  readonly tokens: TokenSource;
  readonly input: Readable;
  readonly output: Writable;
  readonly onDiagnostic: (line: string) => void;
}

const UNREACHED = 'The gateway cannot be reached; is `gatewrit start` running?';

/**
 * MCP over stdio for a client that starts programs: each line becomes one HTTPS request to the gateway with this
 * entry's own token; every control runs there. A client that begins with `initialize` speaks a legacy revision from
 * then on (protocol.md 1.1). Resolves when stdin has ended and all answers are written.
 */
export async function runStdioEntry(options: EntryOptions): Promise<void> {
  const { url, onDiagnostic } = options;
  const link = new GatewayLink({ ...options, write: (message) => options.output.write(message) });
  const modern = new ModernRequests(link);
  const running = new Set<Promise<void>>();
  let session: LegacySession | null = null;

  const forward = async (line: Uint8Array): Promise<void> => {
    const message = parseObject(line);
    const batch = message || !session ? null : parseBatch(line);
    if (!message && !batch) {
      const error = { code: -32700, message: 'This line is not one JSON object.' };
      return link.write(Buffer.from(JSON.stringify({ jsonrpc: '2.0', error })));
    }
    try {
      if (!message) await session!.exchangeBatch(line, batch!);
      else if (message['method'] === 'initialize') {
        const before = session;
        session = new LegacySession(link, line, onDiagnostic);
        await Promise.all([session.begun(), before?.end()]);
      } else await (session ?? modern).exchange(line, message);
    } catch (cause) {
      const demand = certificateDemand(cause, options.certificate !== undefined) ?? distrust(cause);
      onDiagnostic(`the gateway at ${url} cannot be reached: ${demand ?? innermost(cause).message}`);
      const text = demand ? `The gateway cannot be reached: ${demand}.` : UNREACHED;
      for (const id of idsIn(batch ?? [message!])) link.fail(id, { code: -32603, message: text });
    }
  };

  const lines = new LineReader(
    MAX_MESSAGE_BYTES,
    (line) => {
      const run: Promise<void> = forward(line).finally(() => running.delete(run));
      running.add(run);
    },
    () => onDiagnostic(`a line passed ${MAX_MESSAGE_BYTES} bytes and was dropped`),
  );
  for await (const chunk of options.input) lines.push(chunk as Uint8Array);
  modern.end();
  await Promise.all(running);
  await (session as LegacySession | null)?.end();
  await link.close();
}

/** fetch wraps what happened to the connection and says "fetch failed" of it. */
function innermost(cause: unknown): NodeJS.ErrnoException {
  let at = cause as Error;
  for (let depth = 0; at.cause instanceof Error && depth < 5; depth++) at = at.cause;
  return at;
}

/** What to do about a certificate of an authority this machine does not know, or null. */
function distrust(cause: unknown): string | null {
  const { code = '', message } = innermost(cause);
  if (!/^(SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_(GET_ISSUER_CERT|VERIFY_LEAF))/.test(code))
    return null;
  return `its certificate is not trusted here (${message}); name its authority with --ca FILE`;
}

/** Requests of a client without a session: each stands for itself and repeats its facts in headers. */
class ModernRequests {
  readonly #link: GatewayLink;
  readonly #open = new Map<string, AbortController>();
  /** Of requests that have no answer to wait for: their streams last as long as somebody listens. */
  readonly #streams = new Set<AbortController>();
  readonly #declared: Declarations = new Map();

  constructor(link: GatewayLink) {
    this.#link = link;
  }

  async exchange(line: Uint8Array, message: Message): Promise<void> {
    if (message['method'] === 'notifications/cancelled') {
      // Over HTTP a request is cancelled by dropping its connection.
      const params = message['params'] as Message | undefined;
      this.#open.get(JSON.stringify(params?.['requestId']))?.abort();
      return;
    }
    const id = message['id'];
    const abort = new AbortController();
    if (id !== undefined) this.#open.set(JSON.stringify(id), abort);
    if (message['method'] === 'subscriptions/listen') this.#streams.add(abort);
    try {
      await this.#request(line, message, abort.signal);
    } catch (cause) {
      if (!abort.signal.aborted) throw cause;
    } finally {
      this.#open.delete(JSON.stringify(id));
      this.#streams.delete(abort);
    }
  }

  /** The client has gone: nobody listens any more. */
  end(): void {
    for (const stream of this.#streams) stream.abort();
  }

  async #request(line: Uint8Array, message: Message, signal: AbortSignal): Promise<void> {
    const id = message['id'];
    const answer = await this.#link.send('POST', {
      headers: headersFor(message, this.#declared),
      body: line,
      signal,
    });
    if (isEventStream(answer)) {
      const { answered } = await this.#link.hear(answer, id);
      if (!answered && id !== undefined) throw new Error('the connection broke before the answer was there');
      return;
    }
    const body = Buffer.from(await answer.body.arrayBuffer());
    if (id === undefined) return;
    const parsed = message['method'] === 'tools/list' ? parseObject(body) : null;
    if (parsed) declarationsOf(parsed, this.#declared);
    this.#link.answer(id, answer.statusCode, body);
  }
}
