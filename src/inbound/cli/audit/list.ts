import type { Io } from '../command.ts';
import { type Action, type Given, surplus, textOf } from './action.ts';
import { withReader } from './home.ts';
import { inShort, wholeRecord } from './record-text.ts';

export const listAction: Action = {
  usage: `usage: gatewrit audit list [--limit N] [--home D] [--json]

Opens the last records, oldest first, with the keys of the home.

options
  --limit N  how many records (default 20)
  --home D   home of the gateway (default .gatewrit)
  --json     machine-readable answer

exit: 0 good, 1 nothing found, 2 wrong use, 3 could not run

example
  gatewrit audit list --limit 5
`,
  options: { home: { type: 'string' }, limit: { type: 'string', default: '20' } },
  run(given, io) {
    const limit = textOf(given, 'limit') ?? '';
    if (!/^[1-9][0-9]{0,5}$/.test(limit)) return '--limit takes a number up to 999999';
    return surplus(given) ?? list(Number(limit), given, io);
  },
};

async function list(limit: number, given: Given, io: Io): Promise<number> {
  const records = await withReader(textOf(given, 'home') ?? '.gatewrit', (reader) => reader.last(limit));
  for (const record of records)
    io.stdout(given.json ? `${JSON.stringify(wholeRecord(record))}\n` : `${inShort(record)}\n`);
  if (records.length === 0) io.stderr('gatewrit audit list: the log holds no record yet\n');
  return records.length === 0 ? 1 : 0;
}
