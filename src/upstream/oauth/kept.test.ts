import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openMemoryStore } from '../../core/store/memory.ts';
import { openSqliteStore } from '../../core/store/sqlite.ts';
import { sealedCredentials } from './kept.ts';

const key = () => ({ kid: 'k', secret: randomBytes(32) });
const utc = () => 1_000;

test('a credential comes back, also after the key was rotated; under other keys it is not there', async () => {
  const store = openMemoryStore();
  const [old, current] = [key(), key()];
  await sealedCredentials(store, [old], 'shop', utc).put('held', 'value');
  assert.equal(await sealedCredentials(store, [current, old], 'shop', utc).get('held'), 'value');
  assert.equal(await sealedCredentials(store, [current], 'shop', utc).get('held'), null);
});

test('a value moved to another upstream or another key of the store does not open', async () => {
  const store = openMemoryStore();
  const keys = [key()] as const;
  await sealedCredentials(store, keys, 'shop', utc).put('held', 'value');
  const [row] = await store.list('upstream_credentials', { prefix: '', limit: 9, now: 1_000 });
  const options = { expect: 0, expiresAt: null, now: 1_000 };
  await store.set('upstream_credentials', 'system/crm/held', row!.value, options);
  assert.equal(await sealedCredentials(store, keys, 'crm', utc).get('held'), null);
});

test('two that write at the same time both end, and the value is one of theirs; null takes it away', async () => {
  const store = openMemoryStore();
  const kept = sealedCredentials(store, [key()], 'shop', utc);
  await Promise.all(['a', 'b', 'c'].map((value) => kept.put('held', value)));
  assert.match((await kept.get('held'))!, /^[abc]$/);
  await kept.put('held', null);
  await kept.put('held', null);
  assert.equal(await kept.get('held'), null);
});

test('no file of the store holds a token in clear', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-kept-'));
  try {
    const store = openSqliteStore({ path: join(folder, 'store', 'gatewrit.db') });
    await sealedCredentials(store, [key()], 'shop', utc).put('held', '{"access":"C4NARY-token"}');
    const files = readdirSync(join(folder, 'store')).map((file) => readFileSync(join(folder, 'store', file), 'latin1'));
    await store.close();
    assert.ok(files.some((file) => file.includes('system/shop/held')));
    assert.ok(files.every((file) => !file.includes('C4NARY')));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
