import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { InternalError, SettingsError } from '../internal-error.ts';
import { copiesIn } from './copies.ts';
import { keyBytes, prefixEnd, tableName } from './keys.ts';
import type { ListedRow, Row, Store } from './store.ts';

/**
 * The embedded store: the only module that knows `node:sqlite`. WAL with synchronous=FULL, so a write that resolved
 * survives a power cut; each write is one statement and therefore one transaction, so a second process may hold the
 * same file. The calls block the loop for a write to disk: what is on the hot path belongs to the journal, not here.
 */

/**
 * How a file comes from one format to the next; the position is the format number. Never edit a step that was
 * released: add one. Rows keep keys as UTF-8 bytes (TEXT would stop at NUL in some functions of SQLite).
 */
const STEPS: readonly string[] = [
  `CREATE TABLE format (number INTEGER NOT NULL) STRICT;
   INSERT INTO format VALUES (0);
   CREATE TABLE removed (highest INTEGER NOT NULL) STRICT;
   INSERT INTO removed VALUES (0);
   CREATE TABLE rows (
     tbl TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
     version INTEGER NOT NULL CHECK (version > 0), expires_at INTEGER,
     PRIMARY KEY (tbl, key)) STRICT;
   CREATE INDEX rows_by_end ON rows (expires_at) WHERE expires_at IS NOT NULL;
   CREATE TRIGGER versions_never_return AFTER DELETE ON rows BEGIN
     UPDATE removed SET highest = max(highest, old.version);
   END;`,
];

/** Expired rows are removed with a write, at most this often (ms by the caller's clock) and this many at once. */
const PURGE_EVERY_MS = 10_000;
const PURGE_ROWS = 256;
/** As many bytes of a row are looked for as no other row has. */
const NEEDLE_BYTES = 16;
/** What the file format has for NULL in the header of a row; that of `expires_at` is its last. */
const NULL_TYPE = Buffer.of(0);
/** How long a statement waits for the other process (ms); it blocks the loop, and one write takes well under 10. */
const BUSY_MS = 2_000;

export interface SqliteOptions {
  /** The file. Its folder is made (0700) when missing, the file too (0600). Wider modes are refused. */
  readonly path: string;
  /** For tests of migration only. */
  readonly steps?: readonly string[];
}

/**
 * Opens or creates a store file, migrating an older format forward after a copy beside it (`<path>.format-<n>`).
 * @throws SettingsError when the place is readable by others, not ours, or of a newer format
 * @throws InternalError `store.unavailable` when it cannot be opened
 */
export function openSqliteStore({ path, steps = STEPS }: SqliteOptions): Store {
  preparePlace(path);
  let db: DatabaseSync | null = null;
  try {
    db = new DatabaseSync(path, { timeout: BUSY_MS, allowExtension: false, enableDoubleQuotedStringLiterals: false });
    // Where the runtime knows it: SQL can no longer corrupt the file on purpose.
    db.enableDefensive?.(true);
    // What is deleted or replaced is overwritten, or an erased key would stand in a free page (audit.md 3.2).
    // Nothing of it goes by way of a folder for temporary files, which may not be there either.
    db.exec(
      'PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;',
    );
    enterWal(db);
    migrate(db, path, steps);
    return new SqliteStore(db, path);
  } catch (cause) {
    if (db?.isOpen) db.close();
    if (cause instanceof SettingsError) throw cause;
    throw new InternalError('store.unavailable', `${path} cannot be opened as a store`, { kind: 'outage', cause });
  }
}

/** SQLite would create the file with the process's umask: the store is private before the first byte is in it. */
function preparePlace(path: string): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const wide = statSync(folder).mode & 0o077;
  if (wide !== 0)
    throw new SettingsError(`${folder} is open to others (mode ${wide.toString(8)}); run: chmod 700 ${folder}`);
  createPrivate(path);
  const file = lstatSync(path);
  if (!file.isFile()) throw new SettingsError(`${path} is not a plain file`);
  const others = file.mode & 0o077;
  if (others !== 0)
    throw new SettingsError(`${path} is open to others (mode ${others.toString(8)}); run: chmod 600 ${path}`);
}

/** Makes an empty file 0600 unless there is one, and makes its name durable. */
function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw new InternalError('store.unavailable', `${path} cannot be created`, { kind: 'outage', cause });
  }
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/** Two processes that create the file together meet here; SQLite does not wait on its own for this one. */
function enterWal(db: DatabaseSync): void {
  for (let attempt = 0; ; attempt++) {
    try {
      const mode = db.prepare('PRAGMA journal_mode = WAL').get() as { journal_mode: string };
      if (mode.journal_mode === 'wal') return;
      throw new SettingsError('the store needs a file system that supports WAL (not a network share)');
    } catch (cause) {
      if (cause instanceof SettingsError || attempt === 50) throw cause;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}

function migrate(db: DatabaseSync, path: string, steps: readonly string[]): void {
  const found = formatOf(db, path);
  if (found > steps.length) {
    throw new SettingsError(
      `${path} has format ${found}, this version knows ${steps.length}: run the newer version, or restore a copy`,
    );
  }
  if (found === steps.length) return;
  if (found > 0) copyAside(db, `${path}.format-${found}`);
  db.exec('BEGIN EXCLUSIVE');
  try {
    // Another process may have done it while we waited.
    for (let number = formatOf(db, path); number < steps.length; number++) {
      db.exec(steps[number]!);
      db.prepare('UPDATE format SET number = ?').run(number + 1);
    }
    db.exec('COMMIT');
  } catch (cause) {
    db.exec('ROLLBACK');
    throw cause;
  }
}

/** 0: an empty file. */
function formatOf(db: DatabaseSync, path: string): number {
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all() as { name: string }[];
  if (tables.length === 0) return 0;
  if (!tables.some(({ name }) => name === 'format')) throw new SettingsError(`${path} is not a gatewrit store`);
  return (db.prepare('SELECT number FROM format').get() as { number: number }).number;
}

function copyAside(db: DatabaseSync, copy: string): void {
  // A copy of this format is from a migration that was interrupted later: the first copy is the one to keep.
  if (existsSync(copy)) return;
  const partial = `${copy}.partial`;
  rmSync(partial, { force: true });
  createPrivate(partial);
  db.prepare('VACUUM INTO ?').run(partial);
  renameSync(partial, copy);
}

class SqliteStore implements Store {
  readonly #db: DatabaseSync;
  readonly #get: StatementSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;
  readonly #list: StatementSync;
  readonly #purge: StatementSync;
  readonly #emptied: StatementSync;
  readonly #value: StatementSync;
  readonly #path: string;
  #purgedAt = Number.NEGATIVE_INFINITY;

  constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#path = path;
    this.#get = db.prepare(
      `SELECT value, version, expires_at FROM rows
       WHERE tbl = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)`,
    );
    // An expired row gives way and its version goes on: whoever still holds the old version loses.
    this.#insert = db.prepare(
      `INSERT INTO rows (tbl, key, value, version, expires_at)
       VALUES (:table, :key, :value, (SELECT highest + 1 FROM removed), :expiresAt)
       ON CONFLICT (tbl, key) DO UPDATE SET value = excluded.value, version = version + 1, expires_at = excluded.expires_at
       WHERE expires_at IS NOT NULL AND expires_at <= :now
       RETURNING version`,
    );
    this.#update = db.prepare(
      `UPDATE rows SET value = :value, version = version + 1, expires_at = :expiresAt
       WHERE tbl = :table AND key = :key AND version = :expect AND (expires_at IS NULL OR expires_at > :now)
       RETURNING version`,
    );
    this.#value = db.prepare('SELECT value, expires_at FROM rows WHERE tbl = ? AND key = ? AND version = ?');
    this.#delete = db.prepare('DELETE FROM rows WHERE tbl = ? AND key = ? AND version = ?');
    this.#list = db.prepare(
      `SELECT key, value, version, expires_at FROM rows
       WHERE tbl = :table AND key >= :from AND (:after IS NULL OR key > :after) AND (:end IS NULL OR key < :end)
         AND (expires_at IS NULL OR expires_at > :now)
       ORDER BY key LIMIT :limit`,
    );
    this.#emptied = db.prepare('PRAGMA wal_checkpoint(TRUNCATE)');
    this.#purge = db.prepare(
      'DELETE FROM rows WHERE rowid IN (SELECT rowid FROM rows WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)',
    );
  }

  async get(table: string, key: string, now: number): Promise<Row | null> {
    return this.#run(() => {
      const row = this.#get.get(tableName(table), keyBytes(key), now);
      return row ? toRow(row as unknown as StoredRow) : null;
    });
  }

  async set(
    table: string,
    key: string,
    value: Uint8Array,
    { expect, expiresAt, now }: { expect: number; expiresAt: number | null; now: number },
  ): Promise<number | null> {
    return this.#run(() => {
      this.#purgeExpired(now);
      const common = { table: tableName(table), key: keyBytes(key), value, expiresAt, now };
      const written = expect === 0 ? this.#insert.get(common) : this.#update.get({ ...common, expect });
      return written ? (written['version'] as number) : null;
    });
  }

  async delete(
    table: string,
    key: string,
    { expect, scrub = false }: { expect: number; scrub?: boolean },
  ): Promise<boolean> {
    return this.#run(() => {
      const row = [tableName(table), keyBytes(key), expect] as const;
      if (scrub) this.#bringTogether(...row);
      const deleted = Number(this.#delete.run(...row).changes) === 1;
      if (scrub) this.#emptyWal();
      return deleted;
    });
  }

  async list(
    table: string,
    { prefix, limit, after, now }: { prefix: string; limit: number; after?: string; now: number },
  ): Promise<ListedRow[]> {
    return this.#run(() => {
      const from = keyBytes(prefix);
      const rows = this.#list.all({
        table: tableName(table),
        from,
        after: after === undefined ? null : keyBytes(after),
        end: prefixEnd(from),
        now,
        limit: Math.max(0, limit),
      }) as unknown as (StoredRow & { key: Uint8Array })[];
      return rows.map((row) => ({ key: Buffer.from(row.key).toString('utf8'), ...toRow(row) }));
    });
  }

  async close(): Promise<void> {
    if (this.#db.isOpen) this.#db.close();
  }

  /**
   * A page that was split keeps what went to another one, where `secure_delete` never looks. Where a row that is to go
   * stands more often than it should, the file is written anew from its rows first: it is then deleted where it is alone.
   */
  #bringTogether(table: string, key: Buffer, expect: number): void {
    this.#emptyWal();
    const row = this.#value.get(table, key, expect) as { value: Uint8Array; expires_at: number | null } | undefined;
    if (!row) return;
    // A copy without its middle has lost half of itself.
    const needles = [middleOf(row.value)];
    // Copies of what the value was before: a row that does not expire is table and key behind a NULL. Entries of the
    // index have a number there, and tell nothing.
    if (row.expires_at === null) needles.push(Buffer.concat([NULL_TYPE, Buffer.from(table), key]));
    if (copiesIn(this.#path, needles, 2).some((count) => count !== 1)) this.#db.exec('VACUUM');
  }

  /** The write-ahead log holds pages from before: it is brought over and cut to nothing. */
  #emptyWal(): void {
    const { busy } = this.#emptied.get() as { busy: number };
    if (busy === 0) return;
    throw new InternalError(
      'store.unavailable',
      'another process reads the store: nothing can be scrubbed; try again',
      {
        kind: 'outage',
      },
    );
  }

  #purgeExpired(now: number): void {
    // A clock that was ahead must not put it off until that time comes.
    if (Math.abs(now - this.#purgedAt) < PURGE_EVERY_MS) return;
    this.#purgedAt = now;
    this.#purge.run(now, PURGE_ROWS);
  }

  #run<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      if (cause instanceof InternalError) throw cause;
      throw new InternalError('store.unavailable', 'the store file cannot be read or written; look at disk and locks', {
        kind: 'outage',
        cause,
      });
    }
  }
}

interface StoredRow {
  readonly value: Uint8Array;
  readonly version: number;
  readonly expires_at: number | null;
}

function toRow(row: StoredRow): Row {
  return { value: row.value, version: row.version, expiresAt: row.expires_at };
}

function middleOf(value: Uint8Array): Buffer {
  const from = Math.max(0, (value.length - NEEDLE_BYTES) >> 1);
  return Buffer.from(value.subarray(from, from + NEEDLE_BYTES));
}
