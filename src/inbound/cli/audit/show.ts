import type { LogReader, OpenRecord } from '../../../controls/audit/index.ts';
import type { Io } from '../command.ts';
import { type Action, type Given, surplus, textOf } from './action.ts';
import { withReader } from './home.ts';
import { inFull, wholeRecord } from './record-text.ts';
import { withIndexes } from './search.ts';

export const showAction: Action = {
  usage: `usage: gatewrit audit show INDEX|CALL-ID|RECORD-ID [--home D] [--json]

Opens one record by its journal index, or everything about a call: its records, the approval it used, and which of them
refers to which. What was erased says so. A call is found in the query index (see search), a record id by reading the log.

options
  --replica R  this replica alone
  --home D     home of the gateway (default .gatewrit)
  --json       machine-readable answer: one record per line

exit: 0 good, 1 nothing found, 2 wrong use, 3 could not run

example
  gatewrit audit show 0
`,
  options: { home: { type: 'string' }, replica: { type: 'string' } },
  run(given, io) {
    const [what] = given.positionals;
    return what === undefined ? 'name a record or a call' : (surplus(given, 1) ?? show(what, given, io));
  },
};

async function show(what: string, given: Given, io: Io): Promise<number> {
  const home = textOf(given, 'home') ?? '.gatewrit';
  const records = await withReader(home, async (reader) => {
    if (/^[0-9]{1,15}$/.test(what)) return reader.at(Number(what), textOf(given, 'replica'));
    const found = await aboutCall(reader, what, { home, given, io });
    // Not a call, or one whose records nobody has signed yet.
    return found.length > 0 ? found : reader.about(what);
  });
  if (records.length === 0) io.stderr(`gatewrit audit: no record ${what}; list shows the last ones\n`);
  for (const record of records)
    io.stdout(
      given.json ? `${JSON.stringify(wholeRecord(record))}\n` : `${inFull(record, linksOf(record, records))}\n`,
    );
  return records.length === 0 ? 1 : 0;
}

const LIMIT = 1_000;

/** The records of a call, those of the approval it used, and those that any of them refers to; in the order of the journal. */
async function aboutCall(
  reader: LogReader,
  call: string,
  where: { home: string; given: Given; io: Io },
): Promise<OpenRecord[]> {
  if (reader.replicas().length === 0) return [];
  const all: OpenRecord[] = [];
  await withIndexes(reader, where, async (index) => {
    const found = new Map<number, OpenRecord>();
    const take = (records: readonly OpenRecord[]) => {
      for (const record of records) found.set(record.index, record);
    };
    take((await index.search({ call, limit: LIMIT })).records);
    const approvals = new Set([...found.values()].flatMap(({ meta }) => meta?.['approval'] ?? []));
    for (const approval of approvals)
      if (typeof approval === 'string') take((await index.search({ approval, limit: LIMIT })).records);
    for (const { envelope, origin } of [...found.values()]) {
      for (const leaf of envelope.refs) {
        const record = await index.atLeaf(origin.split('/').at(-2) ?? '', leaf);
        if (record) found.set(record.index, record);
      }
    }
    all.push(...[...found.values()].sort((a, b) => a.index - b.index));
  });
  return all;
}

function linksOf({ origin, leaf, envelope }: OpenRecord, records: readonly OpenRecord[]): string[] {
  const same = records.filter((other) => other.origin === origin);
  const name = ({ index, envelope: { kind } }: OpenRecord) => `record ${index} (${kind})`;
  return [
    ...same.filter((other) => envelope.refs.includes(other.leaf)).map((other) => `refers to ${name(other)}`),
    ...same.filter((other) => other.envelope.refs.includes(leaf)).map((other) => `referred to by ${name(other)}`),
  ];
}
