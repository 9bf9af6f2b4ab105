import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Client, Principal } from '../core/call.ts';
import { TASKS_EXTENSION } from '../core/mcp/tasks.ts';
import { ModernUpstream } from './modern.ts';
import { type Incoming, type Outgoing, type Wire, WireFault } from './wire.ts';

/** A server that tells of resources and tasks, over a wire that keeps every stream open until it is not wanted. */
function upstream({ connections, lists = false }: { connections?: number; lists?: boolean } = {}) {
  const open = new Set<Outgoing>();
  const down = { now: false };
  const wire: Wire = {
    ...(connections === undefined ? {} : { connections }),
    exchange: (request) =>
      new Promise<Incoming | WireFault>((resolve, reject) => {
        if (down.now) return reject(new Error('our own credential cannot be read'));
        open.add(request);
        request.signal?.addEventListener('abort', () => {
          open.delete(request);
          resolve(new WireFault('cancelled', true, ''));
        });
      }),
    notify: async () => true,
    hear: null,
    forget: null,
    close: async () => {},
  };
  const capabilities = {
    tools: { listChanged: lists },
    resources: { subscribe: true },
    extensions: { [TASKS_EXTENSION]: {} },
  };
  let id = 1;
  const modern = new ModernUpstream({
    session: { era: 'modern', wire, sessionId: null, revision: '2026-07-28', capabilities, identity: '' },
    extensions: [],
    nextId: () => id++,
    mono: () => 0,
    onListChanged: () => {},
    isAsPinned: async () => true,
  });
  const follow = (key: string, over = new AbortController()) =>
    modern.follow(
      { principal: { key } as Principal, resources: ['a:1'] },
      over.signal,
      () => {},
      () => {},
    );
  const client = {
    revision: '2026-07-28',
    capabilities: { extensions: { [TASKS_EXTENSION]: {} } },
  } as unknown as Client;
  const followTasks = (key: string) =>
    modern.followTasks(
      { principal: { key } as Principal, client, tasks: ['t'] },
      new AbortController().signal,
      () => {},
      () => {},
    );
  return { modern, open, down, follow, followTasks };
}

test('one principal listens on a quarter of the streams there may be, and leaves the others to everybody else', async () => {
  const { modern, open, follow, followTasks } = upstream();
  const over = new AbortController();
  void follow('mallory', over);
  for (let i = 1; i < 40; i++) void (i % 2 ? followTasks('mallory') : follow('mallory'));
  assert.equal(open.size, 16);
  assert.equal(await follow('mallory'), false);
  void follow('alice');
  assert.equal(open.size, 17);
  over.abort();
  await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  void follow('mallory');
  assert.equal(open.size, 17, 'what has ended makes room');
  modern.over();
});

test('streams take half of the connections, that for lists included, and the others stay for calls', () => {
  for (const [connections, most] of [
    [64, 32],
    [8, 4],
    [2, 1],
    [1, 0],
  ] as const) {
    const { modern, open, follow } = upstream({ connections, lists: true });
    for (let i = 0; i < 80; i++) void follow(`principal ${i}`);
    assert.equal(open.size, most, `${connections} connections`);
    modern.over();
  }
});

test('a stream that could not even be asked for leaves its place', async () => {
  const { modern, open, down, follow, followTasks } = upstream();
  down.now = true;
  for (let i = 0; i < 70; i++) {
    await assert.rejects(follow('alice'));
    await assert.rejects(followTasks('alice'));
  }
  down.now = false;
  void follow('alice');
  void followTasks('alice');
  assert.equal(open.size, 2);
  modern.over();
});
