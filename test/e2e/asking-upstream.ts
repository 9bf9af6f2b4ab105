import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Quickstart, type QuickstartOptions } from './quickstart.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

type Params = Readonly<Record<string, unknown>> & { readonly _meta?: Readonly<Record<string, unknown>> };
interface Message {
  readonly id: unknown;
  readonly method: string;
  readonly params: Params;
}
type Result = Readonly<Record<string, unknown>>;

const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';
const tool = (name: string, effect: 'read' | 'destructive') => ({
  effect,
  definition: { name, description: `Does ${name}.`, inputSchema: { type: 'object' } },
});
const TOOLS = [tool('ask', 'read'), tool('delete', 'destructive'), tool('forever', 'read')];
const resource = (name: string) => ({ name, uri: `demo://${name}` });
const RESOURCES = [resource('a'), resource('b'), resource('hidden'), resource('denied')];

export const FORM = {
  mode: 'form',
  message: 'Which one?',
  requestedSchema: { type: 'object', properties: { answer: { type: 'string' } } },
};

/**
 * A server of 2026-07-28 that asks in the middle of calls, written by hand: what it is sent is what arrived, what it
 * sends no library has made tidy. The first round of a call asks what its arguments say; the second tells what it got.
 */
export class AskingUpstream {
  readonly calls: Message[] = [];
  readonly #server: Server;
  readonly #listens = new Set<{ readonly id: unknown; readonly filter: Params; readonly res: ServerResponse }>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<AskingUpstream> {
    const server = createServer();
    const upstream = new AskingUpstream(server);
    server.on('request', (req, res) => void upstream.#serve(req, res));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/mcp`;
  }

  /** Streams that want to hear of this. */
  listening(of: 'toolsListChanged' | 'resourceSubscriptions'): number {
    return [...this.#listens].filter(({ filter }) => filter[of] !== undefined).length;
  }

  /** Says to whoever listens that a resource changed. */
  updated(uri: string): void {
    for (const { id, filter, res } of this.#listens) {
      if (!((filter['resourceSubscriptions'] as string[] | undefined) ?? []).includes(uri)) continue;
      send(res, { method: 'notifications/resources/updated', params: { _meta: { [SUBSCRIPTION_ID]: id }, uri } });
    }
  }

  toolsChanged(): void {
    for (const { id, filter, res } of this.#listens) {
      if (filter['toolsListChanged'] !== true) continue;
      send(res, { method: 'notifications/tools/list_changed', params: { _meta: { [SUBSCRIPTION_ID]: id } } });
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    if (req.method !== 'POST') {
      res.writeHead(405).end();
      return;
    }
    const message = JSON.parse(Buffer.concat(chunks).toString()) as Message;
    if (message.id === undefined) {
      res.writeHead(202).end();
      return;
    }
    if (message.method === 'subscriptions/listen') return this.#listen(message, res);
    const result = this.#answer(message);
    const unknown = { code: -32601, message: 'unknown' };
    res.writeHead(result ? 200 : 404, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...(result ? { result } : { error: unknown }) }));
  }

  #listen({ id, params }: Message, res: ServerResponse): void {
    const filter = params['notifications'] as Params;
    const open = { id, filter, res };
    this.#listens.add(open);
    res.on('close', () => this.#listens.delete(open));
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    const acknowledged = { _meta: { [SUBSCRIPTION_ID]: id }, notifications: filter };
    send(res, { method: 'notifications/subscriptions/acknowledged', params: acknowledged });
  }

  #answer(message: Message): Result | null {
    const fresh = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
    switch (message.method) {
      case 'server/discover': {
        const resources = { listChanged: true, subscribe: true };
        const capabilities = { tools: { listChanged: true }, resources, completions: {} };
        return { ...fresh, supportedVersions: ['2026-07-28'], capabilities };
      }
      case 'tools/list':
        return { ...fresh, tools: TOOLS.map(({ definition }) => definition) };
      case 'resources/list':
        return { ...fresh, resources: RESOURCES };
      case 'resources/templates/list':
        return { ...fresh, resourceTemplates: [] };
      case 'tools/call':
        this.calls.push(message);
        return this.#called(message.params);
      default:
        return null;
    }
  }

  #called({ name, arguments: args, inputResponses, requestState }: Params): Result {
    const { questions = {}, secret } = (args ?? {}) as {
      questions?: Readonly<Record<string, object>>;
      secret?: string;
    };
    if (inputResponses === undefined || name === 'forever') {
      const state = { requestState: secret ?? 'the state of the server' };
      return { resultType: 'input_required', inputRequests: questions, ...state };
    }
    const text = JSON.stringify({ inputResponses, requestState });
    return { resultType: 'complete', content: [{ type: 'text', text }] };
  }
}

function send(res: ServerResponse, message: object): void {
  res.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
}

/** A gateway before the asking server, reviewed and signed as it is. Its tools need the scope everything:use. */
export async function startAsking(upstream: AskingUpstream, options: QuickstartOptions = {}): Promise<Quickstart> {
  const { upstreams = {}, ...sections } = options.settings ?? {};
  return Quickstart.start({
    ...options,
    settings: { ...sections, upstreams: { demo: { http: { url: upstream.url } }, ...(upstreams as object) } },
    async prepare(home) {
      const file = join(home, 'demo.json');
      writeFileSync(file, JSON.stringify(MANIFEST));
      const bin = join(root, 'bin/gatewrit.mjs');
      await run(process.execPath, [bin, 'manifest', 'keygen', '--home', home], { timeout: 30_000 });
      await run(process.execPath, [bin, 'manifest', 'sign', file, '--home', home, '--install'], { timeout: 30_000 });
      await options.prepare?.(home);
    },
  });
}

const scopes = ['everything:use'];
const MANIFEST = {
  ...{ format: 1, server: 'demo', prefix: 'demo', title: 'Demo', version: '1', owner: 'tests' },
  review: { by: 'tests', at: '2026-11-01T00:00:00Z', note: 'a fixture of ours', accepted: [] },
  tools: TOOLS.map(({ effect, definition }) => ({ exposed: `demo__${definition.name}`, scopes, effect, definition })),
  prompts: [],
  resources: RESOURCES.map((definition) => ({ exposed: definition.uri, scopes, effect: 'read', definition })),
  templates: [],
  excluded: [],
};
