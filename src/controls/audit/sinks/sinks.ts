import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Now } from '../../../core/call.ts';
import type { Checkpoint, NoteVerifier } from '../../../core/crypto/signed-note.ts';
import { InternalError, SettingsError } from '../../../core/internal-error.ts';
import type { Log } from '../../../core/log.ts';
import { openSecret } from '../../../core/settings.ts';
import type { Store } from '../../../core/store/store.ts';
import type { Follower } from '../follower.ts';
import type { LogReader } from '../reader/read.ts';
import { growsFrom } from '../tree/tree.ts';
import { openBucket } from './drivers/aws-s3.ts';
import { FolderCopy } from './folder.ts';
import { type Carrier, Following } from './following.ts';
import { JsonLines } from './jsonl.ts';
import { OtlpSender } from './otlp.ts';
import { ObjectCopy } from './s3.ts';
import { type RecordSender, RecordSending } from './sending.ts';
import type { S3SinkSettings, SinkSettings, SinksSettings } from './settings.ts';

export interface SinkSurroundings {
  /** `<home>/audit/<replica>` */
  readonly log: string;
  readonly deployment: string;
  readonly replica: string;
  /** Asked each time: keys are replaced while the log is written. */
  readonly verifiers: () => readonly NoteVerifier[];
  readonly store: Store;
  readonly clock: () => Now;
  readonly tell: Log;
  /** Opens records with the keys of this home; asked by sinks that send records on. */
  readonly reader: () => LogReader;
}

/** A carrier that keeps what was signed knows how far that was. */
interface Keeper extends Carrier {
  newest(): Promise<Checkpoint | null>;
}

export interface Sinks {
  /**
   * Compares the log, as it is found at the start, with what each copy has seen signed. A copy that cannot be reached
   * is compared before the first record is brought to it.
   * @throws InternalError `audit.rolled_back`
   */
  refuseOlder(journal: string, signed: Checkpoint | null): Promise<void>;
  /** To be told of publications from now on. */
  follow(): Follower[];
}

/** @throws SettingsError when a sink cannot be used as it is set */
export async function openSinks(settings: SinksSettings, surroundings: SinkSurroundings): Promise<Sinks> {
  const carriers: [SinkSettings, Carrier | Keeper][] = [];
  for (const sink of settings) carriers.push([sink, await carrierOf(sink, surroundings)]);
  return {
    async refuseOlder(journal, signed) {
      for (const [{ name }, carrier] of carriers) {
        if (!('newest' in carrier)) continue;
        const newest = await within(ANSWER_MS, carrier.newest()).catch(() => null);
        if (!newest || (signed && growsFrom(journal, newest, signed))) continue;
        throw new InternalError(
          'audit.rolled_back',
          `the sink ${name} holds ${newest.size} signed records of this log, which has ${signed?.size ?? 0} and does not contain them: a backup was restored or records were removed; bring back the newest copy`,
          { kind: 'outage' },
        );
      }
    },
    follow: () =>
      carriers.map(([sink, carrier]) => {
        const following = followingOf(sink, carrier, surroundings);
        // There may be much to bring over from before, and the next publication may be a minute away.
        following.published();
        return following;
      }),
  };
}

async function carrierOf(sink: SinkSettings, surroundings: SinkSurroundings): Promise<Carrier | Keeper> {
  const { log, deployment, replica, verifiers } = surroundings;
  switch (sink.kind) {
    case 'folder':
      if (isSame(join(sink.path, 'audit', replica), log))
        throw new SettingsError(
          `the sink ${sink.name} at ${sink.path} is the log itself; name a folder on another disk`,
        );
      return new FolderCopy({ log, path: sink.path, replica, verifiers });
    case 's3':
      return objectCopyOf(sink, surroundings);
    case 'otlp': {
      const { name, url, bearer, ca, timeoutMs, batchRecords } = sink;
      const sender = new OtlpSender({
        name,
        url,
        bearer: bearer === undefined ? null : openSecret(bearer).toString().trim(),
        ca: ca === undefined ? null : readCa(ca),
        timeoutMs,
        facts: { deployment, version: versionOf() },
        log: surroundings.tell,
        now: () => surroundings.clock().utc,
      });
      return sendingOf(name, sender, batchRecords, surroundings);
    }
    case 'jsonl': {
      const { name, path, format } = sink;
      const facts = { deployment, version: versionOf() };
      return sendingOf(name, new JsonLines({ path, format, facts }), LINES_TOGETHER, surroundings);
    }
  }
}

/** By whatever path: two writers in one folder would take each other's files. */
function isSame(path: string, other: string): boolean {
  const [here, there] = [path, other].map((one) => statSync(one, { throwIfNoEntry: false }));
  return here !== undefined && here.ino === there?.ino && here.dev === there.dev;
}

function sendingOf(name: string, sender: RecordSender, batchRecords: number, around: SinkSurroundings): RecordSending {
  const { replica, store, clock, reader } = around;
  const utc = () => clock().utc;
  return new RecordSending({ name, replica, reader: reader(), store, utc, batchRecords, sender });
}

async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer for ${ms} ms`)), ms);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

function readCa(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new SettingsError(
      `${path} cannot be read; it is to hold the certificate of the collector's authority`,
      cause,
    );
  }
}

function versionOf(): string {
  const file = new URL('../../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** A bucket that says it locks nothing is refused at once; one that does not answer is asked again before it is used. */
async function objectCopyOf(sink: S3SinkSettings, around: SinkSurroundings): Promise<ObjectCopy> {
  const { log, replica, verifiers, clock } = around;
  const bucket = await openBucket({ ...sink, endpoint: sink.endpoint }, sink.mode);
  const copy = new ObjectCopy({
    bucket,
    where: `the bucket ${sink.bucket}`,
    log,
    root: `${sink.prefix === '' ? '' : `${sink.prefix}/`}${replica}/`,
    retentionDays: sink.retentionDays,
    verifiers,
    utc: () => clock().utc,
  });
  try {
    await within(ANSWER_MS, copy.checkLock());
  } catch (error) {
    if (!(error instanceof SettingsError)) return copy;
    bucket.close();
    throw error;
  }
  return copy;
}

function followingOf(sink: SinkSettings, carrier: Carrier, { clock, tell }: SinkSurroundings): Follower {
  const gates = 'required' in sink ? { required: sink.required, deadlineMs: sink.deadlineMs } : NEVER_GATES;
  const everyMs = 'everyMs' in sink ? sink.everyMs : 0;
  return new Following({ name: `sink ${sink.name}`, everyMs, clock, log: tell, carrier, ...gates });
}

const LINES_TOGETHER = 256;
/** What does not answer holds the start up no longer, ms; a required sink is asked again before the deadline. */
const ANSWER_MS = 10_000;

/** A SIEM outage must never gate calls (audit.md 3.8). */
const NEVER_GATES = { required: false, deadlineMs: 10_000 } as const;
