import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ephemeralContract } from './ephemeral-contract.ts';
import { MemoryEphemeral } from './ephemeral-memory.ts';

ephemeralContract('memory', () => new MemoryEphemeral());

const RULE = { limit: 3, windowMs: 16_000, cost: 1 };
const BACKOFF = { freeFailures: 2, baseMs: 1_000, capMs: 60_000, forgetMs: 60_000 };

test('answers are plain values, never promises', () => {
  const ephemeral = new MemoryEphemeral();
  assert.equal(ephemeral.take('t', 'k', RULE, 0).accepted, true);
  assert.equal(ephemeral.once('t', 'k', 1, 0), 'stored');
  assert.equal(ephemeral.failed('t', 'k', BACKOFF, 0).failures, 1);
});

test('a full table of windows refuses strangers and resets nobody', () => {
  const ephemeral = new MemoryEphemeral({ maxKeys: 100 });
  for (let i = 0; i < 3; i++) ephemeral.take('t', 'attacker', RULE, 0);
  for (let i = 0; i < 10_000; i++) ephemeral.take('t', `flood ${i}`, RULE, 1 + i / 100);
  assert.ok(ephemeral.size <= 100);
  assert.equal(ephemeral.take('t', 'attacker', RULE, 200).accepted, false);
  assert.equal(ephemeral.take('t', 'stranger', RULE, 200).accepted, false);
  assert.equal(ephemeral.take('t', 'stranger', RULE, 18_000).accepted, true, 'room again when windows are over');
});

test('a full replay memory says so instead of forgetting', () => {
  const ephemeral = new MemoryEphemeral({ maxKeys: 50 });
  for (let i = 0; i < 50; i++) assert.equal(ephemeral.once('n', String(i), 1_000, 0), 'stored');
  assert.equal(ephemeral.once('n', 'new', 1_000, 1), 'full');
  assert.equal(ephemeral.once('n', '0', 1_000, 1), 'exists');
  assert.equal(ephemeral.once('n', 'new', 1_000, 1_000), 'stored');
});

test('flooding the back-off table never shortens the wait of somebody who has to wait', () => {
  const ephemeral = new MemoryEphemeral({ maxKeys: 100 });
  for (let i = 0; i < 12; i++) ephemeral.failed('b', 'attacker', BACKOFF, 0);
  const before = ephemeral.backoff('b', 'attacker', BACKOFF, 10).waitMs;
  for (let round = 0; round < 5; round++)
    for (let i = 0; i < 2_000; i++) ephemeral.failed('b', `flood ${i}`, BACKOFF, 10);
  assert.equal(ephemeral.backoff('b', 'attacker', BACKOFF, 10).waitMs, before);
  assert.ok(ephemeral.size <= 100);
});

test('when every remembered streak makes somebody wait, further strangers share one streak until room is made', () => {
  const ephemeral = new MemoryEphemeral({ maxKeys: 10 });
  for (let i = 0; i < 10; i++) for (let n = 0; n < 3; n++) ephemeral.failed('b', `bad ${i}`, BACKOFF, 0);
  assert.equal(ephemeral.backoff('b', 'stranger', BACKOFF, 0).waitMs, 0);
  for (let i = 0; i < 3; i++) ephemeral.failed('b', `more ${i}`, BACKOFF, 0);
  assert.equal(ephemeral.backoff('b', 'stranger', BACKOFF, 0).waitMs, 1_000);
  ephemeral.failed('b', 'later', BACKOFF, 60_000);
  assert.equal(ephemeral.backoff('b', 'stranger', BACKOFF, 60_000).waitMs, 0);
});

test('windows that are over are let go without being asked for', () => {
  const ephemeral = new MemoryEphemeral({ maxKeys: 100_000 });
  for (let i = 0; i < 20_000; i++) ephemeral.take('t', `k${i}`, { limit: 1, windowMs: 160, cost: 1 }, i);
  assert.ok(ephemeral.size < 1_000, `${ephemeral.size} kept`);
});
