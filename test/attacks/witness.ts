import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { PROMPTS, RESOURCES, TEMPLATES, TOOLS, TWIN_LIVE } from './witness-definitions.ts';

/**
 * An MCP server that writes down every call that reaches it, before it answers: one line of JSON per call in the file
 * named by WITNESS_FILE. Says to a call what the file named by WITNESS_ANSWER holds, once, when there is one. Speaks 2026-07-28 over stdio by hand, so that nothing between reads the arguments again.
 */
const file = process.env['WITNESS_FILE']!;
const prepared = process.env['WITNESS_ANSWER']!;
/** The second server of witness-definitions.ts instead. */
const twin = process.env['WITNESS_TWIN'] !== undefined;
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
  'tools/list': () => listed('tools', twin ? TWIN_LIVE : TOOLS),
  'prompts/list': () => listed('prompts', twin ? [] : PROMPTS),
  'resources/list': () => listed('resources', twin ? [] : RESOURCES),
  'resources/templates/list': () => listed('resourceTemplates', twin ? [] : TEMPLATES),
  'tools/call': ({ arguments: given }) => ({
    resultType: 'complete',
    content: [
      { type: 'text', text: String((given as { echo?: string } | undefined)?.echo ?? (twin ? 'by twin' : 'written')) },
    ],
  }),
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
  const acts = /\/(call|get|read)$/.test(method);
  if (acts) appendFileSync(file, `${line}\n`);
  const answer = ANSWERS[method];
  const usual = answer ? { result: answer(params ?? {}) } : { error: { code: -32601, message: 'Unknown method.' } };
  const said = acts ? takePrepared() : null;
  if (said?.raw !== undefined) process.stdout.write(`${said.raw.replaceAll('{id}', JSON.stringify(id))}\n`);
  else if (said?.flood !== undefined) flood(id, said.flood);
  else process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...(said?.said ?? usual) })}\n`);
});

interface Prepared {
  readonly raw?: string;
  readonly flood?: number;
  readonly said?: object;
}

function takePrepared(): Prepared | null {
  try {
    const read = JSON.parse(readFileSync(prepared, 'utf8')) as Prepared;
    rmSync(prepared);
    return read;
  } catch {
    return null;
  }
}

/** An answer as fast as it is read, until `left` is said, then its end. */
function flood(id: number, left: number): void {
  process.stdout.write(`{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"`);
  const chunk = 'x'.repeat(65_536);
  const more = (rest: number): void => {
    if (rest > 0) process.stdout.write(chunk, () => more(rest - chunk.length));
    // A long one ends with its last byte; one that has hardly begun, when nobody waits for it any more.
    else setTimeout(() => process.stdout.write('"}]}}\n'), left > chunk.length ? 0 : 1_600);
  };
  more(left);
}
