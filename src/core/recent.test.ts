import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Recent } from './recent.ts';

test('it never holds more than its bound, and keeps what is asked for', () => {
  const recent = new Recent<number>(10);
  recent.set('kept', 1);
  for (let i = 0; i < 1000; i++) {
    recent.set(`other ${i}`, i);
    assert.equal(recent.get('kept'), 1);
    assert.ok(recent.size <= 10);
  }
  assert.equal(recent.get('other 3'), undefined);
  assert.equal(recent.get('other 999'), 999);
});

test('looking does not make younger, and what was taken out is gone', () => {
  const recent = new Recent<number>(4);
  recent.set('a', 1);
  for (let i = 0; i < 3; i++) {
    assert.equal(recent.peek('a'), 1);
    recent.set(`other ${i}`, i);
  }
  recent.set('b', 2);
  recent.set('c', 3);
  assert.equal(recent.peek('a'), undefined);
  recent.delete('b');
  assert.equal(recent.get('b'), undefined);
});

test('inherited names are not there until they are set', () => {
  const recent = new Recent<number>(4);
  for (const name of ['constructor', '__proto__', 'toString']) assert.equal(recent.get(name), undefined);
});
