import { readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Now } from '../../core/call.ts';
import type { KeyFolder } from '../../core/crypto/keys.ts';
import { type InternalError, SettingsError } from '../../core/internal-error.ts';
import { type Log, silentLog } from '../../core/log.ts';
import type { FinalStage, Stage } from '../../core/stage.ts';
import type { Store } from '../../core/store/store.ts';
import { Ended } from './ended.ts';
import type { Follower } from './follower.ts';
import { Intake } from './intake.ts';
import { type Files, makeFolder, Placer, systemFiles } from './journal/files.ts';
import { Journal } from './journal/journal.ts';
import { unreported } from './journal/recovery.ts';
import { Reserve } from './journal/reserve.ts';
import { cannotOpen } from './journal/shortage.ts';
import { lockWriter, type WriterLock } from './journal/writer-lock.ts';
import { KeyWatch } from './keys/key-watch.ts';
import { type Vault, vaultOf } from './keys/vault.ts';
import { openKeys, printVerifiers } from './open-keys.ts';
import { openTrees } from './open-trees.ts';
import { type AuditOperations, auditOperations, type Erasure, type Whom } from './operations.ts';
import { placesOf } from './places.ts';
import { Receipts, receiptPurpose } from './proof/receipts.ts';
import { Publishing } from './publishing.ts';
import { type PlacedReceipt, RecordActs } from './record/acts.ts';
import type { RecordEvent } from './record/events.ts';
import { type Ledger, SYSTEM_TENANT, type TenantLog } from './record/ledger.ts';
import { MetaForms } from './record/meta-forms.ts';
import { note } from './record/note.ts';
import { retired } from './record/retirement.ts';
import { StrangerBound } from './record/strangers.ts';
import { followRollup } from './rollup/follow-rollup.ts';
import { ROLLUP } from './rollup/rollup.ts';
import type { AuditSettings } from './settings.ts';
import { intentStage, outcomeStage, type StageParts } from './stages.ts';
import type { TakenUp } from './take-up.ts';
import { CheckpointKeys } from './tree/checkpoints.ts';
import type { Integration } from './tree/integration.ts';

export type { PlacedReceipt } from './record/acts.ts';

export interface AuditStats {
  /** Index of the next record, and how many are durable, integrated and covered by a signed checkpoint. */
  readonly index: number;
  readonly durable: number;
  readonly integrated: number;
  readonly signed: number;
  readonly trees: number;
  readonly bytes: number;
  readonly commits: number;
  readonly largestGroup: number;
}

export interface Audit {
  readonly stages: {
    readonly intent: Stage<
      'principal' | 'message' | 'target' | 'arguments' | 'decision' | 'findings' | 'approval',
      'intent'
    >;
    readonly outcome: FinalStage<'receipt'>;
  };
  readonly vault: Vault;
  /** Resolves when the record is durable. @throws InternalError when it never will be */
  record(event: RecordEvent): Promise<PlacedReceipt>;
  /** Deletes a subject's key and records it; everything sealed under it is gone, every proof still holds. */
  erase(request: Whom & { basis: string; by: string }): Promise<PlacedReceipt & Erasure>;
  /** Name of a subject's key; null: there is none. */
  keyOf(whom: Whom): Promise<string | null>;
  /** Operations of the admin API. */
  readonly operations: AuditOperations;
  /** Ends this replica's log: the last leaf of every tree. Only close after it. Resolves with the number of trees. */
  retire(meta: Readonly<Record<string, string>>): Promise<number>;
  /** Looks at the key files now; resolves when everything is wrapped and signed under the current keys. */
  takeOverKeys(): Promise<void>;
  /** Brings what is durable into the trees and signs them, now. */
  checkpoint(): Promise<void>;
  stats(): AuditStats;
  close(): Promise<void>;
}

export interface AuditOptions {
  readonly settings: AuditSettings;
  readonly home: string;
  readonly keys: KeyFolder;
  readonly store: Store;
  /** Name of the deployment: key name and beginning of every origin. No blank, `/` or `+`. */
  readonly deployment: string;
  /** `<node>-<n>`, kept over restarts. */
  readonly replica: string;
  /** The journal has failed: nothing can be recorded, the process must end. Called once. */
  readonly onFatal: (error: InternalError) => void;
  /** A key file that was changed and cannot be taken over: the old keys stay. */
  readonly onKeyFault?: (error: unknown) => void;
  /** Relaxed controls, in words; stands in every record. */
  readonly weak?: () => readonly string[];
  readonly clock?: () => Now;
  /** Opened to be retired: also when that was begun once already. */
  readonly retire?: boolean;
  /** The operator's: a sink that does not take records, and one that does again. */
  readonly log?: Log;
  readonly files?: Files;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/**
 * Opens the log: takes the writer's lock, repairs a torn tail, checks the trees against their signatures and their
 * published copies, begins a new segment under new keys.
 * @throws InternalError `audit.locked`, `audit.corrupt`, `audit.rolled_back`; SettingsError for keys and names
 */
export async function openAudit(options: AuditOptions): Promise<Audit> {
  const { home, deployment, replica } = options;
  if (!NAME.test(deployment)) throw new SettingsError(`deployment name "${deployment}" must match ${NAME.source}`);
  if (!NAME.test(replica) || replica === ROLLUP)
    throw new SettingsError(`replica name "${replica}" must match ${NAME.source}`);
  const lock = lockWriter(home, replica);
  try {
    return await openLocked(options, lock);
  } catch (error) {
    lock.release();
    throw cannotOpen(error);
  }
}

async function openLocked(options: AuditOptions, lock: WriterLock): Promise<Audit> {
  const { settings, home, store, deployment, replica, files = systemFiles, log: tell = silentLog } = options;
  const clock = options.clock ?? (() => ({ utc: Date.now(), mono: performance.now() }));
  const utc = () => clock().utc;
  const keys = await openKeys(deployment, options.keys, { store, settings, utc });
  const { checkpoint: signer, keyring } = keys;

  const place = placesOf(home, replica);
  for (const folder of [place.segments, place.trees, place.quarantine, place.work]) makeFolder(files, folder);
  const placer = new Placer(files, place.work);
  for (const name of readdirSync(place.work)) files.unlinkSync(join(place.work, name));
  // Its own, as keys are replaced while trees are being placed; and there, as keys may be kept on another disk.
  const printer = new Placer(files, options.keys.folder);
  await printVerifiers(options.keys, signer, printer);
  const reserve = new Reserve(files, place.reserve, settings.reserveBytes);
  reserve.setAside();

  const around = { home, deployment, replica, settings, keys, store, files, place, placer, clock, tell };
  const { integration, ledger, sinks, anchored, found } = await openTrees(around);
  if (found.isRetired && !options.retire) throw retired(replica);
  const ended = new Ended(replica, found.isRetired, options.onFatal);
  const system = ledger.of(SYSTEM_TENANT);
  await ledger.ready(system, utc());
  const journal = openJournal({ settings, files, place, found, ledger, system, integration, reserve, ended, clock });

  const acts = new RecordActs({ ledger, keyring, deployment, replica, utc, refuse: () => ended.refuse() });
  for (const { segment, offset, sha256, copy } of unreported(readdirSync(place.quarantine))) {
    await acts.put(system, note('recovery', utc(), { offset, quarantine: copy, segment, sha256 }));
    renameSync(join(place.quarantine, copy), join(place.quarantine, copy.replace(/\.torn$/, '.recorded')));
  }

  const signing = { store, keys: signer, utc };
  const followers: Follower[] = [
    ...sinks.follow(),
    ...anchored.follow(ended.halt),
    followRollup({ home, deployment, files, signing, tell, clock, everyMs: settings.rollupMs }),
  ];
  const strangers = new StrangerBound(settings.strangers);
  const parts = { settings, ended, journal, ledger, system, followers };
  const intake = new Intake(parts);
  const { checkpointMs } = settings;
  const publishing = new Publishing({ ...parts, checkpointMs, intake, integration, strangers, clock });

  const watch = new KeyWatch(
    {
      source: keys.source,
      keyring,
      keys: options.keys,
      checkpoint: signer.kid,
      utc,
      async sign(pair) {
        await printVerifiers(options.keys, new CheckpointKeys(deployment, pair), printer);
        signer.replace(pair);
        integration.signAnew();
        await publishing.checkpoint();
      },
      record: (change) => acts.record({ kind: 'keys', tenant: SYSTEM_TENANT, meta: { ...change } }),
      report: options.onKeyFault ?? (() => undefined),
    },
    keys.marks,
    keys.twoLive,
  );

  const stageParts: StageParts = {
    settings,
    ledger,
    keyring,
    strangers,
    forms: new MetaForms(),
    receipts: settings.receipts ? new Receipts(keyring.derive(receiptPurpose(replica))) : null,
    weak: options.weak ?? (() => []),
    intake,
    leafOfApproval: (log, approval) => acts.leafOfApproval(log, approval),
  };
  let closing: Promise<void> | null = null;
  const close = async () => {
    try {
      await watch.close();
      await publishing.close();
      await journal.close();
    } finally {
      lock.release();
    }
  };
  return {
    stages: { intent: intentStage(stageParts), outcome: outcomeStage(stageParts) },
    vault: vaultOf(keyring, deployment, utc),
    async takeOverKeys() {
      await watch.look();
      await watch.settled();
    },
    record: (event) => acts.record(event),
    erase: (request) => acts.erase(request),
    keyOf: (whom) => acts.keyOf(whom),
    retire(meta) {
      ended.retire();
      return acts.retire(meta);
    },
    operations: auditOperations(acts),
    checkpoint: () => publishing.checkpoint(),
    stats: () => ({
      index: journal.next,
      durable: journal.durable,
      integrated: integration.journalSize,
      signed: Math.max(0, integration.signedSize),
      trees: ledger.trees,
      bytes: journal.bytes,
      commits: journal.commits,
      largestGroup: journal.largestGroup,
    }),
    close: () => (closing ??= close()),
  };
}

/** The journal in a new segment, and what it does when there is no room: it says so with the bytes set aside for that. */
function openJournal(parts: {
  readonly settings: AuditSettings;
  readonly files: Files;
  readonly place: ReturnType<typeof placesOf>;
  readonly found: TakenUp;
  readonly ledger: Ledger;
  readonly system: TenantLog;
  readonly integration: Integration<TenantLog>;
  readonly reserve: Reserve;
  readonly ended: Ended;
  readonly clock: () => Now;
}): Journal<TenantLog> {
  const { settings, files, place, found, ledger, system, integration, reserve, ended, clock } = parts;
  const journal = new Journal<TenantLog>({
    files,
    folder: place.segments,
    segment: found.segment,
    first: found.next,
    bytes: found.bytes,
    segmentBytes: settings.segmentBytes,
    segmentMs: settings.segmentMs,
    mono: () => clock().mono,
    books: () => ledger.logs(),
    onSegment: () => ledger.newSegment(),
    onCommitted: (group) => integration.take(group),
    onFatal: ended.halt,
    onTakenBack: () => ledger.takeBack(),
    lastWords(why) {
      reserve.release();
      return { book: system, source: ledger.draft(system, note('full', clock().utc, { reason: `${why}; refusing` })) };
    },
    hasRoom: () => reserve.restore(),
    onReopened: ({ why, closedMs }) =>
      ledger.write(system, note('recovery', clock().utc, { closed_ms: Math.round(closedMs), reason: why }), null),
  });
  // Its key is as new as the segment.
  system.renew = false;
  ledger.attach(journal);
  return journal;
}
