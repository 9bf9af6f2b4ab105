import { readFileSync } from 'node:fs';
import { createServer as createPlain, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTls } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';
import { answerBench } from './answering.ts';
import type { Recorder } from './records.ts';

/**
 * The floor: node:http(s) and an undici pool, whole bodies as bytes, no check of any kind.
 * Arguments: port of the upstream, then certificate and key (PEM paths) when it is to speak TLS 1.3, or the folder of a
 * journal when each call is to leave two records and is still to be judged by nobody.
 */
const [upstream, place, key] = process.argv.slice(2);
const record: Recorder = place && !key ? (await import('./records.ts')).openRecords(place) : (_bytes, then) => then();
const pool = new Pool(`http://127.0.0.1:${upstream}`, { connections: 256, pipelining: 1 });
const HEADERS = ['content-type', 'application/json', 'accept', 'application/json, text/event-stream'];

function relay(req: IncomingMessage, res: ServerResponse): void {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    const body = whole(chunks);
    record(body, () => forward(body, res));
  });
}

function forward(body: Buffer, res: ServerResponse): void {
  const answer: Buffer[] = [];
  pool.dispatch(
    { path: '/mcp', method: 'POST', headers: HEADERS, body },
    {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData(_controller, chunk) {
        answer.push(chunk);
      },
      onResponseEnd() {
        const reply = whole(answer);
        record(reply, () => {
          res.writeHead(200, ['Content-Type', 'application/json', 'Content-Length', String(reply.length)]);
          res.end(reply);
        });
      },
      onResponseError() {
        res.writeHead(502, ['Content-Length', '0']).end();
      },
    },
  );
}

function whole(chunks: Buffer[]): Buffer {
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

const server =
  place && key
    ? createTls({ cert: readFileSync(place), key: readFileSync(key), minVersion: 'TLSv1.3', noDelay: true }, relay)
    : createPlain({ noDelay: true }, relay);
// As the gateway keeps them: no idle connection of the load is cut between two measurements.
server.keepAliveTimeout = 30_000;
server.listen(0, '127.0.0.1', () => answerBench({ port: (server.address() as AddressInfo).port }));
