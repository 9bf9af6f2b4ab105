import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { type Caps, capped, statements, TEXT_TYPES } from './database.ts';
import { SAMPLE } from './sample.ts';

/**
 * One embedded PostgreSQL, made when its worker starts; the parent ends the worker when a query runs too long. Says
 * `ready`, then answers each query with rows or an error.
 */
const caps = workerData as Caps;
const database = await PGlite.create({ parsers: Object.fromEntries(TEXT_TYPES.map((type) => [type, String])) });
await database.exec(SAMPLE);

// From here on nobody is superuser and nobody may call what initdb keeps for one: pg_read_file, lo_export, pg_ls_dir, …
await database.exec(`
  REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_catalog FROM postgres;
  UPDATE pg_authid SET rolsuper = false, rolcreaterole = false, rolcreatedb = false, rolreplication = false;
`);

async function query(sql: string) {
  await database.exec(statements.begin);
  try {
    await database.query(statements.declare(sql));
    const answer = await database.query<unknown[]>(statements.fetch(caps.rows + 1), [], { rowMode: 'array' });
    return capped(
      answer.fields.map((field) => field.name),
      answer.rows,
      caps,
    );
  } finally {
    for (const statement of statements.end) await database.exec(statement);
  }
}

parentPort!.on('message', async (sql: string) => {
  try {
    parentPort!.postMessage({ rows: await query(sql) });
  } catch (error) {
    parentPort!.postMessage({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
parentPort!.postMessage('ready');
