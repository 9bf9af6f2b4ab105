import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { silentLog } from '../core/log.ts';
import { json, type Seen, scripted } from './fixture.test.ts';
import type { UpstreamServer } from './server.ts';
import { openServer, type ServerSettings } from './servers.ts';

/** A legacy HTTP server with sessions, scripted: what it does with calls, and with whatever else it is sent. */
export interface Legacy {
  readonly seen: readonly Seen[];
  readonly server: UpstreamServer;
  /** Sessions that are open, by id. */
  readonly sessions: Map<string, Record<string, unknown>>;
  readonly told: { changed: number; ended: number };
  close(): Promise<void>;
}

export interface Script {
  /** Answers a tools/call; `say` writes one message on its stream, `end` ends it. */
  call(seen: Seen, stream: { say(message: object): void; end(): void; res: ServerResponse }): void;
  /** Takes what is neither a call nor part of the handshake. False: not me. */
  other?(seen: Seen, res: ServerResponse): boolean;
  readonly capabilities?: object;
  readonly settings?: Partial<ServerSettings>;
  readonly maxConnections?: number;
}

export async function legacyServer(script: Script): Promise<Legacy> {
  const sessions = new Map<string, Record<string, unknown>>();
  const told = { changed: 0, ended: 0 };
  let serial = 0;
  const upstream = await scripted((seen, res) => {
    const { body, headers, verb } = seen;
    if (body.method === 'server/discover')
      return json(res, 400, { jsonrpc: '2.0', error: { code: -32000, message: 'no session' }, id: null });
    if (body.method === 'initialize') {
      const session = `session-${++serial}`;
      sessions.set(session, body.params);
      res.setHeader('mcp-session-id', session);
      const result = {
        protocolVersion: '2025-11-25',
        capabilities: script.capabilities ?? { tools: {} },
        serverInfo: { name: 'scripted', version: '1' },
      };
      return json(res, 200, { jsonrpc: '2.0', id: body.id, result });
    }
    const session = String(headers['mcp-session-id']);
    if (!sessions.has(session)) return json(res, 404, { jsonrpc: '2.0', error: { code: -32001, message: 'gone' } });
    if (verb === 'DELETE') {
      sessions.delete(session);
      return void res.writeHead(200).end();
    }
    if (script.other?.(seen, res)) return;
    if (verb === 'GET') return void res.writeHead(405).end();
    if (body.method === undefined || body.method.startsWith('notifications/')) return void res.writeHead(202).end();
    if (body.method !== 'tools/call') return json(res, 200, { jsonrpc: '2.0', id: body.id, result: {} });
    const stream = () => {
      if (!res.headersSent) res.writeHead(200, { 'content-type': 'text/event-stream' });
    };
    script.call(seen, {
      res,
      say: (message) => {
        stream();
        res.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
      },
      end: () => void res.end(),
    });
  });
  const server = openServer(
    'shop',
    {
      http: { url: upstream.url, ca: undefined, authorization: undefined, maxConnections: script.maxConnections ?? 8 },
      ...script.settings,
    },
    {
      clock: () => ({ utc: Date.now(), mono: performance.now() }),
      log: silentLog,
      onChanged: () => told.changed++,
      onEnded: () => told.ended++,
    },
  );
  return {
    seen: upstream.seen,
    server,
    sessions,
    told,
    close: async () => {
      await server.close();
      upstream.close();
    },
  };
}

test('the legacy fixture opens and closes', async () => {
  const legacy = await legacyServer({ call: () => {} });
  await legacy.close();
});
