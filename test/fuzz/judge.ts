import { join } from 'node:path';
import type { OpenRecord } from '../../src/controls/audit/index.ts';
import { REFUSALS, type RefusalCode } from '../../src/core/mcp/refusals.ts';
import type { Quickstart } from '../e2e/quickstart.ts';
import type { RawAnswer } from '../e2e/raw-http.ts';
import { endings, recordsOf } from '../e2e/recorded.ts';

/** What one fuzzer sent and was told. */
export interface Account {
  readonly subject: string;
  requests: number;
  /** Most records there may be beyond the answers that were seen. */
  uncertain: number;
  /** Answers that promise a record, by the public word; '' for results. */
  readonly words: Map<string, number>;
  /** Word by correlation id. */
  readonly calls: Map<string, string>;
  readonly statuses: Map<string, number>;
  readonly failures: string[];
  take(answer: RawAnswer): void;
}

export function accountOf(subject: string): Account {
  const account: Account = {
    subject,
    requests: 0,
    uncertain: 0,
    words: new Map(),
    calls: new Map(),
    statuses: new Map(),
    failures: [],
    take(answer) {
      const { statuses, words, calls, failures } = account;
      const batch = batchOf(answer);
      if (batch) {
        // Its notifications leave records and no answers.
        account.uncertain += MAX_BATCH;
        for (const body of batch) account.take({ ...answer, body });
        return;
      }
      count(statuses, String(answer.status));
      const said = readAnswer(answer);
      if (said === 'no record') return;
      if (said === 'bare') {
        // To HEAD, or the HTTP parser gave up: before a request there is no record, in the middle of its body there is one.
        account.uncertain += 1;
        return;
      }
      count(words, said.word);
      if (said.call === '') return;
      if (calls.has(said.call)) failures.push(`two answers name call ${said.call}`);
      calls.set(said.call, said.word);
      if (said.word === 'INTERNAL_ERROR') failures.push(`something threw inside: call ${said.call}`);
    },
  };
  return account;
}

const MAX_BATCH = 64;

/** The answers in the answer to a batch; null when it is a single one. */
function batchOf({ headers, body }: RawAnswer): Buffer[] | null {
  if (body[0] !== 0x5b || !headers['content-type']?.startsWith('application/json')) return null;
  return (JSON.parse(body.toString()) as unknown[]).map((one) => Buffer.from(JSON.stringify(one)));
}

const UNKNOWN = REFUSALS['authorization.unknown'].word;

interface Said {
  readonly word: string;
  readonly call: string;
}

/** What an answer says of its record. Whoever knows no correlation id for it says so by what it is. */
function readAnswer({ status, headers, body }: RawAnswer): Said | 'bare' | 'no record' {
  const text = body.toString();
  if (status === 202) return { word: '', call: '' };
  if (text === '') return 'bare';
  if (headers['content-type']?.startsWith('text/html')) return 'no record';
  const json = JSON.parse(text) as {
    status?: unknown;
    resource?: unknown;
    result?: { _meta?: Record<string, string> };
    error?: string | { code?: unknown; correlationId?: string; data?: Record<string, string> };
  };
  // Documents open to everybody are outside the pipeline.
  if (json.status !== undefined || json.resource !== undefined || typeof json.error === 'string') return 'no record';
  if (typeof json.error?.code === 'string') {
    // A place the admin listener does not have is an operation nobody has.
    if (json.error.code === 'NOT_FOUND' && !json.error.correlationId) return { word: UNKNOWN, call: '' };
    return { word: json.error.code, call: json.error.correlationId ?? '' };
  }
  if (json.error) {
    const { data } = json.error;
    // What the upstream said no to was let through: its record is that of an answer.
    if (data?.['code'] === 'TOOL_EXECUTION_ERROR') return { word: '', call: data['correlationId'] ?? '' };
    return { word: data?.['code'] ?? UNKNOWN, call: data?.['correlationId'] ?? '' };
  }
  const meta = json.result?._meta;
  return { word: meta?.['gatewrit/code'] ?? '', call: meta?.['gatewrit/correlationId'] ?? '' };
}

export interface Findings {
  readonly records: number;
  readonly failures: readonly string[];
}

const wordOf = (code: unknown) => (code === undefined ? '' : (REFUSALS[code as RefusalCode]?.word ?? String(code)));

/** Holds accounts against the log of a gateway that has ended: no record lost, none twice, none of a wrong kind. */
export async function judgeLog(quickstart: Quickstart, accounts: readonly Account[]): Promise<Findings> {
  const failures: string[] = [];
  const { home } = quickstart.gateway;
  const verified = await quickstart.gateway.run('audit', 'verify', join(home, 'audit'));
  if (verified.code !== 0) failures.push(`audit verify: ${verified.stdout}${verified.stderr}`);
  const records = await recordsOf(home);
  failures.push(
    ...judgeCalls(records, accounts),
    ...judgeIntents(records),
    ...judgeSubjects(records, accounts),
    ...judgeTotals(records, accounts),
  );
  return { records: records.length, failures };
}

/** Every answer that names its call has one record of that ending; a stranger's may be in a counted one instead. */
function judgeCalls(records: readonly OpenRecord[], accounts: readonly Account[]): string[] {
  const failures: string[] = [];
  const words = new Map<string, string>();
  const counted = new Map<string, number>();
  for (const { envelope, meta } of records) {
    if (meta === null) failures.push(`record ${envelope.id} does not open`);
    if (envelope.kind === 'refusals') {
      for (const [code, number] of Object.entries(meta?.['codes'] as Record<string, number>))
        count(counted, wordOf(code), number);
    }
    if (envelope.kind !== 'outcome' && envelope.kind !== 'refusal') continue;
    const call = String(meta?.['call']);
    if (words.has(call)) failures.push(`call ${call} has two records`);
    words.set(call, wordOf(meta?.['code']));
  }
  for (const { calls } of accounts) {
    for (const [call, word] of calls) {
      const recorded = words.get(call);
      if (recorded === word) continue;
      if (recorded !== undefined) failures.push(`call ${call} was answered ${word} and recorded ${recorded}`);
      else if ((counted.get(word) ?? 0) > 0) count(counted, word, -1);
      else failures.push(`call ${call}, answered ${word}, has no record`);
    }
  }
  return failures.slice(0, 20);
}

/** What was let begin has exactly one end. */
function judgeIntents(records: readonly OpenRecord[]): string[] {
  const open = new Map<string, number>();
  for (const { envelope, meta } of records) {
    if (envelope.kind === 'intent') open.set(envelope.id, 0);
    const intent = meta?.['intent'];
    if (envelope.kind === 'outcome' && typeof intent === 'string') count(open, intent);
  }
  return [...open].filter(([, ends]) => ends !== 1).map(([id, ends]) => `intent ${id} has ${ends} outcomes`);
}

/** Answers without a correlation id, principal by principal: as many records as answers, or a few that nobody saw. */
function judgeSubjects(records: readonly OpenRecord[], accounts: readonly Account[]): string[] {
  const failures: string[] = [];
  for (const { subject, words, uncertain } of accounts) {
    for (const word of ['', UNKNOWN]) {
      const told = words.get(word) ?? 0;
      const recorded = records.filter(
        ({ envelope, meta }) =>
          envelope.kind === 'outcome' && meta?.['subject'] === subject && wordOf(meta['code']) === word,
      ).length;
      if (recorded < told || recorded > told + uncertain)
        failures.push(
          `${subject}: ${told} answers "${word || 'result'}", ${recorded} records, ${uncertain} requests of unknown end`,
        );
    }
  }
  return failures;
}

function judgeTotals(records: readonly OpenRecord[], accounts: readonly Account[]): string[] {
  const sum = (numbers: Iterable<number>) => [...numbers].reduce((all, one) => all + one, 0);
  const recorded = sum(endings(records).values());
  const told = sum(accounts.map(({ words }) => sum(words.values())));
  const uncertain = sum(accounts.map((account) => account.uncertain));
  if (recorded >= told && recorded <= told + uncertain) return [];
  return [`${told} answers promise a record, ${recorded} endings are recorded, ${uncertain} requests of unknown end`];
}

function count(into: Map<string, number>, key: string, by = 1): void {
  into.set(key, (into.get(key) ?? 0) + by);
}
