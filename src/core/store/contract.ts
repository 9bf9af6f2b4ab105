import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Store } from './store.ts';

/** A place that holds rows while stores over it are opened and closed. */
export interface StorePlace {
  /** Opens another handle on the same rows. */
  open(): Promise<Store> | Store;
  /** Takes the place away. */
  remove(): Promise<void> | void;
}

const T = 1_760_000_000_000;
const MINUTE = 60_000;
const text = (value: string) => new TextEncoder().encode(value);
const read = (value: Uint8Array | undefined) => (value === undefined ? null : new TextDecoder().decode(value));

/**
 * What every store driver MUST do (store.ts). A driver's test file calls this with a way to make a fresh place.
 * @param name the driver, as it stands in the titles
 */
export function storeContract(name: string, place: () => Promise<StorePlace> | StorePlace): void {
  const over = (title: string, run: (store: Store, at: StorePlace) => Promise<void>) =>
    test(title, async () => {
      const at = await place();
      const store = await at.open();
      try {
        await run(store, at);
      } finally {
        await store.close();
        await at.remove();
      }
    });
  const stay = { expect: 0, expiresAt: null, now: T };

  describe(`store ${name}`, () => {
    over('gives back what was set, and nothing for what was not', async (store) => {
      assert.equal(await store.set('one', 'acme/a', text('x'), stay), 1);
      const row = await store.get('one', 'acme/a', T);
      assert.equal(read(row?.value), 'x');
      assert.deepEqual([row?.version, row?.expiresAt], [1, null]);
      assert.equal(await store.get('one', 'acme/b', T), null);
      assert.equal(await store.get('two', 'acme/a', T), null, 'tables are apart');
    });

    over('keeps bytes as they are: empty, binary, a megabyte', async (store) => {
      const values = [new Uint8Array(0), Uint8Array.from([0, 255, 0, 128]), new Uint8Array(1 << 20).fill(7)];
      for (const [i, value] of values.entries()) await store.set('one', `k${i}`, value, stay);
      for (const [i, value] of values.entries()) {
        const row = await store.get('one', `k${i}`, T);
        assert.equal(Buffer.compare(row!.value, value), 0);
      }
    });

    over('nobody shares memory with the rows', async (store) => {
      const value = text('before');
      await store.set('one', 'k', value, stay);
      value.fill(0);
      (await store.get('one', 'k', T))!.value.fill(0);
      assert.equal(read((await store.get('one', 'k', T))!.value), 'before');
    });

    over('sets only over the version that was read', async (store) => {
      assert.equal(await store.set('one', 'k', text('1'), stay), 1);
      assert.equal(await store.set('one', 'k', text('x'), stay), null, 'exists already');
      assert.equal(await store.set('one', 'k', text('x'), { ...stay, expect: 2 }), null, 'not there yet');
      assert.equal(await store.set('one', 'k', text('2'), { ...stay, expect: 1 }), 2);
      assert.equal(await store.set('one', 'k', text('x'), { ...stay, expect: 1 }), null, 'stale');
      assert.equal(read((await store.get('one', 'k', T))?.value), '2');
      assert.equal(await store.set('one', 'absent', text('x'), { ...stay, expect: 1 }), null);
    });

    over('of 40 writers at once over one version exactly one wins', async (store, at) => {
      const other = await at.open();
      const first = await Promise.all(
        Array.from({ length: 40 }, (_, i) => (i % 2 ? store : other).set('one', 'k', text(`${i}`), stay)),
      );
      assert.deepEqual(
        first.filter((version) => version !== null),
        [1],
      );
      const second = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          (i % 2 ? store : other).set('one', 'k', text(`${i}`), { ...stay, expect: 1 }),
        ),
      );
      assert.deepEqual(
        second.filter((version) => version !== null),
        [2],
      );
      await other.close();
    });

    over('counts to 60 by compare-and-set over two handles without losing one', async (store, at) => {
      const other = await at.open();
      const increment = async (handle: Store) => {
        for (;;) {
          const row = await handle.get('one', 'n', T);
          const next = text(String(Number(read(row?.value) ?? 0) + 1));
          if ((await handle.set('one', 'n', next, { ...stay, expect: row?.version ?? 0 })) !== null) return;
        }
      };
      await Promise.all(Array.from({ length: 60 }, (_, i) => increment(i % 2 ? store : other)));
      assert.equal(read((await store.get('one', 'n', T))?.value), '60');
      await other.close();
    });

    over('an expired row is absent to get, list and set, from the very millisecond', async (store) => {
      await store.set('one', 'k', text('old'), { ...stay, expiresAt: T + 1000 });
      assert.ok(await store.get('one', 'k', T + 999));
      assert.equal(await store.get('one', 'k', T + 1000), null);
      assert.deepEqual(await store.list('one', { prefix: '', limit: 9, now: T + 1000 }), []);
      assert.equal(await store.set('one', 'k', text('x'), { expect: 1, expiresAt: null, now: T + 1000 }), null);
      const version = await store.set('one', 'k', text('new'), { expect: 0, expiresAt: null, now: T + 1000 });
      assert.ok(version !== null && version > 1, 'a version never comes twice for a key');
      assert.equal(read((await store.get('one', 'k', T + MINUTE))?.value), 'new');
    });

    over('deletes only the version that was read, and a new row bears a new version', async (store) => {
      await store.set('one', 'k', text('1'), stay);
      assert.equal(await store.delete('one', 'k', { expect: 2 }), false);
      assert.equal(await store.delete('one', 'k', { expect: 1 }), true);
      assert.equal(await store.delete('one', 'k', { expect: 1 }), false);
      assert.equal(await store.get('one', 'k', T), null);
      const version = await store.set('one', 'k', text('2'), stay);
      assert.ok(version !== null && version > 1);
      assert.equal(await store.set('one', 'k', text('x'), { ...stay, expect: 1 }), null, 'the old holder loses');
    });

    over('lists by prefix, literally, whatever characters keys hold', async (store) => {
      const keys = [
        'a%b',
        'a%c',
        'a_b',
        'aXb',
        'a',
        'a\u0000b',
        'a\u0000',
        'ä/1',
        'ä/2',
        '😀/1',
        '\uffff/1',
        "a'; --",
        'a\\b',
      ];
      for (const key of keys) await store.set('one', key, text(key), stay);
      const list = async (prefix: string) =>
        (await store.list('one', { prefix, limit: 100, now: T })).map((row) => row.key);
      for (const prefix of ['a%', 'a_', 'a\u0000', 'ä/', '😀', '\uffff', "a'", 'a\\', 'A', 'b']) {
        assert.deepEqual((await list(prefix)).sort(), keys.filter((key) => key.startsWith(prefix)).sort(), prefix);
      }
      const utf8Order = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      assert.deepEqual(await list(''), utf8Order, 'in order of UTF-8 bytes');
      for (const key of keys) assert.equal(read((await store.get('one', key, T))?.value), key);
    });

    over('lists in pages without gap or repeat', async (store) => {
      const keys = Array.from({ length: 25 }, (_, i) => `t/${String(i).padStart(2, '0')}`);
      for (const key of keys) await store.set('one', key, text(key), stay);
      await store.set('one', 'u/00', text('other'), stay);
      const seen: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = await store.list('one', {
          prefix: 't/',
          limit: 10,
          now: T,
          ...(after === undefined ? {} : { after }),
        });
        seen.push(...page.map((row) => row.key));
        if (page.length < 10) break;
        after = page.at(-1)!.key;
      }
      assert.deepEqual(seen, keys);
      assert.deepEqual(await store.list('one', { prefix: 't/', limit: 0, now: T }), []);
    });

    over('refuses keys that have no UTF-8 form, and tables that are not words', async (store) => {
      await assert.rejects(store.set('one', 'a\ud800', text(''), stay), { code: 'store.key' });
      await assert.rejects(store.get('one; --', 'a', T), { code: 'store.table' });
    });

    over('what was set is there after close and open', async (store, at) => {
      await store.set('one', 'k', text('kept'), { ...stay, expiresAt: T + MINUTE });
      await store.close();
      await assert.rejects(store.get('one', 'k', T), { code: 'store.unavailable' });
      const again = await at.open();
      const row = await again.get('one', 'k', T);
      assert.deepEqual([read(row?.value), row?.version, row?.expiresAt], ['kept', 1, T + MINUTE]);
      await again.close();
    });

    over('two handles see each other at once', async (store, at) => {
      const other = await at.open();
      await store.set('one', 'k', text('1'), stay);
      assert.equal(read((await other.get('one', 'k', T))?.value), '1');
      await other.set('one', 'k', text('2'), { ...stay, expect: 1 });
      assert.equal(read((await store.get('one', 'k', T))?.value), '2');
      await other.close();
    });
  });
}
