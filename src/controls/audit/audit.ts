import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Now, Receipt } from '../../core/call.ts';
import { canonicalJson } from '../../core/crypto/jcs.ts';
import { type KeyFolder, keyFile, openSigningKeys } from '../../core/crypto/keys.ts';
import type { NodeAt } from '../../core/crypto/merkle.ts';
import type { Checkpoint } from '../../core/crypto/signed-note.ts';
import { InternalError, SettingsError } from '../../core/internal-error.ts';
import { type Log, silentLog } from '../../core/log.ts';
import type { FinalStage, Stage } from '../../core/stage.ts';
import type { Store } from '../../core/store/store.ts';
import type { Follower } from './follower.ts';
import { journalLeaf, journalLeafInto } from './format/journal-leaf.ts';
import { type Files, makeFolder, Placer, systemFiles } from './journal/files.ts';
import { Journal } from './journal/journal.ts';
import { replay, unreported } from './journal/recovery.ts';
import { Reserve } from './journal/reserve.ts';
import { cannotOpen, shortageOf } from './journal/shortage.ts';
import { lockWriter } from './journal/writer-lock.ts';
import { keepPlace, kekSource, markOf } from './keys/kek.ts';
import { KeyWatch } from './keys/key-watch.ts';
import { Keyring, tenantTag } from './keys/keyring.ts';
import { type Vault, vaultOf } from './keys/vault.ts';
import { type AuditOperations, auditOperations, type Erasure, type ErasurePort, type Whom } from './operations.ts';
import { Receipts, receiptPurpose } from './proof/receipts.ts';
import { LogReader } from './reader/read.ts';
import type { RecordEvent } from './record/events.ts';
import { type Entry, Ledger, type Placed, SYSTEM_TENANT, type TenantLog } from './record/ledger.ts';
import { MetaForms } from './record/meta-forms.ts';
import { PayloadBytes } from './record/payload.ts';
import { PlainText } from './record/plaintext.ts';
import { isRetirement, retired } from './record/retirement.ts';
import { StrangerBound } from './record/strangers.ts';
import { followRollup } from './rollup/follow-rollup.ts';
import { ROLLUP } from './rollup/rollup.ts';
import type { AuditSettings } from './settings.ts';
import { openSinks } from './sinks/sinks.ts';
import { intentStage, outcomeStage, type StageParts } from './stages.ts';
import { CheckpointKeys } from './tree/checkpoints.ts';
import { Integration } from './tree/integration.ts';
import { growsFrom, nodesOnDisk, TiledTree } from './tree/tree.ts';
import { openAnchor } from './witness/open-anchor.ts';

/** `leaf` is the index in the tenant's tree, which `refs` name; `index` the position in the journal. */
export interface PlacedReceipt extends Receipt {
  readonly leaf: number;
}

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
const REMEMBERED_APPROVALS = 10_000;
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

    let isRetired = false;
    const found = new Map<string, FoundTree>();
    const treeOf = (tag: string) => {
      let known = found.get(tag);
      if (!known) {
        known = findTree(keys, ledger.treeFolder(tag), ledger.origin(tag));
        found.set(tag, known);
      }
      return known;
    };
    const journalLeafHash = Buffer.alloc(32);
    const replayed = replay({
      files,
      folder: place.segments,
      quarantine: place.quarantine,
      size: signed?.size ?? 0,
      utc: utc(),
      signed: signed ? nodesOnDisk(place.journal, signed.size) : null,
      leafOf: journalLeaf,
      visit(frame, tag, leaf, position) {
        const { tree: tenantTree, checkpoint, nodeAt } = treeOf(tag);
        if (position === tenantTree.size) tenantTree.append(leaf, frame.envelope);
        else if (position > tenantTree.size)
          throw corrupt(`the tree ${tenantTree.origin} lacks leaves that were signed`);
        else if (position < (checkpoint?.size ?? 0) && Buffer.compare(nodeAt(0, position), leaf) !== 0)
          throw corrupt(`record ${frame.index} is not leaf ${position} of ${tenantTree.origin}`);
        isRetired = isRetirement(frame);
        if (frame.index !== tree.size) return;
        journalLeafInto(journalLeafHash, frame.index, frame.tag, leaf);
        tree.append(journalLeafHash, frame.envelope);
      },
    });
    if (isRetired && !options.retire) throw retired(replica);
    for (const [tag, count] of replayed.counts) {
      const { tree: tenantTree, checkpoint, signed: size } = treeOf(tag);
      if (tenantTree.size !== count) throw corrupt(`the tree ${tenantTree.origin} and the journal differ`);
      const published = await keys.published(store, treeKey(tag), tenantTree.origin, utc());
      refuseRollback(tenantTree.folder, published.checkpoint, checkpoint);
      ledger.adopt(Buffer.from(tag, 'hex'), tenantTree, count);
      integration.addTree(tenantTree, treeKey(tag), published, size);
    }

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

    const put = (log: TenantLog, entry: Entry) =>
      new Promise<PlacedReceipt>((resolve, reject) => {
        const placed: Placed = ledger.write(log, entry, (error) => (error ? reject(error) : resolve(placed)));
      });

    for (const tail of unreported(readdirSync(place.quarantine))) {
      const { segment, offset, sha256, copy } = tail;
      await put(system, note('recovery', utc(), { offset, quarantine: copy, segment, sha256 }));
      renameSync(join(place.quarantine, copy), join(place.quarantine, copy.replace(/\.torn$/, '.recorded')));
    }

    const strangers = new StrangerBound(settings.strangers);
    const approvals = new Map<string, number>();
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
      leafOfApproval: (log, approval) => approvals.get(`${log.name}/${approval}`),
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

    const record = async (event: RecordEvent): Promise<PlacedReceipt> => {
      if (halted) throw halted;
      if (isRetired) throw retired(replica);
      const log = ledger.of(event.tenant);
      await ledger.ready(log, utc());
      let payload: Entry['payload'] = null;
      let subjectKey: string | undefined;
      if (event.payload) {
        if (event.subject === undefined) throw new TypeError('a payload needs the subject whose key seals it');
        const key = (await keyring.subject(log.name, event.subject, utc(), true))!;
        // A copy: the caller keeps its bytes, and we are not done with them before the group is sealed.
        payload = { key, bytes: new PayloadBytes([['event', Uint8Array.from(event.payload)]]) };
        subjectKey = key.name;
      }
      const meta = canonicalJson({ ...event.meta, subject_key: subjectKey, tenant: event.tenant });
      const entry: Entry = {
        kind: event.kind,
        time: utc(),
        refs: event.refs ?? [],
        meta: new PlainText(meta),
        payload,
      };
      const placed = await put(log, entry);
      if (event.approval !== undefined) {
        if (approvals.size >= REMEMBERED_APPROVALS) approvals.delete(approvals.keys().next().value!);
        approvals.set(`${log.name}/${event.approval}`, placed.leaf);
      }
      return placed;
    };

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
        record: (change) => record({ kind: 'keys', tenant: SYSTEM_TENANT, meta: { ...change } }),
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

    const erasure: ErasurePort & Pick<Audit, 'erase'> = {
      async erase({ tenant, subject, basis, by }) {
        const key = await keyring.eraseSubject(ledger.of(tenant).name, subject, utc());
        const meta = { basis, by, key, found: key !== null };
        return { ...(await record({ kind: 'erasure', tenant, meta })), key };
      },
      async keyOf({ tenant, subject }) {
        const tag = tenantTag(deployment, tenant).toString('hex');
        return (await keyring.subject(tag, subject, utc(), false))?.name ?? null;
      },
    };

    const retire = async (meta: Readonly<Record<string, string>>) => {
      isRetired = true;
      const logs = [...ledger.logs()];
      for (const log of logs) {
        await ledger.ready(log, utc());
        const sealed = new PlainText(canonicalJson({ ...meta, replica }));
        await put(log, { kind: 'retirement', time: utc(), refs: [], meta: sealed, payload: null });
      }
      return logs.length;
    };

    return {
      stages: { intent: intentStage(parts), outcome: outcomeStage(parts) },
      vault: vaultOf(keyring, deployment, utc),
      async takeOverKeys() {
        await watch.look();
        await watch.settled();
      },
      record,
      retire,
      ...erasure,
      operations: auditOperations(erasure),
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

/** Where the log lives. Every byte below `audit/` is covered; what is not lies beside it. */
export function placesOf(home: string, replica: string) {
  const log = join(home, 'audit', replica);
  const beside = join(home, 'audit-work', replica);
  return {
    log,
    beside,
    segments: join(log, 'segments'),
    journal: join(log, 'journal'),
    trees: join(log, 'trees'),
    work: join(beside, 'placing'),
    quarantine: join(beside, 'quarantine'),
    reserve: join(beside, 'reserve'),
  };
}

/** A record of the log about itself. */
function note(kind: 'full' | 'recovery' | 'refusals', time: number, meta: Record<string, unknown>): Entry {
  return { kind, time, refs: [], meta: new PlainText(canonicalJson(meta)), payload: null };
}

interface FoundTree {
  readonly tree: TiledTree;
  readonly checkpoint: Checkpoint | null;
  /** Size signed by the current key; -1: to be signed anew. */
  readonly signed: number;
  readonly nodeAt: NodeAt;
}

function findTree(keys: CheckpointKeys, folder: string, origin: string): FoundTree {
  const checkpoint = keys.read(folder, origin);
  return {
    tree: TiledTree.load({ folder, origin, entries: true }, checkpoint),
    checkpoint,
    signed: checkpoint && keys.isCurrent(folder) ? checkpoint.size : -1,
    nodeAt: nodesOnDisk(folder, checkpoint?.size ?? 0),
  };
}

/** A log older than what was published of it is a restored backup: going on would make two histories. */
function refuseRollback(folder: string, published: Checkpoint | null, here: Checkpoint | null): void {
  if (!published || (here && growsFrom(folder, published, here))) return;
  throw new InternalError(
    'audit.rolled_back',
    `${folder} does not contain what was published of it (${published.size} records; here ${here?.size ?? 0} are signed): a backup was restored or records were removed; bring back the newest copy`,
    { kind: 'outage' },
  );
}

function corrupt(what: string): InternalError {
  return new InternalError('audit.corrupt', `the audit log was damaged or tampered with: ${what}; run audit verify`, {
    kind: 'outage',
  });
}
