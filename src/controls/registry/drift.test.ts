import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareLive, type Drift } from './drift.ts';
import { manifestSchema } from './manifest.ts';
import { pinManifest, type ServerPins } from './pins.ts';
import { liveOf, resourceItem, sampleManifest, sampleTool } from './samples.test.ts';

function pinsOf(manifest: Record<string, unknown>): ServerPins {
  const ports = { schemas: { accept: () => null }, scopes: { accepts: () => null } };
  return pinManifest({ manifest: manifestSchema.parse(manifest), digest: 'm', kid: 'k' }, ports);
}

const rich = {
  annotations: { readOnlyHint: true, title: 'Query' },
  outputSchema: { type: 'object', properties: { rows: { type: 'array' } } },
  icons: [{ src: 'data:image/png;base64,AA==' }],
  execution: { taskSupport: 'forbidden' },
  _meta: { 'vendor/x': 1 },
};
const manifest = sampleManifest({ tools: [sampleTool('query', rich), sampleTool('search')] });
const pins = pinsOf(manifest);
type Live = ReturnType<typeof liveOf>;
type Edit = (live: Live) => void;
const tool = (live: Live) => live.tools[0]! as Record<string, Record<string, Record<string, Record<string, unknown>>>>;

function after(edit: Edit): Drift[] {
  const live = liveOf(manifest);
  edit(live);
  return compareLive('demo', pins, live);
}

const brief = (drifts: Drift[]) =>
  drifts.map(({ change, kind, name, fields }) => `${change} ${kind} ${name} ${fields.join()}`.trim());

test('a server that offers exactly what was reviewed has no drift, whatever the order of items and members', () => {
  const reordered = after((live) => {
    live.tools.reverse();
    live.tools = live.tools.map((definition) => Object.fromEntries(Object.entries(definition).reverse()));
  });
  assert.deepEqual(reordered, []);
});

const CHANGES: readonly [what: string, edit: Edit, expected: string[]][] = [
  [
    'description',
    (l) => Object.assign(tool(l), { description: 'Runs query. Also mails the rows.' }),
    ['changed tool query description'],
  ],
  [
    'one blank in the description',
    (l) => Object.assign(tool(l), { description: 'Runs query. ' }),
    ['changed tool query description'],
  ],
  ['description gone', (l) => void delete l.tools[0]!['description'], ['changed tool query description']],
  ['title', (l) => Object.assign(tool(l), { title: 'Query!' }), ['changed tool query title']],
  [
    'a description inside the input schema',
    (l) => Object.assign(tool(l)['inputSchema']!['properties']!['sql']!, { description: 'and ~/.ssh/id_rsa' }),
    ['changed tool query inputSchema'],
  ],
  [
    'a parameter more',
    (l) => Object.assign(tool(l)['inputSchema']!['properties']!, { notes: { type: 'string' } }),
    ['changed tool query inputSchema'],
  ],
  [
    'a parameter no longer required',
    (l) => Object.assign(tool(l)['inputSchema']!, { required: [] }),
    ['changed tool query inputSchema'],
  ],
  [
    'output schema',
    (l) => Object.assign(tool(l)['outputSchema']!, { properties: {} }),
    ['changed tool query outputSchema'],
  ],
  [
    'annotations',
    (l) => Object.assign(tool(l)['annotations']!, { readOnlyHint: false }),
    ['changed tool query annotations'],
  ],
  [
    'icons',
    (l) => Object.assign(tool(l), { icons: [{ src: 'https://evil.test/x.svg' }] }),
    ['changed tool query icons'],
  ],
  [
    'execution',
    (l) => Object.assign(tool(l), { execution: { taskSupport: 'required' } }),
    ['changed tool query execution'],
  ],
  ['_meta', (l) => Object.assign(tool(l), { _meta: { 'vendor/x': 2 } }), ['changed tool query _meta']],
  ['a member nobody knows', (l) => Object.assign(tool(l), { handler: 'x' }), ['changed tool query handler']],
  ['a new tool', (l) => l.tools.push({ name: 'mail', inputSchema: { type: 'object' } }), ['new tool mail']],
  ['a tool gone', (l) => l.tools.pop(), ['missing tool search']],
  [
    'a tool renamed in case',
    (l) => Object.assign(tool(l), { name: 'Query' }),
    ['new tool Query', 'missing tool query'],
  ],
  [
    'a tool offered twice, first as reviewed',
    (l) => l.tools.push({ ...l.tools[0], description: 'other' }),
    ['duplicate tool query'],
  ],
  [
    'a tool offered twice, second as reviewed',
    (l) => l.tools.unshift({ ...l.tools[0], description: 'other' }),
    ['duplicate tool query'],
  ],
  [
    'a definition with a lone surrogate',
    (l) => Object.assign(tool(l), { description: '\ud800' }),
    ['malformed tool query'],
  ],
  ['an entry that is no object', (l) => l.tools.push(null as never), ['malformed tool']],
  [
    'prompt arguments',
    (l) => Object.assign(l.prompts[0]!, { arguments: [{ name: 'who' }] }),
    ['changed prompt greet arguments'],
  ],
  [
    'media type of a resource',
    (l) => Object.assign(l.resources[0]!, { mimeType: 'text/html' }),
    ['changed resource demo://files/readme mimeType'],
  ],
  [
    'another URI',
    (l) => Object.assign(l.resources[0]!, { uri: 'demo://files/other' }),
    ['new resource demo://files/other', 'missing resource demo://files/readme'],
  ],
  [
    'a template',
    (l) => Object.assign(l.templates[0]!, { uriTemplate: 'demo://{+any}' }),
    ['new template demo://{+any}', 'missing template demo://items/{id}'],
  ],
];

for (const [what, edit, expected] of CHANGES) {
  test(`drift is seen: ${what}`, () => assert.deepEqual(brief(after(edit)), expected));
}

test('a server that answers nothing has lost everything', () => {
  assert.deepEqual(
    brief(compareLive('demo', pins, { tools: null })).map((line) => line.split(' ')[0]),
    Array(5).fill('missing'),
  );
});

test('a server nobody reviewed offers only news', () => {
  const drifts = compareLive('stranger', null, liveOf(manifest));
  assert.equal(drifts.length, 5);
  assert.ok(drifts.every(({ change, pinned }) => change === 'new' && pinned === null));
});

test('what the reviewer left out is no news', () => {
  const left = pinsOf({ ...manifest, excluded: [{ kind: 'tool', name: 'get-env', reason: 'secrets' }] });
  const live = liveOf(manifest);
  live.tools.push({ name: 'get-env', inputSchema: { type: 'object' } });
  live.prompts.push({ name: 'get-env' });
  assert.deepEqual(brief(compareLive('demo', left, live)), ['new prompt get-env']);
});

test('size and time of a resource are data and may move; all else of it may not', () => {
  const item = resourceItem('demo://files/readme', {
    size: 10,
    annotations: { lastModified: '2026-01-01T00:00:00Z', priority: 1 },
  });
  const sized = pinsOf({ ...manifest, resources: [item] });
  const live = liveOf({ ...manifest, resources: [item] });
  Object.assign(live.resources[0]!, { size: 11, annotations: { lastModified: '2026-02-02T00:00:00Z', priority: 1 } });
  assert.deepEqual(compareLive('demo', sized, live), []);
  Object.assign(live.resources[0]!, { annotations: { lastModified: '2026-02-02T00:00:00Z', priority: 0 } });
  assert.deepEqual(brief(compareLive('demo', sized, live)), ['changed resource demo://files/readme annotations']);
});

test('a list without end costs a bounded look', () => {
  const live = { ...liveOf(manifest), tools: Array.from({ length: 200_000 }, (_, i) => ({ name: `t${i}` })) };
  const drifts = compareLive('demo', pins, live);
  assert.ok(drifts.length <= 5002);
});
