import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Quickstart, WRITE } from './quickstart.ts';

/** What clients accept as the name of a tool, from their own error messages and references. */
const CLIENT_RULES = {
  'Claude (API and desktop)': /^[a-zA-Z0-9_-]{1,64}$/,
  'OpenAI (function name)': /^[a-zA-Z0-9_-]{1,64}$/,
  'Gemini API (63 in its narrowest reference)': /^[a-zA-Z0-9_-]{1,63}$/,
  'Vertex (begins with letter or underscore)': /^[a-zA-Z_][a-zA-Z0-9_.-]{0,63}$/,
};

let quickstart: Quickstart;
before(async () => {
  // Small pages: names behind a cursor count too.
  quickstart = await Quickstart.start({ everything: true, settings: { registry: { pageSize: 3 } } });
});
after(() => quickstart?.close());

/** Every entry of a list, page by page. */
async function entries(method: string, member: string, url: string): Promise<{ name: string }[]> {
  const token = await quickstart.token('bob', WRITE, { audience: url });
  const all: { name: string }[] = [];
  for (let cursor: unknown, pages = 0; pages === 0 || cursor !== undefined; pages++) {
    assert.ok(pages < 50, 'the pages do not end');
    const { json, text } = await quickstart.gateway.rpc(method, cursor === undefined ? {} : { cursor }, token, { url });
    assert.ok(json.result, text);
    all.push(...(json.result[member] as { name: string }[]));
    cursor = json.result['nextCursor'];
  }
  return all;
}

test('every tool and prompt of the running quickstart has a name that Claude, OpenAI and Gemini clients accept', async () => {
  const { mcp } = quickstart.gateway.ready;
  const tools = await entries('tools/list', 'tools', mcp);
  const prompts = await entries('prompts/list', 'prompts', mcp);
  assert.ok(tools.length >= 12 && prompts.length >= 4, `${tools.length} tools, ${prompts.length} prompts`);
  for (const { name } of [...tools, ...prompts]) {
    for (const [client, rule] of Object.entries(CLIENT_RULES)) assert.match(name, rule, `${client} refuses ${name}`);
  }
  const names = tools.map(({ name }) => name.toLowerCase());
  assert.equal(new Set(names).size, names.length, 'two tools share a name');
});

test('before one server its tools bear their original names, and clients accept those of the bundled servers too', async () => {
  for (const server of ['internal-readonly', 'internal-destructive', 'everything']) {
    const tools = await entries('tools/list', 'tools', `${quickstart.gateway.ready.mcp}/${server}`);
    assert.ok(tools.length > 0, server);
    for (const { name } of tools) {
      assert.doesNotMatch(name, /__/);
      for (const [client, rule] of Object.entries(CLIENT_RULES)) assert.match(name, rule, `${client} refuses ${name}`);
    }
  }
});
