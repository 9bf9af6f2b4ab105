import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Quickstart } from './quickstart.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

/** One message or end of a connection, as an upstream saw it. */
export interface Sight {
  readonly era: string;
  /** HTTP method, or `left` for a connection that went before its answer. */
  readonly verb: string;
  readonly headers: IncomingMessage['headers'];
  readonly raw: string;
}

/** A result with numbers no double holds, and fields and a content type nobody knows. */
export const STRANGE =
  '"content":[{"type":"hologram","depth":9007199254740993,"x":1.0},{"type":"text","text":"ok","unknownField":{"n":18014398509481985}}],"structuredContent":{"big":9007199254740993,"e":1e0},"vendorField":[9007199254740995]';
const ASKED = '{"message":"Which one?","requestedSchema":{"type":"object","properties":{"a":{"type":"string"}}}}';

const SCHEMA = { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } };
export const TOOLS = ['echo', 'wait', 'ask'].map((name) => ({
  name,
  description: `Does ${name}.`,
  inputSchema: name === 'echo' ? SCHEMA : { type: 'object' },
}));

/** Two servers by hand, one of each era; what they are sent is what arrived, byte for byte. */
export class TwoEras {
  readonly seen: Sight[] = [];
  readonly #server = createServer((req, res) => void this.#serve(req, res));
  readonly #answers: ((text: string) => void)[] = [];

  static async start(): Promise<TwoEras> {
    const two = new TwoEras();
    await new Promise<void>((resolve) => two.#server.listen(0, '127.0.0.1', resolve));
    return two;
  }

  url(era: 'modern' | 'legacy'): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${era}`;
  }

  /** Answers every call of `wait` that is still there. */
  answerAll(): void {
    for (const answer of this.#answers.splice(0)) answer('{"content":[]}');
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks).toString();
    const era = (req.url ?? '').slice(1);
    const { method: verb = '', headers } = req;
    this.seen.push({ era, verb, headers, raw });
    if (verb !== 'POST') return void res.writeHead(verb === 'DELETE' ? 200 : 405).end();
    const { id, method = '', params = {} } = JSON.parse(raw) as { id?: number; method?: string; params?: Params };
    if (id === undefined || method === '') return void res.writeHead(202).end();
    const answer = (result: string) => {
      if (res.headersSent) return void res.end(`data: {"jsonrpc":"2.0","id":${id},"result":${result}}\n\n`);
      res.writeHead(200, { 'content-type': 'application/json' });
      res.end(`{"jsonrpc":"2.0","id":${id},"result":${result}}`);
    };
    const complete = era === 'modern' ? '"resultType":"complete",' : '';
    if (method === 'tools/call') {
      if (params.name === 'echo') return answer(`{${complete}${STRANGE}}`);
      res.once('close', () => {
        if (!res.writableFinished) this.seen.push({ era, verb: 'left', headers: {}, raw });
      });
      this.#answers.push((text) => res.destroyed || answer(text.replace('{', `{${complete}`)));
      if (params.name === 'ask' && era === 'legacy') {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write(`data: {"jsonrpc":"2.0","id":"up-1","method":"elicitation/create","params":${ASKED}}\n\n`);
      } else if (params.name === 'ask') {
        const question = `{"one":{"method":"elicitation/create","params":${ASKED}}}`;
        answer(
          params.inputResponses
            ? '{"resultType":"complete","content":[]}'
            : `{"resultType":"input_required","inputRequests":${question},"requestState":"st"}`,
        );
      }
      return;
    }
    const [, text] = HANDSHAKES[era]!.find(([name]) => name === method) ?? [];
    if (text === undefined) {
      res.writeHead(era === 'modern' ? 404 : 400, { 'content-type': 'application/json' });
      return void res.end(`{"jsonrpc":"2.0","id":${id},"error":{"code":-32601,"message":"unknown"}}`);
    }
    if (method === 'initialize') res.setHeader('mcp-session-id', `up-${this.seen.length}`);
    answer(text);
  }
}

interface Params {
  readonly name?: string;
  readonly inputResponses?: object;
}
const LIST = `"tools":${JSON.stringify(TOOLS)}`;
const HANDSHAKES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  modern: [
    [
      'server/discover',
      '{"resultType":"complete","ttlMs":0,"cacheScope":"private","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}',
    ],
    ['tools/list', `{"resultType":"complete","ttlMs":0,"cacheScope":"private",${LIST}}`],
  ],
  legacy: [
    [
      'initialize',
      '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"old","version":"1"}}',
    ],
    ['tools/list', `{${LIST}}`],
  ],
};

/** A legacy server on stdio that writes down every line it gets. */
const STDIO = `
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
const say = (id, result) => process.stdout.write('{"jsonrpc":"2.0","id":' + id + ',"result":' + result + '}\\n');
createInterface({ input: process.stdin }).on('line', (line) => {
  appendFileSync(process.argv[2], line + '\\n');
  const { id, method, params } = JSON.parse(line);
  if (id === undefined || method === undefined) return;
  if (method === 'initialize') say(id, '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"line","version":"1"}}');
  else if (method === 'tools/list') say(id, ${JSON.stringify(`{${LIST}}`)});
  else if (method === 'tools/call') {
    if (params.name === 'echo') return say(id, ${JSON.stringify(`{${STRANGE}}`)});
    const { who } = params.arguments;
    if (who === undefined) return;
    const told = { progressToken: params._meta?.progressToken, progress: 1, message: who };
    const tell = () => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params: told }) + '\\n');
    setTimeout(tell, 50);
    setTimeout(() => say(id, JSON.stringify({ content: [{ type: 'text', text: who }] })), 150);
  }
  else process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message: 'unknown' } }) + '\\n');
});
`;

export interface Started {
  readonly quickstart: Quickstart;
  /** What the stdio server was sent, line by line. */
  readonly lines: () => string[];
}

/** A gateway before servers of both eras and both transports: new, old and line. Their tools need everything:use. */
export async function startTwoEras(two: TwoEras, settings: Readonly<Record<string, unknown>> = {}): Promise<Started> {
  let log = '';
  const quickstart = await Quickstart.start({
    settings: {
      ...settings,
      upstreams: {
        new: { http: { url: two.url('modern') } },
        old: { http: { url: two.url('legacy') } },
        line: { stdio: { command: 'node', args: ['line.mjs', 'line.log'], cwd: '.' } },
      },
    },
    async prepare(home) {
      log = join(home, 'line.log');
      writeFileSync(join(home, 'line.mjs'), STDIO);
      writeFileSync(log, '');
      const bin = join(root, 'bin/gatewrit.mjs');
      await run(process.execPath, [bin, 'manifest', 'keygen', '--home', home], { timeout: 30_000 });
      for (const server of ['new', 'old', 'line']) {
        const file = join(home, `${server}.json`);
        writeFileSync(file, JSON.stringify(manifestOf(server)));
        await run(process.execPath, [bin, 'manifest', 'sign', file, '--home', home, '--install'], { timeout: 30_000 });
      }
    },
  });
  return { quickstart, lines: () => readFileSync(log, 'utf8').split('\n').filter(Boolean) };
}

const scopes = ['everything:use'];
const manifestOf = (server: string) => ({
  ...{ format: 1, server, prefix: server, title: server, version: '1', owner: 'tests' },
  review: { by: 'tests', at: '2026-11-01T00:00:00Z', note: 'a fixture of ours', accepted: [] },
  tools: TOOLS.map((definition) => ({ exposed: `${server}__${definition.name}`, scopes, effect: 'read', definition })),
  prompts: [],
  resources: [],
  templates: [],
  excluded: [],
});
