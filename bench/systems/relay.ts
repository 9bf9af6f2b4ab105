import { readFileSync } from 'node:fs';
import { createServer as createPlain, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTls } from 'node:https';
import { Pool } from 'undici';

/** The floor: node:http(s) and an undici pool, bytes only, no check of any kind. */
const [upstream, cert, key] = process.argv.slice(2);
const pool = new Pool(upstream!, { connections: 256, pipelining: 1 });

function relay(req: IncomingMessage, res: ServerResponse): void {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    const answer: Buffer[] = [];
    pool.dispatch(
      {
        path: '/mcp',
        method: 'POST',
        headers: ['content-type', 'application/json', 'accept', 'application/json, text/event-stream'],
        body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks),
      },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData(_controller, chunk) {
          answer.push(chunk);
        },
        onResponseEnd() {
          const body = answer.length === 1 ? answer[0]! : Buffer.concat(answer);
          res.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
          res.end(body);
        },
        onResponseError() {
          res.writeHead(502).end();
        },
      },
    );
  });
}

const server = cert && key ? createTls({ cert: readFileSync(cert), key: readFileSync(key), minVersion: 'TLSv1.3' }, relay) : createPlain(relay);
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as { port: number }).port }));
