/** Caps of one query, the same for both drivers. */
export const CAPS = { rows: 200, bytes: 256 * 1024, ms: 5_000 } as const;

export interface Rows {
  readonly columns: readonly string[];
  readonly rows: readonly unknown[][];
  /** True when a cap cut the rest off. */
  readonly truncated: boolean;
}

export interface Database {
  /** Runs one statement in a read-only transaction. Rejects with the database's own error. */
  query(sql: string): Promise<Rows>;
}

/** PostgreSQL where DATABASE_URL says, else an embedded one with a small sample. Nothing is opened before the first query. */
export function openDatabase(url = process.env['DATABASE_URL']): Database {
  let driver: Promise<Database> | null = null;
  const open = async () => (url ? (await import('./postgres.ts')).openPostgres(url) : (await import('./embedded.ts')).openEmbedded());
  return {
    async query(sql) {
      driver ??= open();
      return (await driver).query(sql);
    },
  };
}

/** Keeps the first rows that fit into the caps. */
export function capped(columns: readonly string[], rows: readonly unknown[][]): Rows {
  const kept: unknown[][] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += Buffer.byteLength(JSON.stringify(row));
    if (kept.length === CAPS.rows || bytes > CAPS.bytes) return { columns, rows: kept, truncated: true };
    kept.push(row);
  }
  return { columns, rows: kept, truncated: false };
}
