import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Now } from '../../core/call.ts';
import { canonicalJson } from '../../core/crypto/jcs.ts';
import { type KeyFolder, keyFile, openSigningKeys } from '../../core/crypto/keys.ts';
import { InternalError, SettingsError } from '../../core/internal-error.ts';
import { type Log, silentLog } from '../../core/log.ts';
import type { FinalStage, Stage } from '../../core/stage.ts';
import type { Store } from '../../core/store/store.ts';
import type { Follower } from './follower.ts';
import { type Files, makeFolder, Placer, systemFiles } from './journal/files.ts';
import { Journal } from './journal/journal.ts';
import { unreported } from './journal/recovery.ts';
import { Reserve } from './journal/reserve.ts';
import { cannotOpen, shortageOf } from './journal/shortage.ts';
import { lockWriter } from './journal/writer-lock.ts';
import { keepPlace, kekSource, markOf } from './keys/kek.ts';
import { KeyWatch } from './keys/key-watch.ts';
import { Keyring } from './keys/keyring.ts';
import { type Vault, vaultOf } from './keys/vault.ts';
import { type AuditOperations, auditOperations, type Erasure, type Whom } from './operations.ts';
import { placesOf } from './places.ts';
import { Receipts, receiptPurpose } from './proof/receipts.ts';
import { LogReader } from './reader/read.ts';
import { type PlacedReceipt, RecordActs } from './record/acts.ts';
import type { RecordEvent } from './record/events.ts';
import { type Entry, Ledger, SYSTEM_TENANT, type TenantLog } from './record/ledger.ts';
import { MetaForms } from './record/meta-forms.ts';
import { PlainText } from './record/plaintext.ts';
import { retired } from './record/retirement.ts';
import { StrangerBound } from './record/strangers.ts';
import { followRollup } from './rollup/follow-rollup.ts';
import { ROLLUP } from './rollup/rollup.ts';
import type { AuditSettings } from './settings.ts';
import { openSinks } from './sinks/sinks.ts';
import { intentStage, outcomeStage, type StageParts } from './stages.ts';
import { refuseRollback, takeUp } from './take-up.ts';
import { CheckpointKeys } from './tree/checkpoints.ts';
import { Integration } from './tree/integration.ts';
import { TiledTree } from './tree/tree.ts';
import { openAnchor } from './witness/open-anchor.ts';

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
/** A refusal's record is of nearly fixed size; this bounds the share of strangers after a restart. */
const STRANGER_RECORD_BYTES = 900;

/**
 * Opens the log: takes the writer's lock, repairs a torn tail, checks the trees against their signatures and their
 * published copies, begins a new segment under new keys.
 * @throws InternalError `audit.locked`, `audit.corrupt`, `audit.rolled_back`; SettingsError for keys and names
 */
export async function openAudit(options: AuditOptions): Promise<Audit> {
  const { settings, home, store, deployment, replica, files = systemFiles, weak = () => [] } = options;
  const clock = options.clock ?? (() => ({ utc: Date.now(), mono: performance.now() }));
  if (!NAME.test(deployment)) throw new SettingsError(`deployment name "${deployment}" must match ${NAME.source}`);
  if (!NAME.test(replica) || replica === ROLLUP)
    throw new SettingsError(`replica name "${replica}" must match ${NAME.source}`);

  const lock = lockWriter(home, replica);
  try {
    const keys = new CheckpointKeys(deployment, openSigningKeys(options.keys, 'checkpoint'));
    const source = kekSource({ keys: options.keys, store, settings: settings.kek ?? null });
    const keks = await source.open(clock().utc);
    const keyring = await Keyring.open(store, keks, clock().utc);
    keepPlace(options.keys.folder, settings.kek);
    const marks = {
      kek: await source.mark(clock().utc),
      checkpoint: markOf(keyFile(options.keys.folder, 'checkpoint')),
    };

    const place = placesOf(home, replica);
    for (const folder of [place.segments, place.trees, place.quarantine, place.work]) makeFolder(files, folder);
    const placer = new Placer(files, place.work);
    for (const name of readdirSync(place.work)) files.unlinkSync(join(place.work, name));
    const print = async () => {
      const printed = join(options.keys.folder, 'audit.pub');
      if (!existsSync(printed) || readFileSync(printed, 'utf8') !== keys.lines)
        await placer.place([[printed, Buffer.from(keys.lines)]]);
    };
    await print();
    const reserve = new Reserve(files, place.reserve, settings.reserveBytes);
    reserve.setAside();

    const utc = () => clock().utc;
    const journalTree = { folder: place.journal, origin: `${deployment}/journal/${replica}`, entries: false };
    const journalKey = `journal/${replica}`;
    const journalPublished = await keys.published(store, journalKey, journalTree.origin, utc());
    const signed = keys.read(place.journal, journalTree.origin);
    const tree = TiledTree.load(journalTree, signed);
    refuseRollback(place.journal, journalPublished.checkpoint, signed);
    const sinks = await openSinks(settings.sinks, {
      log: place.log,
      deployment,
      replica,
      verifiers: () => keys.verifiers,
      store,
      clock,
      tell: options.log ?? silentLog,
      reader: () => LogReader.over({ home, deployment, keyring }),
    });
    await sinks.refuseOlder(place.journal, signed);
    const anchored = await openAnchor(settings.witness, {
      log: place.log,
      work: place.beside,
      files,
      origin: journalTree.origin,
      keys,
      clock,
      tell: options.log ?? silentLog,
    });
    const integration = new Integration<TenantLog>(
      { store, keys, placer, utc },
      {
        tree,
        key: journalKey,
        published: journalPublished,
        signed: signed && keys.isCurrent(place.journal) ? signed.size : -1,
      },
    );
    const fresh = { checkpoint: null, version: 0 };
    const treeKey = (tag: string) => `${tag}/${replica}`;
    const ledger = new Ledger({
      deployment,
      replica,
      folder: place.trees,
      keyring,
      onNewTree: (log) => integration.addTree(log.tree, treeKey(log.name), fresh, 0),
    });

    const replayed = await takeUp({
      files,
      place,
      keys,
      store,
      ledger,
      integration,
      utc,
      signed,
      journal: tree,
      treeKey,
    });
    if (replayed.isRetired && !options.retire) throw retired(replica);
    let isRetired = replayed.isRetired;

    const system = ledger.of(SYSTEM_TENANT);
    await ledger.ready(system, utc());
    let halted: InternalError | null = null;
    const halt = (error: InternalError) => {
      if (halted) return;
      halted = error;
      options.onFatal(error);
    };
    const journal = new Journal<TenantLog>({
      files,
      folder: place.segments,
      segment: replayed.segment,
      first: replayed.next,
      bytes: replayed.bytes,
      segmentBytes: settings.segmentBytes,
      segmentMs: settings.segmentMs,
      mono: () => clock().mono,
      books: () => ledger.logs(),
      onSegment: () => ledger.newSegment(),
      onCommitted: (group) => integration.take(group),
      onFatal: halt,
      onTakenBack: () => ledger.takeBack(),
      lastWords(why) {
        reserve.release();
        return { book: system, source: ledger.draft(system, note('full', utc(), { reason: `${why}; refusing` })) };
      },
      hasRoom: () => reserve.restore(),
      onReopened: ({ why, closedMs }) =>
        ledger.write(system, note('recovery', utc(), { closed_ms: Math.round(closedMs), reason: why }), null),
    });
    system.renew = false;
    ledger.attach(journal);

    const acts = new RecordActs({
      ledger,
      keyring,
      deployment,
      replica,
      utc,
      refuse() {
        if (halted) throw halted;
        if (isRetired) throw retired(replica);
      },
    });

    for (const tail of unreported(readdirSync(place.quarantine))) {
      const { segment, offset, sha256, copy } = tail;
      await acts.put(system, note('recovery', utc(), { offset, quarantine: copy, segment, sha256 }));
      renameSync(join(place.quarantine, copy), join(place.quarantine, copy.replace(/\.torn$/, '.recorded')));
    }

    const strangers = new StrangerBound(settings.strangers);
    const followers: Follower[] = [...sinks.follow(), ...anchored.follow(halt)];
    const signing = { store, keys, utc };
    const tell = options.log ?? silentLog;
    followers.push(followRollup({ home, deployment, files, signing, tell, clock, everyMs: settings.rollupMs }));
    let saidFull = false;
    const parts: StageParts = {
      settings,
      ledger,
      keyring,
      strangers,
      forms: new MetaForms(),
      receipts: settings.receipts ? new Receipts(keyring.derive(receiptPurpose(replica))) : null,
      weak,
      closedBecause(now) {
        if (halted || journal.failed) return 'the audit log has failed';
        if (isRetired) return 'this replica of the audit log was retired';
        if (journal.closed) return journal.closed.message;
        if (journal.pendingBytes > settings.pendingBytes) return 'too much waits for the disk';
        if (journal.busyFor(now.mono) > settings.stallMs) return 'the disk does not answer';
        for (const follower of followers) {
          const why = follower.behind(now);
          if (why) return why;
        }
        if (journal.bytes < settings.volumeBytes) return null;
        if (!saidFull) {
          saidFull = true;
          ledger.write(system, note('full', now.utc, { reason: 'volumeBytes is used up; refusing' }), null);
        }
        return 'the audit log is full';
      },
      roomForStrangers: () => system.nextLeaf * STRANGER_RECORD_BYTES < settings.volumeBytes / 10,
      leafOfApproval: (log, approval) => acts.leafOfApproval(log, approval),
    };

    const sayCounted = (now: Now, atOnce: boolean) => {
      if (halted || journal.closed || !parts.roomForStrangers()) return;
      const counted = strangers.due(now.mono, atOnce);
      if (counted) ledger.write(system, note('refusals', now.utc, { ...counted }), null);
    };
    const checkpoint = async () => {
      if (halted) return;
      sayCounted(clock(), false);
      try {
        await integration.publish();
        for (const follower of followers) follower.published();
      } catch (cause) {
        // Nothing was half placed, and what is durable is in the journal: when there is room again the next run catches up.
        if (shortageOf(cause)) return;
        halt(
          cause instanceof InternalError
            ? cause
            : new InternalError('audit.failed', 'the trees of the audit log cannot be written', {
                kind: 'outage',
                cause,
              }),
        );
      }
    };
    const timer = setInterval(() => void checkpoint(), settings.checkpointMs);
    timer.unref();

    const watch = new KeyWatch(
      {
        source,
        keyring,
        keys: options.keys,
        checkpoint: keys.kid,
        utc,
        async sign(pair) {
          keys.replace(pair);
          await print();
          integration.signAnew();
          await checkpoint();
        },
        record: (change) => acts.record({ kind: 'keys', tenant: SYSTEM_TENANT, meta: { ...change } }),
        report: options.onKeyFault ?? (() => undefined),
      },
      marks,
      keks[1] !== undefined,
    );

    let closing: Promise<void> | null = null;
    const close = async () => {
      clearInterval(timer);
      try {
        await watch.close();
        sayCounted(clock(), true);
        await journal.flushed();
        await checkpoint();
        for (const follower of followers.reverse()) await follower.close();
        await journal.close();
      } finally {
        lock.release();
      }
    };

    return {
      stages: { intent: intentStage(parts), outcome: outcomeStage(parts) },
      vault: vaultOf(keyring, deployment, utc),
      async takeOverKeys() {
        await watch.look();
        await watch.settled();
      },
      record: (event) => acts.record(event),
      erase: (request) => acts.erase(request),
      keyOf: (whom) => acts.keyOf(whom),
      retire(meta) {
        isRetired = true;
        return acts.retire(meta);
      },
      operations: auditOperations(acts),
      checkpoint,
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
  } catch (error) {
    lock.release();
    throw cannotOpen(error);
  }
}

/** A record of the log about itself. */
function note(kind: 'full' | 'recovery' | 'refusals', time: number, meta: Record<string, unknown>): Entry {
  return { kind, time, refs: [], meta: new PlainText(canonicalJson(meta)), payload: null };
}
