import pg from 'pg';
import { CAPS, capped, type Database } from './database.ts';

/**
 * A real PostgreSQL. The statement goes over the extended protocol, which takes exactly one; the transaction is read
 * only; a cursor reads no more rows than the cap. The account should still be one that may only read.
 */
export function openPostgres(url: string): Database {
  const pool = new pg.Pool({ connectionString: url, max: 4, statement_timeout: CAPS.ms, query_timeout: CAPS.ms + 1_000, connectionTimeoutMillis: CAPS.ms });
  return {
    async query(sql) {
      const client = await pool.connect();
      let broken: Error | undefined;
      try {
        await client.query('BEGIN TRANSACTION READ ONLY');
        // The portal stops after one row more than we show; queryMode makes pg use the extended protocol.
        const answer = await client.query({ text: sql, rowMode: 'array', queryMode: 'extended', rows: CAPS.rows + 1 } as pg.QueryArrayConfig);
        return capped(
          answer.fields.map((field) => field.name),
          answer.rows,
        );
      } finally {
        await client.query('ROLLBACK').catch((error: Error) => {
          broken = error;
        });
        client.release(broken);
      }
    },
  };
}
