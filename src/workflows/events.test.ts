import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Call } from '../core/call.ts';
import { silentLog } from '../core/log.ts';
import { eventEmitter } from './events.ts';

const clock = () => ({ utc: 0, mono: 0 });

test('dropped notifications are noted once per call, however many there are', () => {
  const lines: string[] = [];
  const emit = eventEmitter([() => 'limits.exceeded'], clock, { ...silentLog, info: (line) => lines.push(line) });
  const call = () =>
    ({ id: 'c', signal: new AbortController().signal, events: () => assert.fail('passed') }) as unknown as Call;
  const [one, two] = [call(), call()];
  for (let i = 0; i < 1000; i++) emit(one, Buffer.from('{}'));
  emit(two, Buffer.from('{}'));
  assert.equal(lines.length, 2);
});
