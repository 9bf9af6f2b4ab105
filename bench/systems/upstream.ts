import { createServer } from 'node:http';

/**
 * The upstream of every measured system: a modern MCP server with one tool that echoes, as cheap as plain node:http
 * gets. It counts calls, so that a relay that answers by itself is noticed.
 */
let calls = 0;
const server = createServer((req, res) => {
  if (req.method === 'GET') return void res.end(String(calls));
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    const message = JSON.parse(Buffer.concat(chunks).toString());
    const body = JSON.stringify({ jsonrpc: '2.0', id: message.id, result: answer(message) });
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    res.end(body);
  });
});

export const TOOL = {
  name: 'echo',
  title: 'Echo',
  description: 'Answers with what it was given.',
  inputSchema: {
    type: 'object',
    properties: { nonce: { type: 'string', maxLength: 64 }, text: { type: 'string', maxLength: 10_000 }, count: { type: 'integer' } },
    required: ['nonce', 'text'],
    additionalProperties: false,
  },
};

function answer(message: { method: string; params: { arguments: { nonce: string; text: string } } }): object {
  if (message.method === 'server/discover') {
    return { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, ttlMs: 0, cacheScope: 'private' };
  }
  if (message.method === 'tools/list') return { resultType: 'complete', tools: [TOOL], ttlMs: 0, cacheScope: 'private' };
  if (message.method !== 'tools/call') return { resultType: 'complete', prompts: [], resources: [], resourceTemplates: [], ttlMs: 0, cacheScope: 'private' };
  calls += 1;
  const { nonce, text } = message.params.arguments;
  return { resultType: 'complete', content: [{ type: 'text', text: `${nonce} ${text}` }] };
}

server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  process.send?.({ port: (server.address() as { port: number }).port });
});
