import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { auditSettings, keptKek, openAudit, readVerifiers } from '../../../controls/audit/index.ts';
import { InternalError } from '../../../core/internal-error.ts';
import { openSqliteStore } from '../../../core/store/sqlite.ts';
import type { Io } from '../command.ts';
import { type Action, type Given, surplus, textOf } from './action.ts';

export const retireAction: Action = {
  usage: `usage: gatewrit audit retire --replica R --reason TEXT [--home D] [--json]

Ends the log of one replica for good: a last leaf in every tree of it. A process that starts as this replica is refused
from then on, and records behind the last leaf are a finding of audit verify. Stop the process first. The folder stays:
it is evidence, and the roll-up misses it when it is gone.

options
  --replica R    its folder below HOME/audit
  --reason TEXT  why, kept in the records
  --home D       home of the gateway (default .gatewrit)
  --json         machine-readable answer

exit: 0 retired, 2 wrong use, 3 could not run

example
  gatewrit audit retire --replica node-1 --reason "machine replaced, ticket 41"
`,
  options: { home: { type: 'string' }, replica: { type: 'string' }, reason: { type: 'string' } },
  run(given, io) {
    const replica = textOf(given, 'replica');
    const reason = textOf(given, 'reason');
    if (!replica || !reason) return `${replica ? '--reason' : '--replica'} is missing`;
    return surplus(given) ?? retire(textOf(given, 'home') ?? '.gatewrit', replica, reason, given, io);
  },
};

/** Takes the writer's lock: a replica that runs is not retired. */
async function retire(home: string, replica: string, reason: string, given: Given, io: Io): Promise<number> {
  const path = join(home, 'store', 'gatewrit.db');
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(replica) || !existsSync(join(home, 'audit', replica, 'segments')))
    throw new InternalError('audit.unreadable', `${home} has no log of a replica of that name`, { kind: 'outage' });
  if (!existsSync(path))
    throw new InternalError('audit.unreadable', `${path} is not there: it holds the keys of the records`, {
      kind: 'outage',
    });
  const keys = { folder: join(home, 'keys'), generate: false };
  const [verifier] = readVerifiers(join(keys.folder, 'audit.pub'));
  const store = openSqliteStore({ path });
  try {
    const audit = await openAudit({
      settings: auditSettings.parse({ kek: keptKek(keys.folder) }),
      home,
      keys,
      store,
      deployment: verifier!.name,
      replica,
      retire: true,
      onFatal: (error) => io.stderr(`gatewrit audit retire: ${error.message}\n`),
    });
    let trees: number;
    try {
      trees = await audit.retire({ by: `operator uid ${process.getuid?.() ?? 'unknown'}`, reason });
    } finally {
      await audit.close();
    }
    io.stdout(
      given.json
        ? `${JSON.stringify({ retired: replica, trees })}\n`
        : `Retired ${replica}: ${trees} trees have their last leaf. It never starts again; keep its folder.\n`,
    );
    return 0;
  } finally {
    await store.close();
  }
}
