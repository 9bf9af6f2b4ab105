import { readFileSync } from 'node:fs';
import type { WitnessVerifier } from '../../../core/crypto/cosignature.ts';
import { type NoteVerifier, parseVerifierLine } from '../../../core/crypto/signed-note.ts';
import { segmentName } from '../format/segments.ts';
import { type Keys, openCheckpoint } from './checkpoint-files.ts';
import { FOREIGN, visible } from './findings.ts';
import { below, folderSource, type LogSource } from './source.ts';
import { VerifierError } from './verifier-error.ts';
import { type VerifyReport, verifyReplica } from './verify.ts';
import { REREADS, verifyRollup } from './verify-rollup.ts';
import type { KeptCheckpoint } from './verify-tree.ts';

export interface VerifyOptions {
  /** Keys of witnesses (`readWitnesses`), whose cosignatures are then checked. */
  readonly witnesses?: readonly WitnessVerifier[];
  /** How many of the given witnesses must have cosigned every tree, or it is a finding (default 0: it is said) */
  readonly quorum?: number;
  /** Checkpoints kept elsewhere: the log must contain them (`readKept`). */
  readonly kept?: readonly KeptCheckpoint[];
  /** Replicas to read where the source cannot list them. */
  readonly replicas?: readonly string[];
  /** ms UTC, to judge a log that nothing is signed of yet. */
  readonly now?: number;
  /** Told now and then how many records and bytes of the replica at hand have been read. */
  readonly onProgress?: (replica: string, records: number, bytes: number) => void;
}

/**
 * Verifies a whole log (every replica below `<home>/audit`) or one replica of it, with nothing but public keys.
 * @param log its folder, or any source
 * @returns a report for each replica; the log is good when none has findings
 * @throws VerifierError `unreadable`, `unreachable` when there is no log or it cannot be read at all
 */
export async function verifyLog(
  log: string | LogSource,
  verifiers: readonly NoteVerifier[],
  options: VerifyOptions = {},
): Promise<VerifyReport[]> {
  const source = typeof log === 'string' ? folderSource(log) : log;
  try {
    return await verifySource(source, verifiers, options);
  } finally {
    if (typeof log === 'string') source.close?.();
  }
}

async function verifySource(
  source: LogSource,
  verifiers: readonly NoteVerifier[],
  options: VerifyOptions,
): Promise<VerifyReport[]> {
  const { kept = [], replicas = [], now = Date.now(), onProgress = () => undefined } = options;
  const keys: Keys = { verifiers, witnesses: options.witnesses ?? [], quorum: options.quorum ?? 0 };
  const of = (part: LogSource, name: string, isNamed: boolean) =>
    verifyReplica(part, name, {
      keys,
      kept,
      isNamed,
      now,
      onProgress: (...read) => onProgress(visible(name), ...read),
    });
  const names = await source.list('');
  const reports: VerifyReport[] = [];
  if (names?.includes('segments/') || (!names && replicas.length === 0)) {
    if (!names && !(await isReplica(source)))
      throw new VerifierError(
        'unreadable',
        `${source.name} is no replica, and cannot be asked which replicas it has: name them, or one replica's own address`,
      );
    reports.push(await of(source, source.name.replace(/\/$/, '').split('/').at(-1) ?? '', false));
    return withRest(source, reports, kept);
  }
  for (const name of names ?? replicas.map((replica) => `${replica}/`)) {
    if (name === ROLLUP) continue;
    if (name.endsWith('/')) reports.push(await of(below(source, name.slice(0, -1)), name.slice(0, -1), true));
    else reports.push(strayFile(name));
  }
  if (reports.length === 0) throw new VerifierError('unreadable', `${source.name} holds no audit log`);
  const patience = { rereads: REREADS };
  for (const tag of await rollupsOf(source, names, reports)) {
    if (/^[0-9a-f]{32}\/$/.test(tag))
      reports.push(await verifyRollup(source, tag.slice(0, -1), { keys, kept, patience }));
    else reports.push(strayFile(`${ROLLUP}${tag.replace(/\/$/, '')}`));
  }
  return withRest(source, reports, kept);
}

/** Where names cannot be listed: does one that every replica has stand here? */
async function isReplica(source: LogSource): Promise<boolean> {
  for (const path of ['journal/checkpoint', `segments/${segmentName(1)}`])
    if ((await source.size(path)) !== null) return true;
  return false;
}

const ROLLUP = 'rollup/';

/** Tenants that have a roll-up: as listed, or of those met in the replicas. Folders end with a slash. */
async function rollupsOf(
  source: LogSource,
  names: readonly string[] | null,
  reports: readonly VerifyReport[],
): Promise<readonly string[]> {
  if (names) return names.includes(ROLLUP) ? ((await source.list('rollup')) ?? []) : [];
  const met = new Set(reports.flatMap(({ trees }) => trees.map(({ origin }) => origin.split('/')[1] ?? '')));
  const found: string[] = [];
  for (const tag of met)
    if (/^[0-9a-f]{32}$/.test(tag) && (await source.size(`${ROLLUP}${tag}/checkpoint`)) !== null) found.push(`${tag}/`);
  return found;
}

/** Adds what belongs to no replica: trees that should be here, and what the source itself shows. */
async function withRest(
  source: LogSource,
  reports: VerifyReport[],
  kept: readonly KeptCheckpoint[],
): Promise<VerifyReport[]> {
  const origins = new Set(reports.flatMap(({ trees }) => trees.map(({ origin }) => origin)));
  const lost = kept.filter(({ origin }) => !origins.has(origin));
  if (lost.length > 0) reports.push(lostTrees(lost));
  const shown = (await source.findings?.()) ?? [];
  if (shown.length > 0)
    reports.push({ ...NOTHING, findings: shown.map(({ file, what }) => ({ file, index: null, what })) });
  return reports;
}

/** Reads `audit.pub`: one verifier line per live checkpoint key. @throws VerifierError `key` */
export function readVerifiers(path: string): NoteVerifier[] {
  const verifiers = textOf(path, 'the public key', 'name it with --key')
    .split('\n')
    .filter(Boolean)
    .map(parseVerifierLine);
  if (verifiers.length > 0 && verifiers.every((verifier) => verifier !== null)) return verifiers;
  throw new VerifierError('key', `${path} does not hold note verifier keys (name+hash+key)`);
}

/** Reads a checkpoint that was kept elsewhere. @throws VerifierError `key` when it is none, or not by a given key */
export function readKept(path: string, verifiers: readonly NoteVerifier[]): KeptCheckpoint {
  const checkpoint = openCheckpoint(textOf(path, 'the checkpoint', 'is it there?'), verifiers);
  if (checkpoint) return { ...checkpoint, name: path };
  throw new VerifierError('key', `${path} is not a checkpoint signed by the given key`);
}

function textOf(path: string, what: string, hint: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new VerifierError('key', `${what} ${path} cannot be read; ${hint}`, cause);
  }
}

const NOTHING = { replica: '', records: 0, segments: 0, trees: [], skipped: [], young: false };

function strayFile(name: string): VerifyReport {
  return { ...NOTHING, findings: [{ file: visible(name), index: null, what: FOREIGN }] };
}

function lostTrees(kept: readonly KeptCheckpoint[]): VerifyReport {
  const findings = kept.map(({ name, origin, size }) => ({
    file: name,
    index: null,
    what: `the log was cut back or rewritten: it has no tree ${origin}, of which ${size} records were signed`,
  }));
  return { ...NOTHING, findings };
}
