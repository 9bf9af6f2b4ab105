import { readFileSync } from 'node:fs';
import { type NoteVerifier, parseVerifierLine } from '../../../core/crypto/signed-note.ts';
import { openCheckpoint } from './checkpoint-files.ts';
import { below, folderSource, type LogSource } from './source.ts';
import { VerifierError } from './verifier-error.ts';
import { type KeptCheckpoint, type VerifyReport, verifyReplica } from './verify.ts';

export interface VerifyOptions {
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
  { kept = [], replicas = [], now = Date.now(), onProgress = () => undefined }: VerifyOptions,
): Promise<VerifyReport[]> {
  const of = (part: LogSource, name: string) =>
    verifyReplica(part, name, {
      verifiers,
      kept,
      now,
      onProgress: (records, bytes) => onProgress(name, records, bytes),
    });
  const names = await source.list('');
  const reports: VerifyReport[] = [];
  if (names?.includes('segments/') || (!names && replicas.length === 0)) {
    if (!names && (await source.size('journal/checkpoint')) === null)
      throw new VerifierError(
        'unreadable',
        `${source.name} has no journal/checkpoint, and cannot be asked which replicas it has: name them, or one replica's own address`,
      );
    reports.push(await of(source, source.name.replace(/\/$/, '').split('/').at(-1) ?? ''));
  } else {
    for (const name of names ?? replicas.map((replica) => `${replica}/`))
      reports.push(
        name.endsWith('/') ? await of(below(source, name.slice(0, -1)), name.slice(0, -1)) : strayFile(name),
      );
  }
  if (reports.length === 0) throw new VerifierError('unreadable', `${source.name} holds no audit log`);
  const origins = new Set(reports.flatMap(({ trees }) => trees.map(({ origin }) => origin)));
  const lost = kept.filter(({ origin }) => !origins.has(origin));
  return lost.length === 0 ? reports : [...reports, lostTrees(lost)];
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
  return { ...NOTHING, findings: [{ file: name, index: null, what: 'a file that does not belong to the log' }] };
}

function lostTrees(kept: readonly KeptCheckpoint[]): VerifyReport {
  const findings = kept.map(({ name, origin, size }) => ({
    file: name,
    index: null,
    what: `the log was cut back or rewritten: it has no tree ${origin}, of which ${size} records were signed`,
  }));
  return { ...NOTHING, findings };
}
