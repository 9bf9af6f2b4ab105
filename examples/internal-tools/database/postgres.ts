import pg from 'pg';
import { CAPS, capped, type Database, type Rows, statements, TEXT_TYPES } from './database.ts';

/** An answer larger than this is cut off on the wire: one row can be a gigabyte, and the caps work on what has arrived. */
const MAX_WIRE_BYTES = 16 * 1024 * 1024;

/**
 * A real PostgreSQL. The account should be one that may only read (README): a read-only transaction does not hold what
 * a superuser's functions do outside of tables.
 */
export function openPostgres(url: string): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: 4,
    statement_timeout: CAPS.ms,
    query_timeout: CAPS.ms + 1_000,
    connectionTimeoutMillis: CAPS.ms,
    // Our own end, should this process stop in the middle.
    idle_in_transaction_session_timeout: 2 * CAPS.ms,
    types: {
      getTypeParser: (type, format) => (TEXT_TYPES.includes(type) ? String : pg.types.getTypeParser(type, format)),
    },
  });
  // A connection that breaks, idle or in use, is no reason to end this process; its query, or the next one, says so.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return {
    async query(sql) {
      const client = await pool.connect();
      let broken: Error | undefined;
      try {
        return await select(client, sql);
      } finally {
        for (const statement of statements.end) {
          if (!broken) await client.query(statement).catch((error: Error) => (broken = error));
        }
        client.release(broken);
      }
    },
  };
}

async function select(client: pg.PoolClient, sql: string): Promise<Rows> {
  const { stream } = client.connection;
  let bytes = 0;
  const count = (chunk: Uint8Array) => {
    bytes += chunk.length;
    if (bytes > MAX_WIRE_BYTES) stream.destroy(new Error(`the answer is larger than ${MAX_WIRE_BYTES} bytes`));
  };
  stream.on('data', count);
  try {
    await client.query(statements.begin);
    // queryMode makes pg use the extended protocol though there are no values.
    await client.query({ text: statements.declare(sql), queryMode: 'extended' } as pg.QueryConfig);
    const answer = await client.query({ text: statements.fetch(CAPS.rows + 1), rowMode: 'array' });
    return capped(
      answer.fields.map((field) => field.name),
      answer.rows,
    );
  } finally {
    stream.off('data', count);
  }
}
