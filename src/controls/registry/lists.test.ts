import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Client, InMemoryTransport, type JSONRPCMessage } from '@modelcontextprotocol/client';
import {
  DiscoverResultSchema,
  ListPromptsResultSchema,
  ListResourcesResultSchema,
  ListResourceTemplatesResultSchema,
  ListToolsResultSchema,
} from '@modelcontextprotocol/core';
import type { Target } from '../../core/call.ts';
import { Refusal } from '../../core/stage.ts';
import type { ListMethod } from './lists.ts';
import {
  ALL,
  callOf,
  DEMO,
  liveOf,
  NOW,
  principal,
  sampleManifest,
  sampleRegistry,
  sampleTool,
} from './samples.test.ts';

type Registry = Awaited<ReturnType<typeof sampleRegistry>>['registry'];
type Page = Record<string, unknown> & { nextCursor?: string };
const many = sampleManifest({
  tools: Array.from({ length: 25 }, (_, i) => sampleTool(`t${String((i * 7) % 25).padStart(2, '0')}`)),
});

interface Ask {
  readonly method?: ListMethod;
  readonly endpoint?: typeof ALL;
  readonly who?: ReturnType<typeof principal>;
  readonly visible?: (target: Target) => boolean;
  readonly cursor?: unknown;
}

function ask(
  registry: Registry,
  { method = 'tools/list', endpoint = ALL, who = principal(), visible = () => true, cursor }: Ask = {},
): Page | Refusal {
  const page = registry.list(method, { endpoint, principal: who, visible, now: NOW, cursor });
  return page instanceof Refusal ? page : (JSON.parse(page) as Page);
}

function good(page: Page | Refusal): Page {
  assert.ok(!(page instanceof Refusal), 'refused');
  return page;
}
const namesOf = (page: Page) => (page['tools'] as { name: string }[]).map((tool) => tool.name);

async function serving(manifest = sampleManifest(), settings: Record<string, unknown> = {}): Promise<Registry> {
  const { registry } = await sampleRegistry([manifest], { settings, info: { name: 'gatewrit', version: '0.1.0' } });
  registry.observe('demo', liveOf(manifest));
  return registry;
}

test('lists and discovery are valid results by the schemas of the official SDK', async () => {
  const registry = await serving();
  const schemas = [
    ['tools/list', ListToolsResultSchema],
    ['prompts/list', ListPromptsResultSchema],
    ['resources/list', ListResourcesResultSchema],
    ['resources/templates/list', ListResourceTemplatesResultSchema],
  ] as const;
  for (const endpoint of [ALL, DEMO]) {
    for (const [method, schema] of schemas) {
      const page = good(ask(registry, { method, endpoint }));
      schema.parse(page);
      assert.deepEqual(
        [page['resultType'], page['cacheScope'], page['ttlMs']],
        ['complete', 'private', 30_000],
        method,
      );
      assert.ok(
        Object.values(page).some((value) => Array.isArray(value) && value.length > 0),
        `${method} is empty`,
      );
    }
    const request = { endpoint, principal: principal(), visible: () => true, now: NOW };
    DiscoverResultSchema.parse(JSON.parse(registry.discover(request)));
  }
});

test('the official client of the 2026-07-28 revision takes our discovery and lists as they are', async () => {
  const registry = await serving(many, { pageSize: 10 });
  const [near, far] = InMemoryTransport.createLinkedPair();
  const stage = registry.lists(() => true);
  far.onmessage = (message) => {
    if (!('method' in message) || !('id' in message)) return;
    const left = stage.run(
      callOf(message.method, '', { params: (message.params ?? {}) as Record<string, unknown> }),
      NOW,
    );
    assert.ok(!(left instanceof Promise) && 'bytes' in left);
    void far.send({
      jsonrpc: '2.0',
      id: message.id,
      result: JSON.parse(Buffer.from(left.bytes).toString()),
    } as JSONRPCMessage);
  };
  await far.start();
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  await client.connect(near);
  assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
  assert.deepEqual(client.getServerCapabilities(), { tools: {}, prompts: {}, resources: {} });
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.listTools(cursor === undefined ? {} : { cursor });
    seen.push(...page.tools.map((tool) => tool.name));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  assert.deepEqual([...new Set(seen)].length, 25);
  assert.equal((await client.listPrompts()).prompts[0]?.name, 'demo__greet');
  assert.equal((await client.listResourceTemplates()).resourceTemplates.length, 1);
  await client.close();
});

test('on /mcp the name is exposed and the original kept in _meta; every other member is as reviewed, unknown ones too', async () => {
  const manifest = sampleManifest({
    tools: [sampleTool('query', { vendor: { deep: [1, null, 'x'] }, _meta: { 'vendor/ui': 'a' } })],
  });
  const registry = await serving(manifest);
  const definition = liveOf(manifest).tools[0]!;
  const [exposed] = good(ask(registry))['tools'] as object[];
  assert.deepEqual(exposed, {
    ...definition,
    name: 'demo__query',
    _meta: { 'vendor/ui': 'a', 'gatewrit/original': 'demo/query' },
  });
  const [original] = good(ask(registry, { endpoint: DEMO }))['tools'] as object[];
  assert.deepEqual(original, definition);
  const [resource] = good(ask(registry, { method: 'resources/list' }))['resources'] as Record<string, unknown>[];
  assert.deepEqual([resource?.['uri'], resource?.['name']], ['demo://files/readme', 'readme']);
});

test('pages are whole, without gap or repeat, in one order for everybody', async () => {
  const registry = await serving(many, { pageSize: 10 });
  const walk = (who: ReturnType<typeof principal>) => {
    const pages: string[][] = [];
    let cursor: string | undefined;
    do {
      const page = good(ask(registry, { who, cursor }));
      pages.push(namesOf(page));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return pages;
  };
  const pages = walk(principal('alice'));
  assert.deepEqual(
    pages.map((page) => page.length),
    [10, 10, 5],
  );
  assert.deepEqual(pages.flat(), pages.flat().toSorted());
  assert.deepEqual(walk(principal('bob')), pages);
});

test('a page is filled with what is visible; what is hidden leaves neither gap nor cursor', async () => {
  const registry = await serving(many, { pageSize: 10 });
  const visible = (target: Target) => Number(target.name.slice(1)) >= 15;
  const page = good(ask(registry, { visible }));
  assert.equal(namesOf(page).length, 10);
  assert.equal(page.nextCursor, undefined);
});

test('a cursor serves its owner, list and endpoint; for all else it is not valid', async () => {
  const registry = await serving(many, { pageSize: 10 });
  const cursor = good(ask(registry)).nextCursor!;
  assert.equal(namesOf(good(ask(registry, { cursor }))).length, 10);
  const refused: Ask[] = [
    { cursor, who: principal('bob') },
    { cursor, method: 'prompts/list' },
    { cursor, endpoint: DEMO },
    { cursor: '' },
    { cursor: 'demo__t09' },
    { cursor: 7 },
    { cursor: null },
    { cursor: { $ne: '' } },
    { cursor: `${cursor}A` },
    { cursor: cursor.slice(0, -4) },
    { cursor: 'A'.repeat(1_000_000) },
    { cursor: `${cursor.startsWith('A') ? 'B' : 'A'}${cursor.slice(1)}` },
  ];
  for (const one of refused) {
    const page = ask(registry, one);
    assert.ok(page instanceof Refusal, JSON.stringify(one).slice(0, 80));
    assert.equal(page.code, 'validation.cursor');
  }
  assert.doesNotMatch(
    Buffer.from(cursor, 'base64url').toString('latin1'),
    /demo/,
    'it says nothing of where it stands',
  );
});

test('a cursor survives the change of the seal by one key, and no more', async () => {
  const keys = [1, 2, 3].map((n) => ({ kid: `seal-${n}`, secret: randomBytes(32) }));
  const [first, second, third] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]];
  const under = async (...seal: [typeof first, typeof first?]) => {
    const { registry } = await sampleRegistry([many], { seal, settings: { pageSize: 10, unobserved: 'serve' } });
    return registry;
  };
  const cursor = good(ask(await under(first))).nextCursor;
  assert.equal(namesOf(good(ask(await under(second, first), { cursor }))).length, 10);
  assert.ok(ask(await under(third, second), { cursor }) instanceof Refusal);
});

test('a list is fresh for at most a minute and never beyond the life of the token', async () => {
  const registry = await serving(sampleManifest(), { listTtlSeconds: 60 });
  const ttl = (expiresAt: number) => good(ask(registry, { who: principal('alice', { expiresAt }) }))['ttlMs'];
  assert.equal(ttl(NOW.utc + 3_600_000), 60_000);
  assert.equal(ttl(NOW.utc + 5_000.7), 5_000);
  assert.equal(ttl(NOW.utc - 1), 0);
});

test('discovery names only what this caller can use and what is honoured', async () => {
  const registry = await serving(sampleManifest({ instructions: 'Words of the reviewer.' }), {
    instructions: 'Welcome.',
  });
  const discover = (visible: (target: Target) => boolean, endpoint = ALL, who = principal()) =>
    JSON.parse(registry.discover({ endpoint, principal: who, visible, now: NOW })) as Record<string, unknown>;
  assert.deepEqual(
    discover(() => true),
    {
      ...{
        resultType: 'complete',
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: {}, prompts: {}, resources: {} },
      },
      ...{ instructions: 'Welcome.', ttlMs: 30_000, cacheScope: 'private' },
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'gatewrit', version: '0.1.0' } },
    },
  );
  assert.deepEqual(discover((target) => target.kind === 'prompt')['capabilities'], { prompts: {} });
  assert.deepEqual(discover(() => false)['capabilities'], {});
  assert.equal(discover(() => true, DEMO)['instructions'], 'Words of the reviewer.');
  assert.equal(
    discover(() => false, DEMO)['instructions'],
    undefined,
    'who can use nothing of a server hears nothing of it',
  );
  assert.equal(discover(() => true, DEMO, principal('eve', { tenant: 'other' }))['instructions'], undefined);
});

test('listChanged is promised only where it is honoured', async () => {
  const { registry } = await sampleRegistry([sampleManifest()], {
    listChanged: true,
    settings: { unobserved: 'serve' },
  });
  const result = JSON.parse(
    registry.discover({ endpoint: DEMO, principal: principal(), visible: () => true, now: NOW }),
  ) as { capabilities: object };
  assert.deepEqual(result.capabilities, {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { listChanged: true },
  });
});

test('what a server offers beside its definitions is promised to those who can use something of it', async () => {
  const manifest = sampleManifest();
  const capabilities = { completions: {}, logging: {}, resources: { subscribe: true, listChanged: true } };
  const discover = async (live: object, visible: (target: Target) => boolean, listChanged = true) => {
    const { registry } = await sampleRegistry([manifest], { listChanged });
    registry.observe('demo', { ...liveOf(manifest), ...live });
    const result = registry.discover({ endpoint: ALL, principal: principal(), visible, now: NOW });
    return (JSON.parse(result) as { capabilities: Record<string, unknown> }).capabilities;
  };
  const all = await discover({ capabilities }, () => true);
  assert.deepEqual([all['completions'], all['logging']], [{}, {}]);
  assert.deepEqual(all['resources'], { listChanged: true, subscribe: true });
  assert.deepEqual(await discover({ capabilities }, () => false), {});
  const tools = await discover({ capabilities }, (target) => target.kind === 'tool');
  assert.deepEqual(tools, { tools: { listChanged: true }, logging: {} });
  const silent = await discover({ capabilities: { resources: { subscribe: 'yes' } } }, () => true);
  assert.deepEqual(silent['resources'], { listChanged: true });
  assert.deepEqual((await discover({ capabilities }, () => true, false))['resources'], {}, 'what is not honoured');
});

test('an outline changes with what this caller finds of a server, and with nothing else', async () => {
  const changes: string[] = [];
  const manifest = sampleManifest();
  const { registry } = await sampleRegistry([manifest], { onChange: (server) => changes.push(server) });
  const outline = (visible: (target: Target) => boolean = () => true, server = 'demo') =>
    registry.outline({ endpoint: ALL, principal: principal(), visible, now: NOW }, server);
  assert.equal(outline().size, 0, 'not looked at yet');
  registry.observe('demo', liveOf(manifest));
  const before = outline();
  assert.deepEqual([...before.keys()], ['tools', 'prompts', 'resources']);
  assert.equal(outline(() => false).size, 0);
  assert.equal(outline(undefined, 'other').size, 0);
  registry.observe('demo', liveOf(manifest));
  assert.deepEqual(changes, ['demo'], 'a look that finds nothing new changes nothing');
  const drifted = liveOf(manifest);
  drifted.tools[0]!['description'] = 'other';
  registry.observe('demo', drifted);
  const after = outline();
  assert.notEqual(after.get('tools'), before.get('tools'));
  assert.equal(after.get('resources'), before.get('resources'));
  const notTheChanged = (target: Target) => target.name !== drifted.tools[0]!['name'];
  assert.equal(outline(notTheChanged).get('tools'), after.get('tools'), 'who saw it not before sees no change');
  registry.forget('demo');
  assert.deepEqual(changes, ['demo', 'demo', 'demo']);
});

test('the list of a server that does not exist, or of another tenant, is empty and the same', async () => {
  const registry = await serving();
  const nowhere = registry.list('tools/list', {
    endpoint: { ...DEMO, server: 'nowhere' },
    principal: principal(),
    visible: () => true,
    now: NOW,
    cursor: undefined,
  });
  const foreign = registry.list('tools/list', {
    endpoint: DEMO,
    principal: principal('eve', { tenant: 'other' }),
    visible: () => true,
    now: NOW,
    cursor: undefined,
  });
  assert.equal(nowhere, foreign);
});

test('a stage that is given a method which lists nothing is a bug, not an empty list', async () => {
  const registry = await serving();
  assert.throws(() => registry.lists(() => true).run(callOf('tools/call', ''), NOW), { code: 'registry.not_a_list' });
});
