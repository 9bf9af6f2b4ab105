import { InternalError } from '../internal-error.ts';
import { keyBytes, tableName } from './keys.ts';
import type { ListedRow, Row, Store } from './store.ts';

/** What a memory store holds: survives `close`, so that a test may open it again. */
export interface MemoryRows {
  readonly tables: Map<string, Map<string, Row>>;
  /** Highest version of any row that was removed; new rows begin above it, so no version comes twice for a key. */
  highest: number;
}

export function memoryRows(): MemoryRows {
  return { tables: new Map(), highest: 0 };
}

/** The store that forgets at the end of the process. For tests; production opens the SQLite driver. */
export function openMemoryStore(rows: MemoryRows = memoryRows()): Store {
  return new MemoryStore(rows);
}

class MemoryStore implements Store {
  readonly #rows: MemoryRows;
  #open = true;

  constructor(rows: MemoryRows) {
    this.#rows = rows;
  }

  async get(table: string, key: string, now: number): Promise<Row | null> {
    keyBytes(key);
    const row = this.#table(table).get(key);
    return row && alive(row, now) ? copy(row) : null;
  }

  async set(
    table: string,
    key: string,
    value: Uint8Array,
    { expect, expiresAt, now }: { expect: number; expiresAt: number | null; now: number },
  ): Promise<number | null> {
    keyBytes(key);
    const rows = this.#table(table);
    this.#purge(rows, now);
    const row = rows.get(key);
    const current = row && alive(row, now) ? row.version : 0;
    if (current !== expect) return null;
    const version = (row?.version ?? this.#rows.highest) + 1;
    rows.set(key, { value: Uint8Array.from(value), version, expiresAt });
    return version;
  }

  async delete(table: string, key: string, { expect }: { expect: number }): Promise<boolean> {
    keyBytes(key);
    const rows = this.#table(table);
    const row = rows.get(key);
    if (row?.version !== expect) return false;
    this.#remove(rows, key, row);
    return true;
  }

  async list(
    table: string,
    { prefix, limit, after, now }: { prefix: string; limit: number; after?: string; now: number },
  ): Promise<ListedRow[]> {
    keyBytes(prefix);
    const from = after === undefined ? null : keyBytes(after);
    return [...this.#table(table)]
      .filter(([key, row]) => key.startsWith(prefix) && alive(row, now))
      .map(([key, row]) => ({ key, row, bytes: keyBytes(key) }))
      .filter(({ bytes }) => from === null || Buffer.compare(bytes, from) > 0)
      .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
      .slice(0, Math.max(0, limit))
      .map(({ key, row }) => ({ key, ...copy(row) }));
  }

  async close(): Promise<void> {
    this.#open = false;
  }

  #table(name: string): Map<string, Row> {
    if (!this.#open) throw new InternalError('store.unavailable', 'the store is closed', { kind: 'outage' });
    tableName(name);
    const table = this.#rows.tables.get(name) ?? new Map<string, Row>();
    this.#rows.tables.set(name, table);
    return table;
  }

  #purge(rows: Map<string, Row>, now: number): void {
    for (const [key, row] of rows) if (!alive(row, now)) this.#remove(rows, key, row);
  }

  #remove(rows: Map<string, Row>, key: string, row: Row): void {
    this.#rows.highest = Math.max(this.#rows.highest, row.version);
    rows.delete(key);
  }
}

function alive(row: Row, now: number): boolean {
  return row.expiresAt === null || row.expiresAt > now;
}

/** Nobody outside may hold the bytes the store holds. */
function copy(row: Row): Row {
  return { value: Uint8Array.from(row.value), version: row.version, expiresAt: row.expiresAt };
}
