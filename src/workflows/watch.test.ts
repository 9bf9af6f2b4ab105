import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
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

test('who waits for a look at all servers waits for a slow one only so long; it is compared when it has answered', async () => {
  const seen: string[] = [];
  const slow = Promise.withResolvers<LiveDefinitions>();
  const watch = new ServerWatch({
    servers: new Map([
      ['quick', { introspect: async () => nothing }],
      ['drip', { introspect: () => slow.promise }],
    ]),
    registry: {
      forget: () => {},
      observe(server) {
        seen.push(server);
        return [];
      },
    },
    clock,
    log: silentLog,
    patienceMs: 20,
  });
  watches.push(watch);
  const tooLong = sleep(2_000, 'too long', { ref: true });
  assert.equal(await Promise.race([watch.start(60), tooLong]), undefined, 'a start that waits for a stranger');
  assert.deepEqual(seen, ['quick']);
  assert.equal(await Promise.race([watch.lookAtAll(), tooLong]), undefined, 'and so does a reload');
  slow.resolve(nothing);
  await sleep(1);
  assert.ok(seen.includes('drip'));
});

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

test('a server that adds tools often is compared at once each time; one that cries for ever at growing intervals', async () => {
  const { registry, told } = noting();
  const watch = watching(async () => nothing, registry);
  const compared = async (n: number, withinMs: number) => {
    for (const until = Date.now() + withinMs; Date.now() < until; await sleep(2))
      if (told.filter((one) => one === 'observe').length >= n) return true;
    return false;
  };
  await watch.look('shop');
  for (let change = 1; change <= 20; change++) {
    watch.lost('shop');
    assert.equal(told.at(-1), 'forget', 'nothing is served meanwhile');
    assert.ok(await compared(change + 1, 300), `change ${change}`);
  }
  for (let change = 21; change <= 22; change++) {
    watch.lost('shop');
    await compared(change + 1, 300);
  }
  assert.ok(!(await compared(23, 100)), 'it waits now');
});

test('a server that cannot be asked is asked at growing intervals, whatever it says', async () => {
  const { registry } = noting();
  let looks = 0;
  const watch = watching(async () => {
    looks++;
    throw new Error('gone');
  }, registry);
  for (let i = 0; i < 40; i++) {
    watch.lost('shop');
    await sleep(5);
  }
  assert.equal(looks, 1);
});

test('nobody is looked at again once the watch has stopped, also when it stopped during its first look', async () => {
  const { registry } = noting();
  let looks = 0;
  const watch = watching(async () => {
    looks++;
    await sleep(30);
    return nothing;
  }, registry);
  const started = watch.start(0.01);
  watch.stop();
  await started;
  await sleep(80);
  assert.equal(looks, 1);
});
