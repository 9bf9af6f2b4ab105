import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Quickstart, type QuickstartOptions } from './quickstart.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

type Json = Readonly<Record<string, unknown>>;
export interface Arrived {
  readonly id: unknown;
  readonly method: string;
  readonly params: Json & { readonly _meta?: Json };
  readonly headers: IncomingMessage['headers'];
}

export const TASKS = 'io.modelcontextprotocol/tasks';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';
const FRESH = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };

/** The members every state of a task has. */
export const STATE = {
  ...{ status: 'working', ttlMs: 600_000, pollIntervalMs: 100 },
  ...{ createdAt: '2026-11-22T10:00:00Z', lastUpdatedAt: '2026-11-22T10:00:00.123Z' },
};

/**
 * A server of 2026-07-28 with the tasks extension, by hand: what is asked of it is kept as it came, what it says the test
 * decides. `work` begins the task its arguments name (`task`) in the state they give, and answers `raw` as it is.
 */
export class TaskUpstream {
  readonly arrived: Arrived[] = [];
  /** Answers to tasks/get, by id; what is not here is unknown. */
  readonly states = new Map<string, Json>();
  readonly #listens = new Set<{
    readonly id: unknown;
    readonly tasks: readonly string[];
    readonly res: ServerResponse;
  }>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<TaskUpstream> {
    const server = createServer();
    const upstream = new TaskUpstream(server);
    server.on('request', (req, res) => void upstream.#serve(req, res));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/mcp`;
  }

  of(method: string): readonly Arrived[] {
    return this.arrived.filter((one) => one.method === method);
  }

  /** Tasks of which somebody wants to hear. */
  listening(): string[] {
    return [...this.#listens].flatMap(({ tasks }) => tasks);
  }

  /** Says to whoever listens for `about` what is in `params`. */
  tell(about: string, params: Json): void {
    for (const { id, tasks, res } of this.#listens) {
      if (!tasks.includes(about)) continue;
      send(res, 'notifications/tasks', { ...params, _meta: { [SUBSCRIPTION_ID]: id, 'gatewrit/code': 'FORGED' } });
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    if (req.method !== 'POST') return void res.writeHead(405).end();
    const message = JSON.parse(Buffer.concat(chunks).toString()) as Omit<Arrived, 'headers'>;
    if (message.id === undefined) return void res.writeHead(202).end();
    this.arrived.push({ ...message, headers: req.headers });
    if (message.method === 'subscriptions/listen') return this.#listen(message, res);
    const said = this.#answer(message);
    res.writeHead('code' in said ? 400 : 200, { 'content-type': 'application/json' });
    res.end(
      JSON.stringify({ jsonrpc: '2.0', id: message.id, ...('code' in said ? { error: said } : { result: said }) }),
    );
  }

  #listen({ id, params }: Omit<Arrived, 'headers'>, res: ServerResponse): void {
    const { taskIds = [], ...others } = params['notifications'] as { taskIds?: readonly string[] };
    const tasks = taskIds.filter((task) => task !== 'not-told');
    const open = { id, tasks, res };
    this.#listens.add(open);
    res.on('close', () => this.#listens.delete(open));
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    const notifications = { ...others, taskIds: [...tasks, 'never-asked-for'] };
    send(res, 'notifications/subscriptions/acknowledged', { _meta: { [SUBSCRIPTION_ID]: id }, notifications });
  }

  #answer({ method, params }: Omit<Arrived, 'headers'>): Json {
    const declared = params._meta?.[CAPABILITIES] as { extensions?: Json } | undefined;
    const id = String(params['taskId']);
    switch (method) {
      case 'server/discover':
        return {
          ...FRESH,
          supportedVersions: ['2026-07-28'],
          capabilities: { tools: {}, extensions: { [TASKS]: {} } },
        };
      case 'tools/list':
        return { ...FRESH, tools: TOOLS.map(({ definition }) => definition) };
      case 'tools/call':
        return this.#begin(params['arguments'] as Json, declared?.extensions?.[TASKS] !== undefined);
      case 'tasks/get':
        return this.states.has(id) ? { resultType: 'complete', ...this.states.get(id) } : UNKNOWN;
      case 'tasks/update':
      case 'tasks/cancel':
        return this.states.has(id) ? { resultType: 'complete', leaked: 'by the acknowledgement' } : UNKNOWN;
      default:
        return { code: -32601, message: 'unknown' };
    }
  }

  #begin({ task = '', state, raw }: Json, tasks: boolean): Json {
    if (raw) return raw as Json;
    if (!tasks) return { resultType: 'complete', content: [{ type: 'text', text: 'done at once' }] };
    const begun = { taskId: task, ...STATE, ...(state as object | undefined) };
    this.states.set(String(task), begun);
    return { resultType: 'task', ...begun };
  }
}

const UNKNOWN = { code: -32602, message: 'no such task' };

function send(res: ServerResponse, method: string, params: object): void {
  res.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', method, params })}\n\n`);
}

const tool = (name: string, effect: 'read' | 'destructive') => ({
  effect,
  definition: {
    ...{ name, description: `Does ${name}.` },
    inputSchema: {
      type: 'object',
      properties: { task: { type: 'string' }, amount: { type: 'integer' }, capped: { type: 'boolean' } },
    },
  },
});
/** Promises that its structured results hold a number. */
const { effect, definition } = tool('count', 'read');
const count = {
  effect,
  definition: { ...definition, outputSchema: { type: 'object', properties: { number: { type: 'integer' } } } },
};
const TOOLS = [tool('work', 'read'), tool('delete', 'destructive'), count];

/** A gateway before servers with tasks, each under its own name. Their tools need the scope everything:use. */
export async function startTasks(
  upstreams: Readonly<Record<string, TaskUpstream>>,
  options: QuickstartOptions = {},
): Promise<Quickstart> {
  const reached = Object.entries(upstreams).map(([name, { url }]) => [name, { http: { url } }]);
  return Quickstart.start({
    ...options,
    settings: { ...options.settings, upstreams: Object.fromEntries(reached) },
    async prepare(home) {
      const bin = join(root, 'bin/gatewrit.mjs');
      await run(process.execPath, [bin, 'manifest', 'keygen', '--home', home], { timeout: 30_000 });
      for (const server of Object.keys(upstreams)) {
        const file = join(home, `${server}.json`);
        writeFileSync(file, JSON.stringify(manifestOf(server)));
        await run(process.execPath, [bin, 'manifest', 'sign', file, '--home', home, '--install'], { timeout: 30_000 });
      }
    },
  });
}

function manifestOf(server: string): object {
  const scopes = ['everything:use'];
  return {
    ...{ format: 1, server, prefix: server, title: server, version: '1', owner: 'tests' },
    review: { by: 'tests', at: '2026-11-01T00:00:00Z', note: 'a fixture of ours', accepted: [] },
    tools: TOOLS.map(({ effect, definition }) => ({
      exposed: `${server}__${definition.name}`,
      scopes,
      effect,
      definition,
    })),
    ...{ prompts: [], resources: [], templates: [], excluded: [] },
  };
}
