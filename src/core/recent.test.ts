import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Recent, RecentPairs } from './recent.ts';

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

test('pairs: no two keys are taken for one, and what is asked for is kept', () => {
  const recent = new RecentPairs<string>(200);
  const keys: (readonly [string, string | number])[] = [
    ['a', 'b c'],
    ['a b', 'c'],
    ['', 'a'],
    ['a', ''],
    ['a', 1],
    ['a', '1'],
    ['__proto__', 'constructor'],
  ];
  for (const [first, second] of keys) assert.equal(recent.get(first, second), undefined);
  keys.forEach(([first, second], index) => {
    recent.set(first, second, `value ${index}`);
  });
  for (let i = 0; i < 1000; i++) {
    recent.set(`other ${i % 7}`, i, 'other');
    keys.forEach(([first, second], index) => {
      assert.equal(recent.get(first, second), `value ${index}`);
    });
  }
  recent.clear();
  for (const [first, second] of keys) assert.equal(recent.get(first, second), undefined);
});

test('pairs: never more than the bound are held, whether they share a part or not', () => {
  for (const parts of [1, 3, 1000]) {
    const recent = new RecentPairs<number>(10);
    for (let i = 0; i < 1000; i++) recent.set(`part ${i % parts}`, i, i);
    const held = Array.from({ length: 1000 }, (_, i) => i).filter((i) => recent.get(`part ${i % parts}`, i) === i);
    assert.ok(held.length <= 10 && held.includes(999), `${held.length} of ${parts}`);
    assert.ok(recent.size <= 10);
  }
});

test('pairs: setting one again makes it no second entry', () => {
  const recent = new RecentPairs<number>(4);
  recent.set('a', 1, 1);
  for (let i = 0; i < 10; i++) recent.set('b', 1, i);
  assert.equal(recent.get('a', 1), 1);
  assert.equal(recent.get('b', 1), 9);
});

test('pairs: looking does not make younger, and what was taken out is gone and makes room', () => {
  const recent = new RecentPairs<number>(4);
  recent.set('a', 1, 1);
  recent.set('b', 1, 2);
  recent.delete('b', 1);
  recent.delete('b', 2);
  assert.equal(recent.size, 1);
  recent.set('c', 1, 3);
  assert.deepEqual([recent.peek('a', 1), recent.peek('b', 1), recent.peek('c', 1)], [1, undefined, 3]);
  recent.set('d', 1, 4);
  assert.equal(recent.peek('a', 1), 1);
  recent.delete('a', 1);
  assert.equal(recent.get('a', 1), undefined);
  assert.equal(recent.size, 2);
});
