import { closeSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { InternalError } from '../../../core/internal-error.ts';
import type { RecordKind } from '../format/envelope.ts';
import { type DaySum, type IndexRow, TOKEN_COLUMNS, type TokenColumn } from './rows.ts';

/**
 * The SQLite file of the query index: derived from the log and disposable, so a file of another format or one that SQLite
 * refuses is removed and made anew, never migrated. No value of a record stands in it.
 */
const FORMAT = 1;
const BUSY_MS = 10_000;

export interface IndexState {
  /** Journal index of the record that comes next; all before it have a row. */
  readonly next: number;
  readonly mac: Buffer;
}

export interface StoredDay extends DaySum {
  readonly day: number;
  readonly mac: Buffer;
}

export interface RowFilter {
  readonly tokens: readonly (readonly [TokenColumn, Buffer])[];
  readonly kind?: RecordKind;
  /** Rows of this kind match whatever `code` says: they name several. */
  readonly anyCodeOf?: RecordKind;
  readonly since?: number;
  readonly until?: number;
  readonly limit: number;
}

const TOKENS = TOKEN_COLUMNS.map((column) => `"${column}"`).join(', ');
const COLUMNS = `idx, segment, "offset", length, tree, leaf, leaf_hash, kind, time, ${TOKENS}`;
/** `rowText`, by SQLite: reading a row column by column takes five times as long. */
const TEXT = [
  'idx',
  'segment',
  '"offset"',
  'length',
  'tree',
  'leaf',
  'hex(leaf_hash)',
  'kind',
  'time',
  ...TOKEN_COLUMNS.map((column) => `hex("${column}")`),
].join(" || '|' || ");
const SCHEMA = `
  CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), next INTEGER NOT NULL, mac BLOB NOT NULL) STRICT;
  CREATE TABLE days (day INTEGER PRIMARY KEY, count INTEGER NOT NULL, leaves BLOB NOT NULL, sum TEXT NOT NULL, mac BLOB NOT NULL) STRICT;
  CREATE TABLE records (
    idx INTEGER PRIMARY KEY, segment INTEGER NOT NULL, "offset" INTEGER NOT NULL, length INTEGER NOT NULL,
    tree TEXT NOT NULL, leaf INTEGER NOT NULL, leaf_hash BLOB NOT NULL, kind TEXT NOT NULL, time INTEGER NOT NULL,
    ${TOKEN_COLUMNS.map((column) => `"${column}" BLOB`).join(', ')}) STRICT;
  CREATE UNIQUE INDEX by_leaf ON records (tree, leaf);
  CREATE INDEX by_time ON records (time);
  CREATE INDEX by_kind ON records (kind);
  ${TOKEN_COLUMNS.filter((column) => column !== 'tenant')
    .map((column) => `CREATE INDEX by_${column} ON records ("${column}") WHERE "${column}" IS NOT NULL;`)
    .join('\n  ')}
  PRAGMA user_version = ${FORMAT};`;

export class IndexFile {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #byLeaf: StatementSync;
  readonly #setDay: StatementSync;
  readonly #day: StatementSync;

  private constructor(path: string, db: DatabaseSync) {
    this.path = path;
    this.#db = db;
    this.#insert = db.prepare(`INSERT INTO records (${COLUMNS}) VALUES (${COLUMNS.replaceAll(/[^,]+/g, '?')})`);
    this.#byLeaf = db.prepare(`SELECT ${COLUMNS} FROM records WHERE tree = ? AND leaf = ?`);
    this.#day = db.prepare('SELECT day, count, leaves, sum, mac FROM days WHERE day = ?');
    this.#setDay = db.prepare(
      `INSERT INTO days (day, count, leaves, sum, mac) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (day) DO UPDATE SET count = excluded.count, leaves = excluded.leaves, sum = excluded.sum, mac = excluded.mac`,
    );
  }

  /** `fresh`: it was not there, or was of another format or not to be read. @throws InternalError `audit.index` */
  static open(path: string): { file: IndexFile; fresh: boolean } {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const there = existsSync(path);
    try {
      const db = openDatabase(path);
      if (db) return { file: new IndexFile(path, db), fresh: !there };
      removeIndex(path);
      return { file: new IndexFile(path, openDatabase(path)!), fresh: true };
    } catch (cause) {
      throw new InternalError('audit.index', `${path} cannot be used as an index; remove it and search again`, {
        kind: 'outage',
        cause,
      });
    }
  }

  /** One transaction that no other process writes in; what was done is undone when it throws. */
  transaction<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (cause) {
      this.#db.exec('ROLLBACK');
      throw cause;
    }
  }

  state(): IndexState | null {
    const row = this.#db.prepare('SELECT next, mac FROM state').get() as { next: number; mac: Uint8Array } | undefined;
    return row ? { next: row.next, mac: Buffer.from(row.mac) } : null;
  }

  setState({ next, mac }: IndexState): void {
    this.#db.prepare('INSERT OR REPLACE INTO state (one, next, mac) VALUES (1, ?, ?)').run(next, mac);
  }

  empty(): void {
    this.#db.exec('DELETE FROM records; DELETE FROM days; DELETE FROM state;');
  }

  insert(row: IndexRow): void {
    const { idx, segment, offset, length, tree, leaf, leafHash, kind, time } = row;
    const tokens = TOKEN_COLUMNS.map((column) => row[column]);
    this.#insert.run(idx, segment, offset, length, tree, leaf, leafHash, kind, time, ...tokens);
  }

  day(day: number): StoredDay | null {
    const row = this.#day.get(day);
    return row ? dayFrom(row) : null;
  }

  days(): StoredDay[] {
    return this.#db.prepare('SELECT day, count, leaves, sum, mac FROM days ORDER BY day').all().map(dayFrom);
  }

  setDay({ day, rows, leaves, sum, mac }: StoredDay): void {
    this.#setDay.run(day, rows, leaves, sum, mac);
  }

  byLeaf(tree: string, leaf: number): IndexRow | null {
    const row = this.#byLeaf.get(tree, leaf);
    return row ? rowFrom(row) : null;
  }

  count(): number {
    return (this.#db.prepare('SELECT count(*) AS n FROM records').get() as { n: number }).n;
  }

  row(idx: number): IndexRow | null {
    const row = this.#db.prepare(`SELECT ${COLUMNS} FROM records WHERE idx = ?`).get(idx);
    return row ? rowFrom(row) : null;
  }

  /** What each row says (`rowText`), in the order of the journal, one at a time; those of one span of time when given. */
  *texts(span?: { from: number; to: number }): Generator<{ readonly idx: number; readonly text: string }> {
    const statement = span
      ? this.#db.prepare(`SELECT idx, ${TEXT} AS text FROM records WHERE time >= ? AND time < ? ORDER BY idx`)
      : this.#db.prepare(`SELECT idx, ${TEXT} AS text FROM records ORDER BY idx`);
    const rows = span ? statement.iterate(span.from, span.to) : statement.iterate();
    for (const row of rows) yield row as unknown as { idx: number; text: string };
  }

  /** The newest rows that match, newest first. */
  find({ tokens, kind, anyCodeOf, since, until, limit }: RowFilter): IndexRow[] {
    const terms: string[] = [];
    const values: (Buffer | string | number)[] = [];
    for (const [column, token] of tokens) {
      const any = column === 'code' && anyCodeOf !== undefined;
      terms.push(any ? '("code" = ? OR kind = ?)' : `"${column}" = ?`);
      values.push(token);
      if (any) values.push(anyCodeOf);
    }
    const add = (term: string, value: string | number | undefined) => {
      if (value === undefined) return;
      terms.push(term);
      values.push(value);
    };
    add('kind = ?', kind);
    add('time >= ?', since);
    add('time < ?', until);
    const where = terms.length > 0 ? `WHERE ${terms.join(' AND ')}` : '';
    return this.#db
      .prepare(`SELECT ${COLUMNS} FROM records ${where} ORDER BY idx DESC LIMIT ?`)
      .all(...values, limit)
      .map(rowFrom);
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }
}

export function removeIndex(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
}

/** Null: what stands there is of another format, or not whole. */
function openDatabase(path: string): DatabaseSync | null {
  // SQLite would create the file with the process's umask.
  if (!existsSync(path)) closeSync(openSync(path, 'wx', 0o600));
  const db = new DatabaseSync(path, {
    timeout: BUSY_MS,
    allowExtension: false,
    enableDoubleQuotedStringLiterals: false,
  });
  try {
    db.enableDefensive?.(true);
    // It can be built anew: no write needs to be on the disk before the next.
    db.exec(
      'PRAGMA trusted_schema = OFF; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536;',
    );
    const { user_version: format } = db.prepare('PRAGMA user_version').get() as { user_version: number };
    if (format === FORMAT) return db;
    if (format === 0 && (db.prepare('SELECT count(*) AS n FROM sqlite_schema').get() as { n: number }).n === 0) {
      db.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
      return db;
    }
  } catch (cause) {
    db.close();
    // Only what is no database, or a torn one, may be thrown away: a locked one is in use.
    const code = (cause as { errcode?: number }).errcode;
    if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB) return null;
    throw cause;
  }
  db.close();
  return null;
}

const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

type Raw = Record<string, unknown>;

function dayFrom(raw: Raw): StoredDay {
  const { day, count, leaves, sum, mac } = raw as {
    day: number;
    count: number;
    leaves: Uint8Array;
    sum: string;
    mac: Uint8Array;
  };
  return { day, rows: count, leaves: Buffer.from(leaves), sum, mac: Buffer.from(mac) };
}

function rowFrom(raw: Raw): IndexRow {
  const { leaf_hash, ...row } = raw as Raw & { leaf_hash: Uint8Array };
  for (const column of TOKEN_COLUMNS) {
    const token = row[column] as Uint8Array | null;
    row[column] = token && Buffer.from(token);
  }
  return { ...row, leafHash: Buffer.from(leaf_hash) } as unknown as IndexRow;
}
