import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import {
  cefOf,
  cutTornLine,
  type ExportFacts,
  Intents,
  type LogReader,
  noLog,
  type OpenRecord,
  ocsfEvents,
  otlpOf,
  plainRecord,
} from '../../../controls/audit/index.ts';
import { InternalError } from '../../../core/internal-error.ts';
import { ITSELF } from '../../../core/itself.ts';
import type { Io } from '../command.ts';
import { type Action, type Given, surplus, textOf } from './action.ts';
import { withReader } from './home.ts';
import { progressLine } from './progress.ts';
import { timeFrom } from './times.ts';

const FORMATS = ['ocsf', 'otlp', 'records', 'cef'] as const;
type Format = (typeof FORMATS)[number];
/** Records per line of OTLP, and at most between two writes. */
const BATCH = 500;

export const exportAction: Action = {
  usage: `usage: gatewrit audit export --format FORMAT [options]

Writes what is signed as lines: ocsf (OCSF 1.8.0 events, JSON), otlp (each line a whole OTLP/HTTP logs request), records
(envelope and what stands in it, JSON) or cef (CEF 0, for old collectors); no values of calls in any. With --cursor it goes on where the last export ended; lines
are written before the cursor is, so after a crash some come twice: metadata.uid (origin and leaf) tells them; a line that
was left half in FILE goes. A record that does not open is exported with a note; one that is missing ends the export.

options
  --format F       ocsf, otlp, records or cef (default ocsf)
  --from INDEX     journal index to begin with (default 0)
  --since TIME     records from then on: 2026-11-22, 2026-11-22T10:00:00Z, or 2h, 7d ago
  --until TIME     records before then (not with --cursor)
  --replica R      this replica alone (needed with --from when there are several)
  --out FILE       append to this file (0600 when made) instead of stdout
  --cursor FILE    where to go on, kept in this file
  --home D         home of the gateway (default .gatewrit)

exit: 0 good, 2 wrong use, 3 could not run

example
  gatewrit audit export --format ocsf --cursor siem.cursor --out siem.jsonl
`,
  options: {
    ...Object.fromEntries(
      ['from', 'since', 'until', 'replica', 'out', 'cursor', 'home'].map((name) => [name, { type: 'string' }]),
    ),
    format: { type: 'string', default: 'ocsf' },
  } as Action['options'],
  run(given, io) {
    const plan = planOf(given, Date.now());
    return typeof plan === 'string' ? plan : (surplus(given) ?? exportLog(plan, given, io));
  },
};

interface Plan {
  readonly format: Format;
  readonly from: number | null;
  readonly since: number;
  readonly until: number;
}

/** A sentence when an option makes no sense. */
function planOf(given: Given, now: number): Plan | string {
  const format = textOf(given, 'format') as Format;
  if (!FORMATS.includes(format)) return `--format is one of ${FORMATS.join(', ')}`;
  const from = textOf(given, 'from');
  if (from !== undefined && !/^[0-9]{1,15}$/.test(from)) return '--from takes a journal index';
  if (from !== undefined && textOf(given, 'cursor') !== undefined) return 'either --from or --cursor';
  if (textOf(given, 'until') !== undefined && textOf(given, 'cursor') !== undefined)
    return 'either --until or --cursor: what comes after is behind the cursor and would never be exported';
  const times = { since: Number.NEGATIVE_INFINITY, until: Number.POSITIVE_INFINITY };
  for (const name of ['since', 'until'] as const) {
    const text = textOf(given, name);
    const time = text === undefined ? times[name] : timeFrom(text, now);
    if (time === null) return `--${name} takes 2026-11-22, 2026-11-22T10:00:00Z, or 2h, 7d`;
    times[name] = time;
  }
  return { format, from: from === undefined ? null : Number(from), ...times };
}

async function exportLog(plan: Plan, given: Given, io: Io): Promise<number | string> {
  const home = textOf(given, 'home') ?? '.gatewrit';
  const wanted = textOf(given, 'replica');
  return withReader(home, async (reader) => {
    const replicas = reader.replicas().filter((replica) => wanted === undefined || replica === wanted);
    if (replicas.length === 0) throw noLog(home, wanted);
    if (plan.from !== null && replicas.length > 1) return `--from needs --replica: ${replicas.join(', ')}`;
    const cursor = Cursor.open(textOf(given, 'cursor'), reader.deployment);
    const out = await openOutput(textOf(given, 'out'), cursor.isKept, io);
    const line = progressLine('exporting');
    const facts = { deployment: reader.deployment, version: ITSELF.version };
    try {
      for (const replica of replicas) {
        const from = plan.from ?? cursor.next(replica);
        const written = async (next: number) => {
          await out.flush();
          cursor.keep(replica, next);
          line.said(replica, next, reader.durable(replica));
        };
        await exportReplica(reader, { replica, from, plan, facts, write: out.write, written });
      }
    } finally {
      line.end();
      await out.close();
    }
    return 0;
  });
}

interface Part {
  readonly replica: string;
  readonly from: number;
  readonly plan: Plan;
  readonly facts: ExportFacts;
  readonly write: (line: string) => void;
  /** Everything before `next` is written. */
  readonly written: (next: number) => Promise<void>;
}

async function exportReplica(reader: LogReader, { replica, from, plan, facts, write, written }: Part): Promise<void> {
  const intents = new Intents();
  const { format, since, until } = plan;
  let batch: OpenRecord[] = [];
  const put = () => {
    if (format === 'otlp' && batch.length > 0) write(`${JSON.stringify(otlpOf(batch, facts, intents))}\n`);
    else if (format === 'records') for (const record of batch) write(`${JSON.stringify(plainRecord(record))}\n`);
    else if (format !== 'otlp')
      for (const record of batch)
        for (const event of ocsfEvents(record, facts, intents.of(record)))
          write(`${format === 'cef' ? cefOf(event) : JSON.stringify(event)}\n`);
    batch = [];
  };
  // Asked before: what is signed while this runs is for the next export.
  const end = reader.durable(replica);
  try {
    const only = ({ t_ms: time }: OpenRecord['envelope']) => time >= since && time < until;
    for await (const record of reader.follow(replica, from, { only })) {
      if (record.index >= end) break;
      batch.push(record);
      if (batch.length < BATCH) continue;
      put();
      await written(record.index + 1);
    }
  } catch (error) {
    // What came before the gap is whole: it goes out, and the cursor stays before the gap.
    const last = batch.at(-1);
    put();
    if (last) await written(last.index + 1);
    throw error;
  }
  put();
  await written(Math.max(from, end));
}

/** Where each replica goes on: `{"deployment":…,"next":{"<replica>":<journal index>},"v":1}`. */
class Cursor {
  readonly #path: string | undefined;
  readonly #deployment: string;
  readonly #next: Map<string, number>;

  private constructor(path: string | undefined, deployment: string, next: Map<string, number>) {
    this.#path = path;
    this.#deployment = deployment;
    this.#next = next;
  }

  /** @throws InternalError `audit.cursor` when the file is not one of ours for this deployment */
  static open(path: string | undefined, deployment: string): Cursor {
    if (path === undefined || !existsSync(path)) return new Cursor(path, deployment, new Map());
    let kept: { v?: unknown; deployment?: unknown; next?: unknown } | null = null;
    try {
      kept = JSON.parse(readFileSync(path, 'utf8'));
    } catch {
      // Said below.
    }
    const next = Object.entries((kept?.next as Record<string, unknown> | undefined) ?? {});
    if (kept?.v !== 1 || kept.deployment !== deployment || next.some(([, index]) => !isIndex(index)))
      throw new InternalError(
        'audit.cursor',
        `${path} is no cursor of the deployment ${deployment}; remove it to begin anew`,
        {
          kind: 'outage',
        },
      );
    return new Cursor(path, deployment, new Map(next as [string, number][]));
  }

  get isKept(): boolean {
    return this.#path !== undefined;
  }

  next(replica: string): number {
    return this.#next.get(replica) ?? 0;
  }

  keep(replica: string, next: number): void {
    this.#next.set(replica, next);
    if (this.#path === undefined) return;
    const partial = `${this.#path}.partial`;
    const body = { deployment: this.#deployment, next: Object.fromEntries(this.#next), v: 1 };
    writeFileSync(partial, `${JSON.stringify(body)}\n`, { mode: 0o600, flush: true });
    renameSync(partial, this.#path);
  }
}

function isIndex(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

interface Output {
  readonly write: (text: string) => void;
  /** Resolves when what was written has left this process. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** @param goesOn behind what an export before this one wrote, which may have been interrupted in a line */
async function openOutput(path: string | undefined, goesOn: boolean, io: Io): Promise<Output> {
  if (path === undefined) {
    return {
      write: io.stdout,
      // An empty write is done when everything before it is.
      flush: () =>
        new Promise((resolve, reject) => process.stdout.write('', (error) => (error ? reject(error) : resolve()))),
      close: async () => undefined,
    };
  }
  const file = await open(path, 'a+', 0o600);
  if (goesOn) await cutTornLine(file);
  let pending: string[] = [];
  const flush = async () => {
    if (pending.length === 0) return;
    await file.appendFile(pending.join(''));
    pending = [];
    await file.sync();
  };
  return { write: (text) => void pending.push(text), flush, close: () => file.close() };
}
