import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TOOL } from '../tool.ts';
import { answerBench } from './answering.ts';

/**
 * The upstream of every measured system: a modern MCP server with one tool that echoes, as cheap as plain node:http
 * gets. It counts calls, so that a relay that answers by itself is noticed.
 */
let calls = 0;

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    const message = JSON.parse((chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString()) as Message;
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: resultOf(message) }));
    res.writeHead(200, ['Content-Type', 'application/json', 'Content-Length', String(body.length)]);
    res.end(body);
  });
});

interface Message {
  readonly id: number;
  readonly method: string;
  readonly params: { readonly arguments: { readonly nonce: string; readonly text: string } };
}

const LISTED = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };

function resultOf({ method, params }: Message): object {
  if (method === 'server/discover')
    return { ...LISTED, supportedVersions: ['2026-07-28'], capabilities: { tools: {} } };
  if (method === 'tools/list') return { ...LISTED, tools: [TOOL] };
  calls += 1;
  const { nonce, text } = params.arguments;
  return { resultType: 'complete', content: [{ type: 'text', text: `${nonce} ${text}` }] };
}

server.listen(0, '127.0.0.1', () => {
  answerBench({ port: (server.address() as AddressInfo).port }, { usage: () => ({ calls }) });
});
