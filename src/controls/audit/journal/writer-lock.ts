import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { InternalError } from '../../../core/internal-error.ts';

const SQLITE_BUSY = 5;

/**
 * One writer per journal (architecture.md section 5): an exclusive SQLite transaction is a lock of the operating system
 * that ends with the process, however it ends; a file with a process number in it is not. It lies outside `audit/`.
 * @throws InternalError `audit.locked` when another process holds it, `audit.cannot_open` when nobody can
 */
export function lockWriter(home: string, replica: string): { release(): void } {
  const folder = join(home, 'locks');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `audit-${replica}.lock`);
  closeSync(openSync(path, 'a', 0o600));
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
    throw new InternalError(
      'audit.locked',
      `another process writes the audit log of replica ${replica}; stop it, or start this one as another replica`,
      { kind: 'outage', cause },
    );
  }
  return { release: () => database.close() };
}
