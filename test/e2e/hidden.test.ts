import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Answer } from '../../examples/quickstart/tour/gateway.ts';
import { Quickstart, WRITE } from './quickstart.ts';

/** Denied whatever the token holds: hidden, so it must look like a name that nobody ever had. */
const HIDE = [
  ['call_tool', 'internal-readonly/s3_list'],
  ['get_prompt', 'everything/args-prompt'],
  ['read_resource', 'everything/demo://resource/static/document/features.md'],
  ['read_resource', 'everything/demo://resource/dynamic/blob/{resourceId}'],
]
  .map(
    ([action, key], i) =>
      `@id("hide-${i}")\nforbid (principal, action == Action::"${action}", resource == Target::"${key}");\n`,
  )
  .join('\n');

let quickstart: Quickstart;
before(async () => {
  quickstart = await Quickstart.start({ everything: true, policy: { '40-hidden.cedar': HIDE } });
});
after(() => quickstart?.close());

interface Probe {
  readonly method: string;
  readonly url: string;
  readonly hidden: string;
  readonly nonexistent: readonly string[];
  /** Params besides the name: those that would fit the hidden one, those that would not, none. */
  readonly params: readonly object[];
}

async function ask({ method, url }: Pick<Probe, 'method' | 'url'>, name: string, params: object): Promise<Answer> {
  const token = await quickstart.token('bob', WRITE, { audience: url });
  const named = method === 'resources/read' ? { uri: name } : { name };
  return quickstart.gateway.rpc(method, { ...named, ...params }, token, { url, id: 7 });
}

/** Everything of an answer that a caller can tell it by; Date is the hour, not the answer. */
function seen({ status, headers, text }: Answer): object {
  const { date: _, ...rest } = headers;
  return { status, headers: rest, text };
}

/** The same for a resource: the URI stands in the answer as it was asked for, which says nothing but that. */
function seenFor({ method }: Probe, name: string, answer: Answer): object {
  if (method !== 'resources/read') return seen(answer);
  const uri = `"data":{"uri":${JSON.stringify(name)}}`;
  assert.ok(answer.text.includes(uri), answer.text);
  const length = Number(answer.headers['content-length']) - Buffer.byteLength(uri);
  return seen({
    ...answer,
    headers: { ...answer.headers, 'content-length': String(length) },
    text: answer.text.replace(`,${uri}`, ''),
  });
}

async function indistinguishable(probe: Probe): Promise<void> {
  const answers: object[] = [];
  for (const params of probe.params) {
    for (const name of [probe.hidden, ...probe.nonexistent])
      answers.push(seenFor(probe, name, await ask(probe, name, params)));
  }
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  assert.deepEqual(JSON.parse((answers[0] as { text: string }).text), {
    jsonrpc: '2.0',
    id: 7,
    error: { code: -32602, message: 'Unknown tool, prompt or resource.' },
  });
}

const SOME = { arguments: { message: 'x' } };
const BROKEN = { arguments: { prefix: 42, city: [], nothing: { such: null } } };
const LARGE = { arguments: { prefix: 'x'.repeat(200_000) } };
const WITH_PROGRESS = { arguments: {}, _meta: { progressToken: 'p' } };
const RETRIED = { arguments: {}, inputResponses: {}, requestState: 'AAAA' };
const TOOL_PARAMS = [
  { arguments: { prefix: 'reports/' } },
  SOME,
  BROKEN,
  LARGE,
  WITH_PROGRESS,
  RETRIED,
  { arguments: {} },
  {},
];
const PROMPT_PARAMS = [
  { arguments: { city: 'Oslo', state: 'x' } },
  SOME,
  BROKEN,
  LARGE,
  WITH_PROGRESS,
  { arguments: {} },
  {},
];
const RESOURCE_PARAMS = [{}, { _meta: { progressToken: 1 } }, { arguments: { x: 1 } }];

const at = (server?: string) => (server ? `${quickstart.gateway.ready.mcp}/${server}` : quickstart.gateway.ready.mcp);

for (const place of ['/mcp', '/mcp/{server}']) {
  const all = place === '/mcp';
  describe(`on ${place} a hidden name cannot be told from one that does not exist`, () => {
    test('tool, whatever its arguments', () =>
      indistinguishable({
        method: 'tools/call',
        url: all ? at() : at('internal-readonly'),
        hidden: all ? 'readonly__s3_list' : 's3_list',
        nonexistent: [
          'readonly__s3_lisu',
          's3_lisu',
          'a',
          'x'.repeat(200),
          '__proto__',
          all ? 's3_list' : 'readonly__s3_list',
        ],
        params: TOOL_PARAMS,
      }));

    test('prompt, whatever its arguments', () =>
      indistinguishable({
        method: 'prompts/get',
        url: all ? at() : at('everything'),
        hidden: all ? 'everything__args-prompt' : 'args-prompt',
        nonexistent: ['everything__args-prompu', 'args-prompu', 'constructor'],
        params: PROMPT_PARAMS,
      }));

    test('resource and template', async () => {
      for (const hidden of ['demo://resource/static/document/features.md', 'demo://resource/dynamic/blob/7']) {
        await indistinguishable({
          method: 'resources/read',
          url: all ? at() : at('everything'),
          hidden,
          nonexistent: [
            'demo://resource/static/document/featurez.md',
            'demo://resource/dynamic/blub/7',
            'file:///etc/passwd',
            'not a uri',
          ],
          params: RESOURCE_PARAMS,
        });
      }
    });
  });
}

test('what is hidden stands in no list, and its neighbours do', async () => {
  const token = await quickstart.token('bob', WRITE);
  const texts: string[] = [];
  for (const method of ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'])
    texts.push((await quickstart.gateway.rpc(method, {}, token)).text);
  const lists = texts.join('\n');
  for (const name of ['s3_list', 'args-prompt', 'features.md', 'dynamic/blob']) assert.ok(!lists.includes(name), name);
  for (const name of ['jira_search', 'simple-prompt', 'architecture.md', 'dynamic/text'])
    assert.ok(lists.includes(name), name);
});

test('a name that is merely out of reach is told apart, so the comparison can fail', async () => {
  const url = at();
  const token = await quickstart.token('alice', ['jira:read']);
  const out = await quickstart.gateway.rpc(
    'tools/call',
    { name: 'readonly__postgres_query', arguments: { sql: 'SELECT 1' } },
    token,
    { url, id: 7 },
  );
  assert.equal(out.status, 403);
  assert.notDeepEqual(seen(out), seen(await ask({ method: 'tools/call', url }, 'readonly__nothing', {})));
});

test('a tool that changed after its review becomes indistinguishable from one that never was', async () => {
  const params = { arguments: { sql: 'SELECT 1' } };
  const before = await ask({ method: 'tools/call', url: at() }, 'readonly__postgres_query', params);
  assert.ok(before.json.result, before.text);
  writeFileSync(quickstart.change, '');
  const until = Date.now() + 10_000;
  while ((await ask({ method: 'tools/call', url: at() }, 'readonly__postgres_query', params)).json.result) {
    assert.ok(Date.now() < until, 'the changed tool is still served');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  for (const server of [undefined, 'internal-readonly']) {
    await indistinguishable({
      method: 'tools/call',
      url: at(server),
      hidden: server ? 'postgres_query' : 'readonly__postgres_query',
      nonexistent: ['readonly__postgres_querz', 'postgres_querz'],
      params: [params, ...TOOL_PARAMS],
    });
  }
});
