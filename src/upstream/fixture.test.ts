import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { Client, Message, Principal, Target } from '../core/call.ts';
import { scanMessage } from '../core/mcp/scanner.ts';
import type { UpstreamRequest } from './request.ts';

/** What the tests of this folder need: a server they script, and a judged call to send to it. */
export interface Seen {
  readonly verb: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: { id: number; method: string; params: Record<string, unknown> };
  readonly raw: string;
}

export async function scripted(
  answer: (seen: Seen, res: ServerResponse) => void,
): Promise<{ url: string; seen: Seen[]; close(): void }> {
  const seen: Seen[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const raw = Buffer.concat(chunks).toString();
      const one = { verb: req.method ?? '', headers: req.headers, body: raw ? JSON.parse(raw) : {}, raw };
      seen.push(one);
      answer(one, res);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    seen,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

export function json(res: ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
}

const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},"progressToken":"mine","vendor/x":{"a":1.0},"baggage":"k=v","gatewrit/code":"fake"}';

/** A client of either era that declares these capabilities; a legacy one has a session. */
export function clientWith(
  capabilities: Client['capabilities'],
  revision: Client['revision'] = '2026-07-28',
  logLevel: string | null = null,
): Client {
  const session = revision === '2026-07-28' ? null : { id: 'session', expiresAt: Number.MAX_SAFE_INTEGER };
  return { revision, capabilities, name: '', version: '', logLevel, session };
}

/** A judged tools/call of `shop__buy` with 20-digit numbers and odd blanks, as a client might send it. */
export function requestFor(over: Partial<UpstreamRequest> = {}): UpstreamRequest {
  const text = `{ "jsonrpc":"2.0","id":"client-7", "method":"tools/call","params":{"name":"shop__buy" ,"arguments":{"n":12345678901234567890, "t":"\\u0061"},${META}}}`;
  const bytes = Buffer.from(text);
  const spans = scanMessage(bytes);
  if (typeof spans === 'string') throw new Error(spans);
  const message: Message = {
    revision: '2026-07-28',
    kind: 'request',
    method: 'tools/call',
    id: 'client-7',
    name: 'shop__buy',
    params: JSON.parse(text).params,
    bytes,
    spans: {
      id: spans.id,
      method: spans.method!,
      params: spans.params,
      name: spans.paramsMembers.get('name') ?? null,
      arguments: spans.paramsMembers.get('arguments') ?? null,
      meta: spans.paramsMembers.get('_meta') ?? null,
      outcome: null,
      metaMembers: spans.metaMembers,
    },
  };
  const limits = { cost: 1, maxArgumentBytes: 10_000, maxResultBytes: 10_000, maxConcurrent: 10, timeoutMs: 1_000 };
  const target = {
    kind: 'tool',
    tenant: 'default',
    server: 'shop',
    name: 'buy',
    exposed: 'shop__buy',
    key: 'shop/buy',
    digest: 'd',
    manifest: 'm',
    effect: 'write',
    scopes: ['shop:buy'],
    definition: { inputSchema: { type: 'object' } },
    limits,
    errors: 'scrub',
  } as const satisfies Target;
  const principal = {
    issuer: 'i',
    subject: 's',
    client: 'c',
    tenant: 'default',
    scopes: [],
    groups: [],
    proof: 'bearer',
    actors: [],
    expiresAt: 0,
    key: 'k',
    authority: 'a',
  } as const satisfies Principal;
  return {
    target,
    principal,
    message,
    client: clientWith({}),
    answers: null,
    approved: null,
    maxResultBytes: 10_000,
    signal: new AbortController().signal,
    onNotification: null,
    ...over,
  };
}

test('the fixture makes a call the scanner accepts', () => void requestFor());
