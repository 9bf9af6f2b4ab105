import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { silentLog } from '../core/log.ts';
import type { LiveDefinitions } from '../upstream/request.ts';
import { ServerWatch, type WatchParts } from './watch.ts';

const clock = () => ({ utc: Date.now(), mono: performance.now() });
const nothing: LiveDefinitions = { tools: [], prompts: [], resources: [], templates: [] };
const watches: ServerWatch[] = [];
after(() => {
  for (const watch of watches) watch.stop();
});

/** A registry that notes what it is told. */
function noting(): { told: string[]; registry: WatchParts['registry'] } {
  const told: string[] = [];
  const registry: WatchParts['registry'] = {
    forget: () => void told.push('forget'),
    observe() {
      told.push('observe');
      return [];
    },
  };
  return { told, registry };
}

function watching(introspect: () => Promise<LiveDefinitions>, registry: WatchParts['registry']): ServerWatch {
  const watch = new ServerWatch({ servers: new Map([['shop', { introspect }]]), registry, clock, log: silentLog });
  watches.push(watch);
  return watch;
}

test('100,000 notices of change in a row set one alarm, not 100,000', (t) => {
  const { registry } = noting();
  const watch = watching(async () => nothing, registry);
  const alarms = t.mock.method(globalThis, 'setTimeout');
  for (let i = 0; i < 100_000; i++) watch.lost('shop');
  assert.equal(alarms.mock.callCount(), 1);
});

test('what a look saw is not believed when the server changed while it was looked at; it is looked at again', async () => {
  const { registry, told } = noting();
  let looks = 0;
  const watch = watching(async () => {
    await Promise.resolve();
    if (++looks === 1) watch.lost('shop');
    return nothing;
  }, registry);
  await watch.look('shop');
  assert.deepEqual(told, ['forget', 'observe']);
  assert.equal(looks, 2);
});

test('a server that changes at every look is looked at three times, then after a wait, and never served', async () => {
  const { registry, told } = noting();
  let looks = 0;
  const watch = watching(async () => {
    await Promise.resolve();
    looks++;
    watch.lost('shop');
    return nothing;
  }, registry);
  await watch.look('shop');
  assert.equal(looks, 3);
  assert.ok(!told.includes('observe'));
});
