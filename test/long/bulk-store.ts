import { DatabaseSync } from 'node:sqlite';
import { openSqliteStore } from '../../src/core/store/sqlite.ts';
import type { Store } from '../../src/core/store/store.ts';

/**
 * Fills a store file in one transaction: a million keys would each wait for the disk otherwise. The file is the real
 * store's own; whoever is measured opens it with the real driver afterwards.
 */
export async function openBulkStore(path: string): Promise<Store> {
  await openSqliteStore({ path }).close();
  const db = new DatabaseSync(path);
  db.exec('PRAGMA synchronous = OFF; BEGIN IMMEDIATE;');
  const get = db.prepare('SELECT value, version, expires_at AS expiresAt FROM rows WHERE tbl = ? AND key = ?');
  const insert = db.prepare('INSERT OR IGNORE INTO rows (tbl, key, value, version, expires_at) VALUES (?, ?, ?, 1, ?)');
  const update = db.prepare(
    'UPDATE rows SET value = ?, version = version + 1, expires_at = ? WHERE tbl = ? AND key = ? AND version = ?',
  );
  const refuse = async () => {
    throw new Error('the bulk store only fills');
  };
  return {
    async get(table, key) {
      const row = get.get(table, Buffer.from(key));
      return (row as unknown as Awaited<ReturnType<Store['get']>>) ?? null;
    },
    async set(table, key, value, { expect, expiresAt }) {
      const { changes } =
        expect === 0
          ? insert.run(table, Buffer.from(key), value, expiresAt)
          : update.run(value, expiresAt, table, Buffer.from(key), expect);
      return Number(changes) === 1 ? expect + 1 : null;
    },
    delete: refuse,
    list: refuse,
    async close() {
      db.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE);');
      db.close();
    },
  };
}
