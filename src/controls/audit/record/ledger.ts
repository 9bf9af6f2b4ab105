import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { uuidv7 } from '../../../core/ids.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Journal, Settle } from '../journal/journal.ts';
import { type Keyring, type SegmentKey, type SubjectKey, tenantTag } from '../keys/keyring.ts';
import type { TreeBook } from '../tree/integration.ts';
import { TiledTree } from '../tree/tree.ts';
import type { Plaintext } from './plaintext.ts';
import { Draft, type Heading, PartPlaces, type PartPlan } from './record.ts';

/** Refusals of callers nobody knows, and what the log says of itself. */
export const SYSTEM_TENANT = 'system';

export interface TenantLog extends TreeBook {
  readonly origin: string;
  readonly places: PartPlaces;
  /** Leaf index of the next record in this tenant's tree. */
  nextLeaf: number;
  segmentKey: SegmentKey | null;
  /** A new segment has begun: the key is replaced when it is next used. */
  renew: boolean;
}

export interface Entry extends Heading {
  /** Canonical JSON. */
  readonly meta: Plaintext;
  readonly payload: { readonly key: SubjectKey; readonly bytes: Plaintext } | null;
}

export interface Placed {
  readonly index: number;
  /** Leaf index in the tenant's tree: what `refs` of later records name. */
  readonly leaf: number;
  readonly id: string;
}

/** Turns entries into sealed records of the right tenant. Synchronous once `ready`. */
export class Ledger {
  readonly #options: {
    readonly deployment: string;
    readonly replica: string;
    /** `<home>/audit/<replica>/trees` */
    readonly folder: string;
    readonly keyring: Keyring;
    readonly onNewTree: (log: TenantLog) => void;
  };
  readonly #logs = new Map<string, TenantLog>();
  readonly #byTag = new Map<string, TenantLog>();
  readonly #preparing = new Map<TenantLog, Promise<SegmentKey>>();
  #journal: Journal<TenantLog> | null = null;

  constructor(options: {
    deployment: string;
    replica: string;
    folder: string;
    keyring: Keyring;
    onNewTree: (log: TenantLog) => void;
  }) {
    this.#options = options;
  }

  attach(journal: Journal<TenantLog>): void {
    this.#journal = journal;
  }

  logs(): Iterable<TenantLog> {
    return this.#byTag.values();
  }

  get trees(): number {
    return this.#byTag.size;
  }

  origin(tag: string): string {
    return `${this.#options.deployment}/${tag}/${this.#options.replica}`;
  }

  treeFolder(tag: string): string {
    return join(this.#options.folder, tag);
  }

  /** Takes over a tree found at the start. */
  adopt(tag: Buffer, tree: TiledTree, leaves: number): TenantLog {
    const name = tag.toString('hex');
    const log: TenantLog = {
      tag,
      name,
      origin: tree.origin,
      places: new PartPlaces(tree.origin),
      tree,
      durable: leaves,
      nextLeaf: leaves,
      segmentKey: null,
      renew: false,
    };
    this.#byTag.set(name, log);
    return log;
  }

  /** The log of a tenant; made when this is its first record. */
  of(tenant: string): TenantLog {
    const known = this.#logs.get(tenant);
    if (known) return known;
    const tag = tenantTag(this.#options.deployment, tenant);
    const name = tag.toString('hex');
    const log = this.#byTag.get(name) ?? this.#begin(tag, name);
    this.#logs.set(tenant, log);
    return log;
  }

  /** The key of the current segment, at once when it is there. A renewal goes on behind the records. */
  ready(log: TenantLog, utc: number): SegmentKey | Promise<SegmentKey> {
    if (log.segmentKey && !log.renew) return log.segmentKey;
    const preparing = this.#preparing.get(log) ?? this.#prepare(log, utc);
    if (!log.segmentKey) return preparing;
    // The old key is still good; a failed renewal is tried again with the next record.
    preparing.catch(() => {});
    return log.segmentKey;
  }

  newSegment(): void {
    for (const log of this.#byTag.values()) log.renew = log.segmentKey !== null;
  }

  /**
   * Gives an entry its place in the journal, where it is sealed with its group; whatever it refers to MUST stay as it is.
   * `ready` MUST have given a key before. @throws InternalError `audit.failed`, `audit.no_room`
   */
  write(log: TenantLog, entry: Entry, settle: Settle | null): Placed {
    const journal = this.#journal;
    if (!journal || journal.closed) throw journal?.closed ?? new InternalError('audit.closed', 'the log is not open');
    const id = uuidv7(entry.time);
    const index = journal.append(log, this.draft(log, entry, id), settle);
    return { index, leaf: log.nextLeaf++, id };
  }

  /** The journal has taken back what was not durable: its places are free again. */
  takeBack(): void {
    for (const log of this.#byTag.values()) log.nextLeaf = log.durable;
  }

  draft(log: TenantLog, entry: Entry, id: string = uuidv7(entry.time)): Draft {
    const segment = log.segmentKey;
    if (!segment) throw new InternalError('audit.keys', 'a record was to be sealed before its key was there');
    const { meta, payload } = entry;
    const parts: PartPlan[] = [{ name: 'meta', kid: segment.kid, key: segment.key, plaintext: meta }];
    if (payload) {
      const { key, bytes } = payload;
      parts.push({ name: 'payload', kid: key.alias(segment), key: key.key, plaintext: bytes });
    }
    return new Draft(log.places, id, entry, parts);
  }

  #begin(tag: Buffer, name: string): TenantLog {
    const folder = this.treeFolder(name);
    if (existsSync(join(folder, 'checkpoint')))
      throw new InternalError('audit.corrupt', `${folder} is there, but no record of it is`, { kind: 'outage' });
    const tree = TiledTree.load({ folder, origin: this.origin(name), entries: true }, null);
    const log = this.adopt(tag, tree, 0);
    this.#options.onNewTree(log);
    return log;
  }

  async #prepare(log: TenantLog, utc: number): Promise<SegmentKey> {
    const preparing = this.#options.keyring.newSegmentKey(log.name, utc);
    this.#preparing.set(log, preparing);
    try {
      log.segmentKey = await preparing;
      log.renew = false;
      return log.segmentKey;
    } finally {
      this.#preparing.delete(log);
    }
  }
}
