import { Worker } from 'node:worker_threads';
import { CAPS, type Caps, type Database, type Rows } from './database.ts';

/** Making the sample database takes two seconds; this long is a fault. */
const START_MS = 30_000;

type Answer = { readonly rows: Rows } | { readonly error: string };

/**
 * PGlite in a worker: it ignores statement_timeout, so a query that runs too long ends its worker, and the next query
 * starts a fresh one. Queries run one after the other.
 */
export function openEmbedded(caps: Caps = CAPS): Database {
  let current: Promise<Worker> | null = null;
  let turn: Promise<unknown> = Promise.resolve();

  const start = async (gone: () => void): Promise<Worker> => {
    const worker = new Worker(new URL('./embedded-worker.ts', import.meta.url), { workerData: caps });
    await messageFrom(worker, START_MS, 'the embedded database did not start');
    // Idle, it does not keep the process; what ends it then is met by the next query.
    worker.unref();
    worker.on('error', () => undefined);
    worker.once('exit', gone);
    return worker;
  };

  const run = async (sql: string): Promise<Rows> => {
    current ??= start(() => {
      if (current === started) current = null;
    });
    const started = current;
    try {
      const worker = await started;
      worker.ref();
      worker.postMessage(sql);
      const late = `the query ran longer than ${caps.ms / 1000} s and was ended`;
      const answer = (await messageFrom(worker, caps.ms, late)) as Answer;
      worker.unref();
      if ('rows' in answer) return answer.rows;
      throw new QueryError(answer.error);
    } catch (error) {
      if (!(error instanceof QueryError)) current = null;
      throw error;
    }
  };

  return {
    query(sql) {
      const mine = turn.then(() => run(sql));
      turn = mine.catch(() => undefined);
      return mine;
    },
  };
}

/** What the database says of a query; the worker is well. */
class QueryError extends Error {}

/** The worker's next message. When none comes in time, or it ends instead, it is ended for good. */
async function messageFrom(worker: Worker, ms: number, late: string): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const timer = setTimeout(() => reject(new Error(late)), ms);
  const ended = () => reject(new Error('the embedded database ended'));
  worker.once('message', resolve).once('error', reject).once('exit', ended);
  try {
    return await promise;
  } catch (error) {
    void worker.terminate();
    throw error;
  } finally {
    clearTimeout(timer);
    worker.off('message', resolve).off('error', reject).off('exit', ended);
  }
}
