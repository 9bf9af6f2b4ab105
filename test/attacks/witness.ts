import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { PROMPTS, RESOURCES, TEMPLATES, TOOLS } from './witness-definitions.ts';

/**
 * An MCP server that writes down every call that reaches it, before it answers: one line of JSON per call in the file
 * named by WITNESS_FILE. Speaks 2026-07-28 over stdio by hand, so that nothing between reads the arguments again.
 */
const file = process.env['WITNESS_FILE']!;
const SERVER = { 'io.modelcontextprotocol/serverInfo': { name: 'witness', version: '1.0.0' } };
const definitions = (items: readonly { definition: object }[]) => items.map(({ definition }) => definition);
const listed = (member: string, items: readonly { definition: object }[]) => ({
  resultType: 'complete',
  [member]: definitions(items),
  ttlMs: 0,
  cacheScope: 'private',
  _meta: SERVER,
});

const ANSWERS: Readonly<Record<string, (params: Record<string, unknown>) => object>> = {
  'server/discover': () => ({
    resultType: 'complete',
    supportedVersions: ['2026-07-28'],
    capabilities: { tools: {}, prompts: {}, resources: {} },
    ttlMs: 0,
    cacheScope: 'private',
    _meta: SERVER,
  }),
  'tools/list': () => listed('tools', TOOLS),
  'prompts/list': () => listed('prompts', PROMPTS),
  'resources/list': () => listed('resources', RESOURCES),
  'resources/templates/list': () => listed('resourceTemplates', TEMPLATES),
  'tools/call': () => ({ resultType: 'complete', content: [{ type: 'text', text: 'written' }] }),
  'prompts/get': () => ({
    resultType: 'complete',
    messages: [{ role: 'user', content: { type: 'text', text: 'hello' } }],
  }),
  'resources/read': ({ uri }) => ({
    resultType: 'complete',
    contents: [{ uri, mimeType: 'text/plain', text: 'a page' }],
    ttlMs: 0,
    cacheScope: 'private',
  }),
};

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line) as { id?: number; method: string; params?: Record<string, unknown> };
  if (id === undefined) return;
  if (/\/(call|get|read)$/.test(method)) appendFileSync(file, `${line}\n`);
  const answer = ANSWERS[method];
  const rest = answer ? { result: answer(params ?? {}) } : { error: { code: -32601, message: 'Unknown method.' } };
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...rest })}\n`);
});
