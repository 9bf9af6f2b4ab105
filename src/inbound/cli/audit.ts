import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { LogReader, type OpenRecord, readVerifiers, type VerifyReport, verifyLog } from '../../controls/audit/index.ts';
import { InternalError } from '../../core/internal-error.ts';
import { openSqliteStore } from '../../core/store/sqlite.ts';
import type { Command, Io } from './command.ts';

const usage = `usage: gatewrit audit verify [FOLDER] [--key FILE] [--home D] [--json]
       gatewrit audit show INDEX|CALL-ID [--home D] [--json]
       gatewrit audit list [--limit N] [--home D] [--json]

verify  reads a whole log offline and says whether every byte is the one that was signed. FOLDER is <home>/audit (the
        default) or one replica's folder in it. It needs the public key alone, never one from inside the log:
        --key FILE, else <home>/keys/audit.pub; the home is --home, else the folder around a FOLDER named audit.
show    opens one record, or all records of a call, with the keys of the home
list    opens the last records

options
  --home D   home of the gateway (default .gatewrit)
  --key FILE public key as printed into keys/audit.pub
  --limit N  how many records list shows (default 20)
  --json     machine-readable answer

exit: 0 good, 1 a finding (show, list: nothing found), 2 wrong use, 3 could not run

example
  gatewrit audit verify .gatewrit/audit
`;

interface Values {
  readonly home?: string | undefined;
  readonly key?: string | undefined;
  readonly limit: string;
  readonly json: boolean;
}

export const auditCommand: Command = {
  name: 'audit',
  summary: 'verify and read the audit log',
  usage,
  async run(argv: string[], io: Io): Promise<number> {
    let parsed: { values: Values & { help: boolean }; positionals: string[] };
    try {
      parsed = parseArgs({
        args: argv,
        allowPositionals: true,
        options: {
          home: { type: 'string' },
          key: { type: 'string' },
          limit: { type: 'string', default: '20' },
          json: { type: 'boolean', default: false },
          help: { type: 'boolean', default: false },
        },
      });
    } catch (error) {
      io.stderr(`gatewrit audit: ${(error as Error).message}\n`);
      return 2;
    }
    const { values, positionals } = parsed;
    if (values.help) {
      io.stdout(usage);
      return 0;
    }
    const [action, what, ...more] = positionals;
    try {
      if (action === 'verify' && more.length === 0) return verify(what, values, io);
      if (action === 'show' && what !== undefined && more.length === 0) return await show(what, values, io);
      if (action === 'list' && what === undefined && /^[1-9][0-9]{0,5}$/.test(values.limit))
        return await list(Number(values.limit), values, io);
    } catch (error) {
      if (!(error instanceof InternalError) || error.kind === 'bug') throw error;
      io.stderr(`gatewrit audit: ${error.message}\n`);
      return 3;
    }
    io.stderr(usage);
    return 2;
  },
};

function verify(folder: string | undefined, { home, key, json }: Values, io: Io): number {
  const place = resolve(folder ?? join(home ?? '.gatewrit', 'audit'));
  const around = basename(place) === 'audit' ? dirname(place) : '.gatewrit';
  const keyFile = resolve(key ?? join(home ?? around, 'keys', 'audit.pub'));
  if (keyFile.startsWith(`${place}/`))
    throw new InternalError(
      'audit.unreadable',
      `${keyFile} lies inside the log: a forger would have put his own there`,
      {
        kind: 'outage',
      },
    );
  const verifiers = readVerifiers(keyFile);
  const reports = verifyLog(place, verifiers);
  const good = reports.every((report) => report.findings.length === 0);
  if (json) {
    const keys = verifiers.map(({ name, keyHash }) => `${name}+${keyHash}`);
    io.stdout(`${JSON.stringify({ ok: good, folder: place, key: keyFile, keys, replicas: reports })}\n`);
    return good ? 0 : 1;
  }
  for (const report of reports) io.stdout(describe(report));
  const signers = verifiers.map(({ name, keyHash }) => `${name}+${keyHash}`).join(', ');
  io.stdout(`key: ${keyFile} (${signers})\n`);
  io.stdout(good ? 'GOOD: every byte of the log is accounted for\n' : 'BAD: the log is not the one that was signed\n');
  return good ? 0 : 1;
}

function describe(report: VerifyReport): string {
  const lines = [`replica ${report.replica}: ${report.records} records in ${report.segments} segments`];
  for (const tree of report.trees)
    lines.push(`  ${tree.origin}: ${tree.leaves} records, ${tree.signed} signed, root ${tree.root}`);
  for (const what of report.skipped) lines.push(`  not covered: ${what}`);
  for (const { file, index, what } of report.findings)
    lines.push(`  FINDING ${file}${index === null ? '' : ` record ${index}`}: ${what}`);
  return `${lines.join('\n')}\n`;
}

async function show(what: string, values: Values, io: Io): Promise<number> {
  const records = await withReader(values.home ?? '.gatewrit', (reader) =>
    /^[0-9]{1,15}$/.test(what) ? reader.at(Number(what)) : reader.about(what),
  );
  if (records.length === 0) io.stderr(`gatewrit audit: no record ${what}; list shows the last ones\n`);
  for (const record of records) io.stdout(values.json ? `${JSON.stringify(plain(record))}\n` : `${inFull(record)}\n`);
  return records.length === 0 ? 1 : 0;
}

async function list(limit: number, values: Values, io: Io): Promise<number> {
  const records = await withReader(values.home ?? '.gatewrit', (reader) => reader.last(limit));
  for (const record of records) io.stdout(values.json ? `${JSON.stringify(plain(record))}\n` : `${inShort(record)}\n`);
  return records.length === 0 ? 1 : 0;
}

/** Opens the log of a home with its keys, beside a running gateway too. @throws InternalError `audit.unreadable` */
export async function withReader<T>(home: string, use: (reader: LogReader) => Promise<T>): Promise<T> {
  const path = join(home, 'store', 'gatewrit.db');
  const folder = join(home, 'keys');
  if (!existsSync(path))
    throw new InternalError('audit.unreadable', `${path} is not there: the keys of the records are kept in it`, {
      kind: 'outage',
    });
  const [verifier] = readVerifiers(join(folder, 'audit.pub'));
  const store = openSqliteStore({ path });
  try {
    const keys = { folder, generate: false };
    return await use(await LogReader.open({ home, keys, store, deployment: verifier!.name }));
  } finally {
    await store.close();
  }
}

function plain({ payload, ...record }: OpenRecord): object {
  const items = payload && Object.fromEntries([...payload].map(([name, bytes]) => [name, bytes.toString('utf8')]));
  return { ...record, payload: items };
}

function inFull(record: OpenRecord): string {
  const { replica, index, leaf, origin, envelope, meta, payload, notes } = record;
  const lines = [
    `record ${index} of ${replica} (leaf ${leaf} of ${origin})`,
    `  ${envelope.kind} ${envelope.id} ${new Date(envelope.t_ms).toISOString()}${envelope.refs.length > 0 ? ` refers to leaf ${envelope.refs.join(', ')}` : ''}`,
  ];
  for (const [name, value] of Object.entries(meta ?? {})) lines.push(`  ${name}: ${visible(JSON.stringify(value))}`);
  for (const [name, bytes] of payload ?? [])
    lines.push(`  ${name} (${bytes.length} bytes): ${visible(bytes.toString('utf8'))}`);
  for (const what of notes) lines.push(`  ${what}`);
  return lines.join('\n');
}

function inShort({ index, envelope, meta }: OpenRecord): string {
  const facts = ['subject', 'target', 'method', 'code', 'status', 'would_refuse'].flatMap((name) =>
    meta?.[name] === undefined ? [] : [`${name}=${visible(String(meta[name]))}`],
  );
  return `${String(index).padStart(8)}  ${new Date(envelope.t_ms).toISOString()}  ${envelope.kind.padEnd(8)}  ${facts.join(' ')}`;
}

/** Recorded text is attacker-controlled: it must not steer a terminal. */
function visible(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
}
