import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LogReader, readVerifiers } from '../../../controls/audit/index.ts';
import { InternalError } from '../../../core/internal-error.ts';
import { openSqliteStore } from '../../../core/store/sqlite.ts';

/** Opens the log of a home with its keys, beside a running gateway too. @throws InternalError `audit.unreadable` */
export async function withReader<T>(home: string, use: (reader: LogReader) => Promise<T>): Promise<T> {
  const path = join(home, 'store', 'gatewrit.db');
  const folder = join(home, 'keys');
  if (!existsSync(path)) throw new InternalError('audit.unreadable', unopened(home, path), { kind: 'outage' });
  const [verifier] = readVerifiers(join(folder, 'audit.pub'));
  const store = openSqliteStore({ path });
  try {
    const keys = { folder, generate: false };
    return await use(await LogReader.open({ home, keys, store, deployment: verifier!.name }));
  } finally {
    await store.close();
  }
}

/** A home that is not one is the usual mistake; a log without its keys is a loss. */
function unopened(home: string, path: string): string {
  return existsSync(join(home, 'audit'))
    ? `${path} is not there: the keys of the records are kept in it; bring it back from the backup`
    : `there is no log in ${home}; name the home of a gateway that was started: --home D`;
}
