import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { type KeyPairOf, kidOf, type SymmetricKey } from '../../../core/crypto/keys.ts';
import { InternalError } from '../../../core/internal-error.ts';
import { openMemoryStore } from '../../../core/store/memory.ts';
import type { Store } from '../../../core/store/store.ts';
import { type KeyChange, KeyWatch } from './key-watch.ts';
import { countNotUnder, Keyring } from './keyring.ts';

const utc = () => 1_790_000_000_000;
const [old, fresh] = [1, 2].map((byte): SymmetricKey => {
  const secret = Buffer.alloc(32, byte);
  return { kid: kidOf(secret), secret };
}) as [SymmetricKey, SymmetricKey];

let store: Store;
let ring: Keyring;
let watch: KeyWatch;
let mark: string;
let keks: KeyPairOf<SymmetricKey>;
let away: 'kms' | 'log' | 'store' | null;
let changes: KeyChange[];
let faults: unknown[];

beforeEach(async () => {
  const rows = openMemoryStore();
  const broken = (what: string) => new InternalError(`${what}.unavailable`, `the ${what} is away`, { kind: 'outage' });
  store = {
    ...bound(rows),
    list: async (...args) => {
      if (away === 'store') throw broken('store');
      return rows.list(...args);
    },
  };
  [mark, keks, away, changes, faults] = ['before', [old], null, [], []];
  ring = await Keyring.open(store, keks, utc());
  await ring.newSegmentKey('tag', utc());
  watch = new KeyWatch(
    {
      source: {
        place: 'a KMS',
        file: null,
        kms: null,
        mark: () => mark,
        open: async () => {
          if (away === 'kms') throw broken('kms');
          return keks;
        },
      },
      keyring: ring,
      keys: { folder: '/nonexistent', generate: false },
      checkpoint: 'kid',
      utc,
      sign: async () => undefined,
      record: async (change) => {
        if (away === 'log') throw broken('log');
        changes.push(change);
      },
      report: (error) => faults.push(error),
    },
    { kek: mark, checkpoint: '' },
    false,
  );
  [mark, keks] = ['after', [fresh, old]];
});
afterEach(() => watch.close());

for (const what of ['kms', 'log', 'store'] as const)
  test(`a new KEK is taken over when the ${what} that was away is there again; that it was away is said once`, async () => {
    away = what;
    for (let i = 0; i < 3; i++) {
      await watch.look();
      await watch.settled();
    }
    assert.equal(faults.length, 1);
    away = null;
    await watch.look();
    await watch.settled();
    assert.equal(ring.kek, fresh.kid);
    assert.equal(await countNotUnder(store, fresh.kid, utc()), 0);
    assert.deepEqual(
      changes.map(({ event, to }) => [event, to]),
      [
        ['rotated', fresh.kid],
        ['rewrapped', fresh.kid],
      ],
    );
    assert.equal(faults.length, 1);
  });

/** Its methods as functions of their own. */
function bound(rows: Store): Store {
  return {
    get: (...args) => rows.get(...args),
    set: (...args) => rows.set(...args),
    delete: (...args) => rows.delete(...args),
    list: (...args) => rows.list(...args),
    close: () => rows.close(),
  };
}
