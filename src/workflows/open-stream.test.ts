import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Target } from '../core/call.ts';
import { Cancellation } from '../core/cancellation.ts';
import { silentLog } from '../core/log.ts';
import { ListChanges } from './list-changes.ts';
import { OpenStream, type StreamCall } from './open-stream.ts';

/** An upstream that answers a subscription when it is told to. */
function stream() {
  const asked: { readonly resources: readonly string[]; answer(): void; ended: boolean }[] = [];
  const call = { signal: new Cancellation(), principal: { expiresAt: 60_000 }, events: () => {} };
  const opened = new OpenStream(
    call as unknown as StreamCall,
    {
      changes: new ListChanges(),
      judge: (_call, message) => message,
      judgeList: (_call, message) => message,
      targetOf: (_call, uri) => ({ server: uri.split(':')[0] }) as Target,
      allows: () => null,
      outline: () => new Map(),
      servers: () => [],
      subscribe: (_server, { resources }) =>
        new Promise((resolve) => {
          const one = {
            resources,
            ended: false,
            answer: () =>
              resolve({
                honoured: resources,
                end: () => {
                  one.ended = true;
                },
              }),
          };
          asked.push(one);
        }),
      hold: () => ({ release: () => {} }),
      record: async () => {},
      clock: () => ({ utc: 1_000, mono: 0 }),
      log: silentLog,
    },
    { lists: [], meta: '' },
  );
  return { opened, asked };
}

test('a resource that is subscribed to twice at once is asked for once, both are told when it is heard, and it ends with the stream', async () => {
  const { opened, asked } = stream();
  let told = 0;
  const both = [opened.subscribe(['shop://a']), opened.subscribe(['shop://a', 'shop://b'])];
  for (const one of both) void one.then(() => told++);
  assert.deepEqual(
    asked.map(({ resources }) => resources),
    [['shop://a'], ['shop://b']],
  );
  asked[1]!.answer();
  await pause(2);
  assert.equal(told, 0, 'the upstream has not yet heard of what both wait for');
  asked[0]!.answer();
  await Promise.all(both);
  opened.end();
  assert.deepEqual(
    asked.map(({ ended }) => ended),
    [true, true],
  );
});

test('who unsubscribes while the upstream still thinks about it is unsubscribed, and may subscribe anew', async () => {
  const { opened, asked } = stream();
  const first = opened.subscribe(['shop://a', 'shop://b']);
  opened.unsubscribe('shop://a');
  asked[0]!.answer();
  assert.deepEqual(await first, ['shop://b']);
  assert.equal(asked[0]!.ended, false, 'the other one is still heard of');
  const second = opened.subscribe(['shop://c']);
  opened.unsubscribe('shop://c');
  const third = opened.subscribe(['shop://c']);
  asked[1]!.answer();
  assert.deepEqual(await second, []);
  assert.equal(asked[1]!.ended, true);
  asked[2]!.answer();
  assert.deepEqual(await third, ['shop://c']);
  assert.equal(asked[2]!.ended, false);
  opened.unsubscribe('shop://b');
  opened.unsubscribe('shop://c');
  assert.deepEqual(
    asked.map(({ ended }) => ended),
    [true, true, true],
  );
  opened.end();
});

test('what an upstream grants to a stream that has ended meanwhile is ended, and an ended stream asks for nothing', async () => {
  const { opened, asked } = stream();
  const pending = [opened.subscribe(['shop://a']), opened.subscribe(['bank://a'])];
  opened.end();
  for (const { answer } of asked) answer();
  assert.deepEqual(await Promise.all(pending), [[], []]);
  assert.deepEqual(
    asked.map(({ ended }) => ended),
    [true, true],
  );
  assert.deepEqual(await opened.subscribe(['shop://b']), []);
  assert.equal(asked.length, 2);
});
