import { Worker } from 'node:worker_threads';
import { CAPS, capped, type Database } from './database.ts';

interface Waiting {
  readonly resolve: (answer: { fields: string[]; rows: unknown[][] }) => void;
  readonly reject: (error: Error) => void;
}

/**
 * PGlite in a worker: it ignores statement_timeout, so a query that runs too long ends its worker, and the next query
 * starts a fresh one. Queries run one after the other.
 */
export function openEmbedded(): Database {
  let worker: Worker | null = null;
  let waiting: Waiting | null = null;
  let turn: Promise<unknown> = Promise.resolve();

  const start = (): Worker => {
    const started = new Worker(new URL('./embedded-worker.ts', import.meta.url));
    started.unref();
    started.on('message', (answer: { fields: string[]; rows: unknown[][] } | { error: string }) => {
      if ('error' in answer) waiting?.reject(new Error(answer.error));
      else waiting?.resolve(answer);
    });
    started.on('error', (error) => waiting?.reject(error instanceof Error ? error : new Error(String(error))));
    started.on('exit', () => {
      if (worker === started) worker = null;
    });
    return started;
  };

  const run = (sql: string) =>
    new Promise<{ fields: string[]; rows: unknown[][] }>((resolve, reject) => {
      const fresh = worker === null;
      worker ??= start();
      const running = worker;
      // A fresh worker also makes the sample database.
      const timer = setTimeout(() => {
        void running.terminate();
        worker = null;
        reject(new Error(`the query ran longer than ${CAPS.ms / 1000} s and was ended`));
      }, CAPS.ms + (fresh ? 15_000 : 0));
      waiting = { resolve, reject };
      running.ref();
      running.postMessage({ sql, rows: CAPS.rows + 1 });
      const settle = () => {
        clearTimeout(timer);
        running.unref();
        waiting = null;
      };
      waiting = {
        resolve: (answer) => {
          settle();
          resolve(answer);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
    });

  return {
    query(sql) {
      const mine = turn.then(() => run(sql));
      turn = mine.catch(() => undefined);
      return mine.then(({ fields, rows }) => capped(fields, rows));
    },
  };
}
