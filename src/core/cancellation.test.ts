import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cancellation } from './cancellation.ts';

test('everybody who listens hears once that a call is cancelled, and nobody who has left', () => {
  const call = new Cancellation();
  const heard: string[] = [];
  const listeners = ['a', 'b', 'c', 'd'].map((name) => () => void heard.push(name));
  for (const listener of [...listeners, listeners[0]!, listeners[2]!]) call.addEventListener('abort', listener);
  call.removeEventListener('abort', listeners[1]!);
  assert.equal(call.aborted, false);
  call.abort();
  call.abort();
  assert.deepEqual([call.aborted, heard], [true, ['a', 'c', 'd']]);
});

test('the place of a listener that has left is taken by the next', () => {
  const call = new Cancellation();
  const heard: string[] = [];
  const [a, b] = ['a', 'b'].map((name) => () => void heard.push(name)) as [() => void, () => void];
  call.addEventListener('abort', a);
  call.removeEventListener('abort', a);
  call.addEventListener('abort', b);
  call.abort();
  // As a real signal: whoever comes too late is not told, and has to look.
  call.addEventListener('abort', a);
  assert.deepEqual(heard, ['b']);
});

test('a listener may leave, and cancel again, while it is told', () => {
  const call = new Cancellation();
  let told = 0;
  const listener = () => {
    told++;
    call.removeEventListener('abort', listener);
    call.abort();
  };
  call.addEventListener('abort', listener);
  call.abort();
  assert.equal(told, 1);
});

test('one that throws keeps nobody from hearing it, and who was taken away meanwhile does not hear it', () => {
  const call = new Cancellation();
  const heard: string[] = [];
  const gone = () => heard.push('gone');
  for (const name of ['first', 'second']) {
    call.addEventListener('abort', () => {
      heard.push(name);
      call.removeEventListener('abort', gone);
      throw new Error(name);
    });
  }
  call.addEventListener('abort', gone);
  call.addEventListener('abort', () => heard.push('last'));
  assert.throws(() => call.abort());
  assert.deepEqual(heard, ['first', 'second', 'last']);
});
