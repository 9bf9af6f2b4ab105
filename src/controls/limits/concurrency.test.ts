import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lease, Running } from './concurrency.ts';

test('never more than the maximum run under one key, and whoever leaves makes room', () => {
  const running = new Running();
  const places = [running.enter('a', 2), running.enter('a', 2)];
  assert.equal(running.enter('a', 2), null);
  assert.ok(running.enter('b', 2));
  assert.equal(running.size, 2);
  places[0]!.leave();
  assert.ok(running.enter('a', 2));
  assert.equal(running.enter('a', 2), null);
  assert.equal(running.enter('c', 0), null);
});

test('a lease is given back once, however often it is asked', () => {
  const [targets, principals] = [new Running(), new Running()];
  const lease = new Lease(targets.enter('t', 2)!, principals.enter('p', 2)!);
  new Lease(targets.enter('t', 2)!, principals.enter('p', 2)!);
  lease.release();
  lease.release();
  assert.ok(targets.enter('t', 2));
  assert.equal(targets.enter('t', 2), null);
  assert.ok(principals.enter('p', 2));
  assert.equal(principals.enter('p', 2), null);
});

test('counts stay right while very many keys come and go', () => {
  const running = new Running();
  const kept = running.enter('kept', 1)!;
  for (let round = 0; round < 3; round++) {
    const places = Array.from({ length: 5_000 }, (_, i) => running.enter(`key ${i}`, 1)!);
    assert.equal(running.size, 5_001);
    for (let i = 0; i < 5_000; i++) assert.equal(running.enter(`key ${i}`, 1), null);
    for (const place of places) place.leave();
    assert.equal(running.size, 1);
    assert.equal(running.enter('kept', 1), null);
  }
  kept.leave();
  assert.equal(running.size, 0);
});
