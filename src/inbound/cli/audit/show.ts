import type { Io } from '../command.ts';
import { type Action, type Given, textOf } from './action.ts';
import { withReader } from './home.ts';
import { inFull, plain } from './record-text.ts';

export const showAction: Action = {
  usage: `usage: gatewrit audit show INDEX|CALL-ID [--home D] [--json]

Opens one record, or all records of a call, with the keys of the home.

options
  --home D   home of the gateway (default .gatewrit)
  --json     machine-readable answer

exit: 0 good, 1 nothing found, 2 wrong use, 3 could not run

example
  gatewrit audit show 0
`,
  options: { home: { type: 'string' } },
  run(given, io) {
    const [what, ...more] = given.positionals;
    return what === undefined || more.length > 0 ? null : show(what, given, io);
  },
};

async function show(what: string, given: Given, io: Io): Promise<number> {
  const records = await withReader(textOf(given, 'home') ?? '.gatewrit', (reader) =>
    /^[0-9]{1,15}$/.test(what) ? reader.at(Number(what)) : reader.about(what),
  );
  if (records.length === 0) io.stderr(`gatewrit audit: no record ${what}; list shows the last ones\n`);
  for (const record of records) io.stdout(given.json ? `${JSON.stringify(plain(record))}\n` : `${inFull(record)}\n`);
  return records.length === 0 ? 1 : 0;
}
