import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { silentLog } from '../core/log.ts';
import { InputRequired, type QuestionAnswer } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import { clientWith, requestFor } from './fixture.test.ts';
import { openServer } from './servers.ts';
import { WireFault } from './wire.ts';

/** Servers written with the first SDK (1.x), over both of its HTTP transports. */
const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

/** A tool that asks as most servers do: on whatever stream the SDK finds, not on that of the call. */
function asking(): McpServer {
  const mcp = new McpServer({ name: 'first', version: '1' });
  mcp.registerTool('buy', { description: 'asks first' }, async () => {
    const answer = await mcp.server.elicitInput({
      message: 'sure?',
      requestedSchema: { type: 'object', properties: { ok: { type: 'boolean' } } },
    });
    return { content: [{ type: 'text', text: JSON.stringify(answer) }] };
  });
  return mcp;
}

async function listening(handle: (req: IncomingMessage, res: ServerResponse) => void): Promise<string> {
  const http = createServer(handle);
  await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
  closing.push(() => {
    http.closeAllConnections();
    http.close();
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

const open = (url: string, transport: 'auto' | 'sse' = 'auto') => {
  const server = openServer(
    'shop',
    { http: { url, ca: undefined, authorization: undefined, maxConnections: 8, transport } },
    {
      clock: () => ({ utc: Date.now(), mono: performance.now() }),
      log: silentLog,
      onChanged: () => {},
      onEnded: () => {},
    },
  );
  closing.unshift(() => server.close());
  return server;
};

async function askedAndAnswered(server: ReturnType<typeof open>): Promise<string> {
  const client = clientWith({ elicitation: {} });
  const asked = await server.call(requestFor({ client }));
  assert.ok(asked instanceof InputRequired, JSON.stringify(asked));
  const [key] = asked.questions.keys();
  const given = new Map<string, QuestionAnswer>([
    [key!, { kind: 'result', bytes: Buffer.from('{"action":"accept","content":{"ok":true}}') }],
  ]);
  const answer = await server.call(requestFor({ client, answers: { given, state: asked.state } }));
  assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), JSON.stringify(answer));
  return (answer.view() as { content: [{ text: string }] }).content[0].text;
}

async function sseServer() {
  const streams = new Map<string, SSEServerTransport>();
  const url = await listening(async (req, res) => {
    const { pathname, searchParams } = new URL(req.url!, 'http://x');
    if (pathname === '/sse' && req.method === 'GET') {
      const transport = new SSEServerTransport('/messages', res);
      streams.set(transport.sessionId, transport);
      return void (await asking().connect(transport));
    }
    const transport = streams.get(searchParams.get('sessionId') ?? '');
    if (pathname === '/messages' && transport) return void transport.handlePostMessage(req, res);
    res.writeHead(pathname === '/sse' ? 405 : 404).end();
  });
  return { url: `${url}/sse`, streams };
}

describe('HTTP+SSE of 2024-11-05', () => {
  test('is found where a server knows nothing newer: it is listed, called, and may ask', async () => {
    const { url, streams } = await sseServer();
    const server = open(url);
    const live = await server.introspect();
    assert.ok(!(live instanceof WireFault), JSON.stringify(live));
    assert.deepEqual(
      live.tools.map(({ name }) => name),
      ['buy'],
    );
    assert.equal(await askedAndAnswered(server), '{"action":"accept","content":{"ok":true}}');
    assert.equal(streams.size, 2);
  });

  test('is spoken at once where the operator names it', async () => {
    const { url } = await sseServer();
    assert.equal(await askedAndAnswered(open(url, 'sse')), '{"action":"accept","content":{"ok":true}}');
  });

  test('an endpoint at another origin is not posted to', async () => {
    let reached = false;
    const elsewhere = await listening((_req, res) => {
      reached = true;
      res.writeHead(202).end();
    });
    for (const endpoint of [
      `${elsewhere}/messages`,
      `//${elsewhere.slice(7)}/messages`,
      'http://user@127.0.0.1/x',
      'http://[',
    ]) {
      const url = await listening((req, res) => {
        if (req.method !== 'GET') return void res.writeHead(404).end();
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write(`event: endpoint\ndata: ${endpoint}\n\n`);
      });
      const refused = await open(url, 'sse').call(requestFor());
      assert.ok(refused instanceof Refusal && refused.code === 'upstream.unavailable', JSON.stringify(refused));
    }
    assert.equal(reached, false);
  });

  test('a stream that ends takes its calls with it as "may have run"', async () => {
    const { url, streams } = await sseServer();
    const server = open(url, 'sse');
    const client = clientWith({ elicitation: {} });
    const asked = await server.call(requestFor({ client }));
    assert.ok(asked instanceof InputRequired);
    for (const transport of streams.values()) await transport.close();
    await new Promise((done) => setTimeout(done, 30));
    const lost = await server.call(requestFor({ client, answers: { given: new Map(), state: asked.state } }));
    assert.ok(lost instanceof Refusal && lost.code === 'upstream.state_lost', JSON.stringify(lost));
  });
});

test('a server of the first SDK over Streamable HTTP may ask on the stream of its session', async () => {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const url = await listening(async (req, res) => {
    const known = sessions.get(String(req.headers['mcp-session-id']));
    if (known) return void known.handleRequest(req, res);
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => `s-${sessions.size}`,
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    await asking().connect(transport as unknown as Transport);
    await transport.handleRequest(req, res);
  });
  assert.equal(await askedAndAnswered(open(`${url}/mcp`)), '{"action":"accept","content":{"ok":true}}');
});
