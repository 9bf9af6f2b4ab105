import { mkdirSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { InternalError } from '../../../core/internal-error.ts';
import type { RecordKind } from '../format/envelope.ts';
import type { FollowedRecord, LogReader, OpenRecord } from '../reader/read.ts';
import { IndexFile, type IndexState, removeIndex, type StoredDay } from './index-file.ts';
import {
  addToDay,
  chainedText,
  type DaySum,
  dayName,
  dayOf,
  EMPTY_DAY,
  type IndexRow,
  TOKEN_COLUMNS,
  type TokenColumn,
  Tokenizer,
} from './rows.ts';

const BATCH = 2_000;
const DAY_MS = 86_400_000;
/** More rows than this are compared with the sums of their days only when that is asked for: it takes a second or two. */
const QUICK_ROWS = 250_000;
const FINDINGS = 100;

export interface SearchQuery extends Partial<Readonly<Record<TokenColumn, string>>> {
  readonly kind?: RecordKind;
  /** ms UTC: from `since` on, before `until`. */
  readonly since?: number;
  readonly until?: number;
  /** The newest so many. */
  readonly limit: number;
}

/** Something between the index and the log that should not be; for people. */
export interface IndexFinding {
  readonly replica: string;
  readonly index: number | null;
  readonly what: string;
}

export interface SearchAnswer {
  /** Oldest first, opened from the log. */
  readonly records: readonly OpenRecord[];
  readonly findings: readonly IndexFinding[];
  /** UTC days whose rows were compared with their sums; null: there are too many, `check` compares them. */
  readonly days: number | null;
}

export interface CheckedDay {
  readonly day: string;
  readonly records: number;
  /** Chain over the ordered leaf hashes (see DaySum), base64. */
  readonly leaves: string;
}

/** `done` of `total` records of a replica are in its index. */
export type Progress = (replica: string, done: number, total: number) => void;

/**
 * The query index of one replica: built and brought up to date from the log by whoever searches, checked whenever it is
 * used, thrown away when in doubt. It finds records; what they say comes from the log.
 */
export class LogIndex {
  readonly replica: string;
  readonly #reader: LogReader;
  readonly #tokens: Tokenizer;
  readonly #path: string;
  #file: IndexFile;
  /** Why the index was built anew, for people; null: it was not. */
  rebuilt: string | null = null;

  private constructor(reader: LogReader, replica: string, path: string) {
    this.replica = replica;
    this.#reader = reader;
    this.#tokens = new Tokenizer(reader.derive('audit query index 1'));
    this.#path = path;
    this.#file = IndexFile.open(path).file;
  }

  /** Opens the index of a replica in `<home>/audit-index` and brings it up to what is signed. */
  static async open(
    reader: LogReader,
    options: { home: string; replica: string; rebuild?: boolean; progress?: Progress },
  ): Promise<LogIndex> {
    const folder = join(options.home, 'audit-index');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, `${options.replica}.db`);
    if (options.rebuild) removeIndex(path);
    const index = new LogIndex(reader, options.replica, path);
    try {
      await index.#guarded(async () => {
        const why = await index.#unlike();
        if (why) {
          index.rebuilt = why;
          index.#file.transaction(() => index.#file.empty());
        }
        await index.#update(Number.POSITIVE_INFINITY, options.progress);
      });
    } catch (error) {
      index.close();
      throw error;
    }
    return index;
  }

  get size(): number {
    return this.#file.state()?.next ?? 0;
  }

  /** The newest rows that match, opened from the log; what does not fit together is said. */
  search(query: SearchQuery): Promise<SearchAnswer> {
    return this.#guarded(() => this.#search(query));
  }

  async #search(query: SearchQuery): Promise<SearchAnswer> {
    const { kind, since, until, limit } = query;
    const tokens = TOKEN_COLUMNS.flatMap((column) => {
      const value = query[column];
      return value === undefined ? [] : [[column, this.#tokens.token(column, value)] as const];
    });
    const rows = this.#file.find({
      tokens,
      anyCodeOf: 'refusals',
      limit,
      ...(kind === undefined ? {} : { kind }),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
    });
    const { findings, days } = this.#checkDays(since, until);
    const records: OpenRecord[] = [];
    for (const row of rows.reverse()) {
      const record = await this.#reader.atPlace(this.replica, row.idx, row);
      if (!record?.leafHash.equals(row.leafHash))
        findings.push({ replica: this.replica, index: row.idx, what: 'its row in the index is not of this log' });
      else if (row.kind !== 'refusals' || query.code === undefined || namesCode(record, query.code))
        records.push(record);
    }
    return { records, findings, days };
  }

  /** The record at a leaf of a tenant's tree: what `refs` of another name. */
  async atLeaf(tree: string, leaf: number): Promise<OpenRecord | null> {
    const row = this.#file.byLeaf(tree, leaf);
    return row && this.#reader.atPlace(this.replica, row.idx, row);
  }

  /** Builds the index again beside the one that is there and compares every row and day. */
  check(progress?: Progress): Promise<{ findings: IndexFinding[]; days: CheckedDay[] }> {
    return this.#guarded(() => this.#check(progress));
  }

  async #check(progress?: Progress): Promise<{ findings: IndexFinding[]; days: CheckedDay[] }> {
    const path = `${this.#path}.check-${process.pid}`;
    removeLeftOver(this.#path);
    const other = new LogIndex(this.#reader, this.replica, path);
    try {
      await other.#update(this.size, progress);
      const findings = [...this.#differences(other)];
      const days = other.#file.days();
      for (const sum of this.#badDays(this.#file.days())) findings.push(sum);
      const checked = days.map(({ day, rows, leaves }) => ({
        day: dayName(day),
        records: rows,
        leaves: leaves.toString('base64'),
      }));
      return { findings, days: checked };
    } finally {
      other.close();
      removeIndex(path);
    }
  }

  close(): void {
    this.#file.close();
  }

  /** Why this index is not one of this log under these keys; null when it is, or is empty. */
  async #unlike(): Promise<string | null> {
    const state = this.#file.state();
    if (!state) return this.#file.count() > 0 ? 'it did not say how far it goes' : null;
    if (!this.#isOurs(state)) return 'it was changed, or built under other keys';
    if (state.next > this.#reader.durable(this.replica)) return 'it is of a log that is longer';
    const row = state.next > 0 ? this.#file.row(state.next - 1) : null;
    if (state.next === 0) return null;
    // A row that is missing is for the check to name; it says nothing of the log.
    if (!row) return null;
    const record = await this.#reader.atPlace(this.replica, row.idx, row);
    return record?.leafHash.equals(row.leafHash) ? null : 'it is of another log';
  }

  async #update(to: number, progress?: Progress): Promise<void> {
    for (;;) {
      const from = this.#file.state()?.next ?? 0;
      const total = Math.min(to, this.#reader.durable(this.replica));
      if (from >= total) return;
      let batch: FollowedRecord[] = [];
      let first = from;
      let moved = false;
      for await (const record of this.#reader.follow(this.replica, from)) {
        if (record.index >= to) break;
        batch.push(record);
        if (batch.length < BATCH) continue;
        if (!this.#add(batch, first)) {
          moved = true;
          break;
        }
        first += batch.length;
        batch = [];
        progress?.(this.replica, first, total);
      }
      if (!moved && batch.length > 0) this.#add(batch, first);
    }
  }

  /** Adds rows in one transaction; false when another process was there first. */
  #add(batch: readonly FollowedRecord[], first: number): boolean {
    return this.#file.transaction(() => {
      if ((this.#file.state()?.next ?? 0) !== first) return false;
      const days = new Map<number, DaySum>();
      for (const record of batch) {
        const row = this.#withIntent(this.#tokens.rowOf(record), record);
        this.#file.insert(row);
        const day = dayOf(row.time);
        days.set(day, addToDay(days.get(day) ?? this.#file.day(day) ?? EMPTY_DAY, row));
      }
      for (const [day, sum] of days) this.#file.setDay({ day, ...sum, mac: this.#dayMac(day, sum) });
      const next = first + batch.length;
      this.#file.setState({ next, mac: this.#tokens.mac(`state\n${this.replica}\n${next}`) });
      return true;
    });
  }

  /** An outcome does not say again by whom and with what it was begun: its intent did. */
  #withIntent(row: IndexRow, { envelope, meta }: FollowedRecord): IndexRow {
    const [ref] = envelope.refs;
    if (row.kind !== 'outcome' || meta?.['intent'] === undefined || ref === undefined) return row;
    const intent = this.#file.byLeaf(row.tree, ref);
    if (intent?.kind !== 'intent') return row;
    const { issuer, client, approval } = intent;
    return { ...row, issuer: row.issuer ?? issuer, client: row.client ?? client, approval: row.approval ?? approval };
  }

  /** Compares the rows of the days a search looks at with their sums, unless there are very many. */
  #checkDays(since?: number, until?: number): { findings: IndexFinding[]; days: number | null } {
    const all = this.#file.days();
    const touched = all.filter(
      ({ day }) => (since === undefined || (day + 1) * DAY_MS > since) && (until === undefined || day * DAY_MS < until),
    );
    const findings: IndexFinding[] = [];
    if (all.reduce((sum, { rows }) => sum + rows, 0) !== this.size)
      findings.push(this.#finding('the days of the index do not add up to its records; --check names what is missing'));
    if (touched.reduce((sum, { rows }) => sum + rows, 0) > QUICK_ROWS) return { findings, days: null };
    for (const finding of this.#badDays(touched)) findings.push(finding);
    return { findings, days: touched.length };
  }

  *#badDays(days: readonly StoredDay[]): Generator<IndexFinding> {
    for (const stored of days) {
      const { day, rows, sum } = stored;
      if (!this.#dayMac(day, stored).equals(stored.mac)) {
        yield this.#finding(`the sum of ${dayName(day)} was changed`);
        continue;
      }
      let count = 0;
      let found = EMPTY_DAY.sum;
      for (const { text } of this.#file.texts({ from: day * DAY_MS, to: (day + 1) * DAY_MS })) {
        found = chainedText(found, text);
        count++;
      }
      if (count !== rows) yield this.#finding(`${dayName(day)}: ${count} rows of ${rows}`);
      else if (found !== sum) yield this.#finding(`${dayName(day)}: a row was changed`);
    }
  }

  *#differences(built: LogIndex): Generator<IndexFinding> {
    let count = 0;
    const rows = this.#file.texts();
    let mine = rows.next();
    for (const theirs of built.#file.texts()) {
      while (!mine.done && mine.value.idx < theirs.idx) {
        if (count++ < FINDINGS) yield this.#finding('there is no such record in the log', mine.value.idx);
        mine = rows.next();
      }
      if (mine.done || mine.value.idx > theirs.idx) {
        if (count++ < FINDINGS) yield this.#finding('its row is missing', theirs.idx);
        continue;
      }
      if (mine.value.text !== theirs.text && count++ < FINDINGS) yield this.#finding('its row was changed', theirs.idx);
      mine = rows.next();
    }
    for (; !mine.done; mine = rows.next())
      if (count++ < FINDINGS) yield this.#finding('there is no such record in the log', mine.value.idx);
    if (count > FINDINGS) yield this.#finding(`and ${count - FINDINGS} rows more`);
  }

  #dayMac(day: number, { rows, leaves, sum }: DaySum): Buffer {
    return this.#tokens.mac(`day\n${this.replica}\n${day}\n${rows}\n${leaves.toString('hex')}\n${sum}`);
  }

  #isOurs({ next, mac }: IndexState): boolean {
    return this.#tokens.mac(`state\n${this.replica}\n${next}`).equals(mac);
  }

  /** What SQLite throws is about the file: for a person, one sentence. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof InternalError || (cause as { code?: unknown }).code !== 'ERR_SQLITE_ERROR') throw cause;
      throw new InternalError('audit.index', `${this.#path} cannot be read or written; search with --rebuild`, {
        kind: 'outage',
        cause,
      });
    }
  }

  #finding(what: string, index: number | null = null): IndexFinding {
    return { replica: this.replica, index, what };
  }
}

/** A check that was killed leaves its file behind. */
function removeLeftOver(path: string): void {
  for (const name of readdirSync(dirname(path))) {
    const [, pid] = /\.db\.check-([0-9]+)$/.exec(name) ?? [];
    if (pid === undefined || !name.startsWith(`${basename(path)}.check-`)) continue;
    if (Number(pid) === process.pid || !isAlive(Number(pid))) removeIndex(join(dirname(path), name));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function namesCode({ meta }: OpenRecord, code: string): boolean {
  const codes = meta?.['codes'];
  return typeof codes === 'object' && codes !== null && Object.hasOwn(codes, code);
}

/** Why nothing can be searched here. */
export function noLog(home: string, replica: string | undefined): InternalError {
  const whose = replica === undefined ? '' : ` of a replica "${replica}"`;
  return new InternalError('audit.unreadable', `there is no log${whose} below ${join(home, 'audit')}`, {
    kind: 'outage',
  });
}
