import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { InternalError } from '../../../core/internal-error.ts';

const SQLITE_BUSY = 5;

export interface WriterLock {
  release(): void;
}

/**
 * One writer per journal (architecture.md section 5): an exclusive SQLite transaction is a lock of the operating system
 * that ends with the process, however it ends; a file with a process number in it is not. It lies outside `audit/`.
 * @throws InternalError `audit.locked` when another process holds it, `audit.cannot_open` when nobody can
 */
export function lockWriter(home: string, replica: string): WriterLock {
  return lockFile(
    join(home, 'locks', `audit-${replica}.lock`),
    `another process writes the audit log of replica ${replica}; stop it, or start this one as another replica`,
  );
}

/** The same for any file. @param held what to say when another process holds it */
export function lockFile(path: string, held: string): WriterLock {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // Closing any descriptor of a file ends the locks this process holds on it (POSIX): it is opened only to be made.
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;');
  } catch (cause) {
    database.close();
    const { errcode = 0, message } = cause as Error & { readonly errcode?: number };
    if ((errcode & 0xff) !== SQLITE_BUSY)
      throw new InternalError('audit.cannot_open', `the lock ${path} cannot be taken: ${message}`, {
        kind: 'outage',
        cause,
      });
    throw new InternalError('audit.locked', held, { kind: 'outage', cause });
  }
  return { release: () => database.close() };
}
