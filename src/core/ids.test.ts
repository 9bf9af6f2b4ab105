import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handle, uuidv7 } from './ids.ts';

test('an id is a UUIDv7 of its moment, and no two are alike', () => {
  const seen = new Set<string>();
  for (let i = 0; i < 2_000; i++) {
    const id = uuidv7(1_790_000_000_123 + i);
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16), 1_790_000_000_123 + i);
    seen.add(id.slice(14));
  }
  assert.equal(seen.size, 2_000);
});

test('a handle is 128 bits in 22 characters', () => {
  assert.match(handle(), /^[A-Za-z0-9_-]{22}$/);
  assert.notEqual(handle(), handle());
});
