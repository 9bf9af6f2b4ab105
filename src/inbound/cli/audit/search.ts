import {
  type CheckedDay,
  type IndexFinding,
  LogIndex,
  type LogReader,
  noLog,
  type OpenRecord,
  plainRecord,
  RECORD_KINDS,
  type RecordKind,
  type SearchQuery,
} from '../../../controls/audit/index.ts';
import type { Io } from '../command.ts';
import { type Action, type Given, surplus, textOf } from './action.ts';
import { withReader } from './home.ts';
import { progressLine } from './progress.ts';
import { inShort, visible } from './record-text.ts';
import { timeFrom } from './times.ts';

const FIELDS = ['subject', 'issuer', 'client', 'tenant', 'code', 'call', 'approval', 'address'] as const;

export const searchAction: Action = {
  usage: `usage: gatewrit audit search [options]

Finds records by who, what and when, oldest first, in the query index of this home (<home>/audit-index): built from the
log and brought up to date first, it holds tokens and no value. What is printed is opened from the log itself. The rows of
the days that are looked at are compared with their sums: a row that was removed or changed is a finding.

options
  --subject S      who called (or decided, or asked for an erasure)
  --issuer I       who vouched for them
  --client C       OAuth client
  --tenant T       tenant (system: callers nobody knows)
  --target T       server/tool, or a server
  --code C         code of a refusal
  --kind K         ${RECORD_KINDS.slice(0, 7).join(', ')},
                   ${RECORD_KINDS.slice(7).join(', ')}
  --call ID        correlation id of a call
  --approval ID    id of an approval
  --address A      address of a caller nobody knew
  --since TIME     from then on: 2026-11-22, 2026-11-22T10:00:00Z, or 2h, 7d ago
  --until TIME     before then
  --limit N        the newest so many (default 100)
  --replica R      this replica alone
  --check          build the index again beside it, compare every row and day with the log, and say what differs
  --rebuild        throw the index away first
  --home D         home of the gateway (default .gatewrit)
  --json           machine-readable answer: one record per line

exit: 0 good, 1 a finding (or nothing found), 2 wrong use, 3 could not run

example
  gatewrit audit search --code authorization.denied --since 7d
`,
  options: {
    ...Object.fromEntries(
      [...FIELDS, 'target', 'kind', 'since', 'until', 'replica', 'home'].map((name) => [name, { type: 'string' }]),
    ),
    limit: { type: 'string', default: '100' },
    check: { type: 'boolean' },
    rebuild: { type: 'boolean' },
  } as Action['options'],
  run(given, io) {
    const query = queryOf(given, Date.now());
    return typeof query === 'string' ? query : (surplus(given) ?? search(query, given, io));
  },
};

/** A sentence when an option makes no sense. */
function queryOf(given: Given, now: number): SearchQuery | string {
  const limit = textOf(given, 'limit') ?? '';
  if (!/^[1-9][0-9]{0,5}$/.test(limit)) return '--limit takes a number up to 999999';
  const kind = textOf(given, 'kind');
  if (kind !== undefined && !(RECORD_KINDS as readonly string[]).includes(kind))
    return `--kind is one of ${RECORD_KINDS.join(', ')}`;
  const query: { -readonly [K in keyof SearchQuery]: SearchQuery[K] } = { limit: Number(limit) };
  if (kind !== undefined) query.kind = kind as RecordKind;
  for (const name of ['since', 'until'] as const) {
    const text = textOf(given, name);
    if (text === undefined) continue;
    const time = timeFrom(text, now);
    if (time === null) return `--${name} takes 2026-11-22, 2026-11-22T10:00:00Z, or 2h, 7d`;
    query[name] = time;
  }
  for (const name of FIELDS) {
    const value = textOf(given, name);
    if (value !== undefined) query[name] = value;
  }
  const target = textOf(given, 'target');
  if (target !== undefined) query[target.includes('/') ? 'target' : 'server'] = target;
  return query;
}

async function search(query: SearchQuery, given: Given, io: Io): Promise<number> {
  const home = textOf(given, 'home') ?? '.gatewrit';
  return withReader(home, async (reader) => {
    const records: OpenRecord[] = [];
    const findings: IndexFinding[] = [];
    const days: Record<string, readonly CheckedDay[]> = {};
    await withIndexes(reader, { home, given, io }, async (index) => {
      if (given.values['check']) {
        const line = progressLine('checking');
        const checked = await index.check(line.said);
        line.end();
        findings.push(...checked.findings);
        days[index.replica] = checked.days;
        return;
      }
      const answer = await index.search(query);
      records.push(...answer.records);
      findings.push(...answer.findings);
      if (answer.days === null)
        io.stderr(`gatewrit audit: too many rows of ${index.replica} to compare with their sums now; --check does\n`);
    });
    for (const { replica, index, what } of findings)
      io.stderr(`FINDING index of ${replica}${index === null ? '' : ` record ${index}`}: ${what}\n`);
    if (given.values['check']) {
      if (given.json) io.stdout(`${JSON.stringify({ ok: findings.length === 0, findings, days })}\n`);
      else io.stdout(checkedText(days, findings.length));
      return findings.length === 0 ? 0 : 1;
    }
    records.sort((a, b) => a.envelope.t_ms - b.envelope.t_ms);
    for (const record of records.slice(-query.limit))
      io.stdout(
        given.json
          ? `${JSON.stringify(plainRecord(record))}\n`
          : `${inShort(record)}  leaf=${record.leaf} ${record.leafHash.toString('base64')}\n`,
      );
    if (records.length === 0)
      io.stderr('gatewrit audit: nothing found among what is signed; list shows the last records\n');
    return records.length === 0 || findings.length > 0 ? 1 : 0;
  });
}

/** Opens, brings up to date and closes the index of each replica that is asked for. */
export async function withIndexes(
  reader: LogReader,
  { home, given, io }: { home: string; given: Given; io: Io },
  use: (index: LogIndex) => Promise<void>,
): Promise<void> {
  const wanted = textOf(given, 'replica');
  const replicas = reader.replicas().filter((replica) => wanted === undefined || replica === wanted);
  if (replicas.length === 0) throw noLog(home, wanted);
  for (const replica of replicas) {
    const line = progressLine('indexing');
    const rebuild = given.values['rebuild'] === true;
    const index = await LogIndex.open(reader, { home, replica, rebuild, progress: line.said });
    line.end();
    try {
      if (index.rebuilt) io.stderr(`gatewrit audit: the index of ${replica} was built anew: ${index.rebuilt}\n`);
      await use(index);
    } finally {
      index.close();
    }
  }
}

function checkedText(days: Readonly<Record<string, readonly CheckedDay[]>>, findings: number): string {
  const lines = Object.entries(days).flatMap(([replica, list]) => [
    `replica ${replica}`,
    ...list.map(({ day, records, leaves }) => `  ${visible(day)}  ${String(records).padStart(9)} records  ${leaves}`),
  ]);
  return `${lines.join('\n')}\n${findings === 0 ? 'GOOD: every record of the log is in the index, unchanged' : 'BAD: the index is not what the log says; --rebuild makes it anew'}\n`;
}
