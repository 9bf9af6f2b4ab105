/** Caps of one query, the same for both drivers. `ms` holds for planning it and for running it. */
export const CAPS = { rows: 200, bytes: 256 * 1024, ms: 5_000 } as const;

export type Caps = Readonly<Record<keyof typeof CAPS, number>>;

export interface Rows {
  readonly columns: readonly string[];
  readonly rows: readonly unknown[][];
  /** True when a cap cut the rest off. */
  readonly truncated: boolean;
}

export interface Database {
  /** Runs one SELECT, VALUES or TABLE in a read-only transaction. Rejects with the database's own error. */
  query(sql: string): Promise<Rows>;
}

/** PostgreSQL where DATABASE_URL says, else an embedded one with a small sample. Nothing is opened before the first query. */
export function openDatabase(url = process.env['DATABASE_URL']): Database {
  let driver: Promise<Database> | null = null;
  const open = async () =>
    url ? (await import('./postgres.ts')).openPostgres(url) : (await import('./embedded.ts')).openEmbedded();
  return {
    async query(sql) {
      driver ??= open();
      return (await driver).query(sql);
    },
  };
}

/**
 * The statements of one query, for both drivers. The caller's text only ever stands behind DECLARE … FOR, whose grammar
 * takes one SELECT, VALUES or TABLE and nothing else: no INSERT (not within WITH either), COPY, DO, CALL, SET, COMMIT.
 * Send it over the extended protocol, which takes one statement, so that no semicolon begins a second. The cursor makes
 * the row cap hold in the server. DISCARD ALL takes back what a rollback does not: advisory locks, for one.
 */
export const statements = {
  begin: 'BEGIN TRANSACTION READ ONLY',
  declare: (sql: string) => `DECLARE answer NO SCROLL CURSOR FOR ${sql}`,
  fetch: (rows: number) => `FETCH FORWARD ${rows} FROM answer`,
  end: ['ROLLBACK', 'DISCARD ALL'],
} as const;

/** Types whose text is clearer than a JavaScript Date (and no time zone of this process gets in): date, timestamp, timestamptz. */
export const TEXT_TYPES: readonly number[] = [1082, 1114, 1184];

/** Keeps the first rows that fit into the caps, as JSON can carry them. */
export function capped(columns: readonly string[], rows: readonly unknown[][], caps: Caps = CAPS): Rows {
  const kept: unknown[][] = [];
  let bytes = 0;
  for (const row of rows) {
    const plain = row.map(plainValue);
    bytes += Buffer.byteLength(JSON.stringify(plain));
    if (kept.length === caps.rows || bytes > caps.bytes) return { columns, rows: kept, truncated: true };
    kept.push(plain);
  }
  return { columns, rows: kept, truncated: false };
}

function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}
