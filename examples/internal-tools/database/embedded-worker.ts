import { parentPort } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { SAMPLE } from './sample.ts';

/** One embedded PostgreSQL, made when its worker starts; the parent ends the worker when a query runs too long. */
const ready = PGlite.create().then(async (database) => {
  await database.exec(SAMPLE);
  return database;
});

parentPort!.on('message', async ({ sql, rows }: { sql: string; rows: number }) => {
  try {
    const database = await ready;
    const answer = await database.transaction(async (transaction) => {
      await transaction.exec('SET TRANSACTION READ ONLY');
      // query() takes exactly one statement (extended protocol).
      return transaction.query<unknown[]>(sql, [], { rowMode: 'array' });
    });
    parentPort!.postMessage({ fields: answer.fields.map((field) => field.name), rows: answer.rows.slice(0, rows).map((row) => row.map(plain)) });
  } catch (error) {
    parentPort!.postMessage({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});

/** What structured clone or JSON cannot carry as it is. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Date) return value.toISOString();
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}
