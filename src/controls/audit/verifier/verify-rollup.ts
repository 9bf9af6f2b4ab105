import { setTimeout as sleep } from 'node:timers/promises';
import { Frontier, leafHash } from '../../../core/crypto/merkle.ts';
import { type Checkpoint, parseCheckpoint, splitNote } from '../../../core/crypto/signed-note.ts';
import {
  decodeBundle,
  MAX_ENTRY_BYTES,
  nodesFromTiles,
  TILE_WIDTH,
  tilePath,
  tileWidthAt,
} from '../../../core/crypto/tiles.ts';
import { type Keys, openCheckpoint, readNote } from './checkpoint-files.ts';
import { Findings } from './findings.ts';
import { below, type LogSource } from './source.ts';
import type { VerifyReport } from './verify.ts';
import { type KeptCheckpoint, TreeCheck } from './verify-tree.ts';

/** A roll-up that is not signed yet is looked for so many times, all roll-ups together: a folder may hold thousands. */
export const REREADS = 20;
const REREAD_AFTER_MS = 50;
/** Tiles of replicas kept at a time: entries of one replica look into the same ones. */
const KEPT_TILES = 64;

/**
 * Verifies a tenant's roll-up: a tree whose entries are the signed checkpoints of the tenant's trees on each replica.
 * Every entry must have the root that the tree of its replica had at that size, and none may be behind the one before
 * it; a replica that is named and not there, or shorter than it was, is a finding. That the tiles of the replicas follow
 * from records is what verifying the replicas shows.
 * @param audit the whole log, `<home>/audit`
 */
export async function verifyRollup(audit: LogSource, tag: string, options: RollupOptions): Promise<VerifyReport> {
  return new RollupCheck(audit, tag, options).run();
}

export interface RollupOptions {
  readonly keys: Keys;
  readonly kept: readonly KeptCheckpoint[];
  /** Used up by all roll-ups of a log. */
  readonly patience: { rereads: number };
}

class RollupCheck {
  readonly #audit: LogSource;
  readonly #source: LogSource;
  readonly #tag: string;
  readonly #path: string;
  readonly #keys: Keys;
  readonly #options: RollupOptions;
  readonly #findings = new Findings();
  readonly #skipped: string[] = [];
  /** Last entry of each replica, by origin. */
  readonly #last = new Map<string, Checkpoint>();
  /** What the trees of the replicas sign today. */
  readonly #today = new Map<string, Checkpoint | null>();
  readonly #tiles = new Map<string, Buffer>();
  #unknown = 0;

  constructor(audit: LogSource, tag: string, options: RollupOptions) {
    this.#audit = audit;
    this.#path = `rollup/${tag}`;
    this.#source = below(audit, this.#path);
    this.#tag = tag;
    this.#options = options;
    // Nobody shows roll-ups to witnesses: what they would say is said by the trees of the replicas.
    this.#keys = { ...options.keys, witnesses: [], quorum: 0 };
  }

  async run(): Promise<VerifyReport> {
    if (!(await this.#isSigned()))
      this.#report(`${this.#path}/checkpoint`, 0, 'there is no signed checkpoint: nothing proves these entries');
    const tree = await TreeCheck.open({
      source: this.#source,
      path: this.#path,
      entries: true,
      largest: MAX_ENTRY_BYTES,
      keys: this.#keys,
      kept: this.#options.kept,
      report: this.#report,
      skip: (what) => this.#skipped.push(what),
    });
    if (tree.origin !== null && !/^[^/]+\/[0-9a-f]{32}$/.test(tree.origin))
      this.#report(`${this.#path}/checkpoint`, null, `its origin ${tree.origin} is not a roll-up's`);
    if (tree.origin !== null && !tree.origin.endsWith(`/${this.#tag}`))
      this.#report(`${this.#path}/checkpoint`, null, `its origin ${tree.origin} is not this roll-up's`);
    let broken = false;
    for (let bundle = 0; bundle * TILE_WIDTH < tree.signed && !broken; bundle++) {
      const entries = await this.#entries(bundle, tileWidthAt(tree.signed, 0, bundle));
      broken = entries === null;
      for (const entry of entries ?? []) {
        await this.#check(entry, tree.leaves, tree.origin ?? '');
        tree.add(leafHash(entry), tree.leaves);
      }
      await tree.settle();
    }
    if (broken) this.#report(`${this.#path}/tile/entries`, tree.leaves, 'the bundle of this entry is missing or cut');
    // What was added to it meanwhile is not ours to judge.
    await tree.finish({ isLive: async () => true, broken, next: tree.leaves });
    if (this.#options.keys.witnesses.length > 0)
      this.#skipped.push(`${this.#path}: roll-ups are not shown to witnesses`);
    if (this.#unknown > 0)
      this.#skipped.push(
        `${this.#path}: ${this.#unknown} entries are signed by keys that were not given (their roots hold)`,
      );
    return {
      replica: this.#path,
      records: tree.leaves,
      segments: 0,
      trees: [tree.summary()],
      findings: this.#findings.first(),
      skipped: this.#skipped,
      young: false,
    };
  }

  readonly #report = (file: string, index: number | null, what: string): void => this.#findings.add(file, index, what);

  /** Its first tiles stand before its first checkpoint does: look again before saying that there is none. */
  async #isSigned(): Promise<boolean> {
    for (const { patience } = this.#options; ; patience.rereads--) {
      if ((await this.#source.size('checkpoint')) !== null) return true;
      if (patience.rereads === 0) return false;
      await sleep(REREAD_AFTER_MS);
    }
  }

  async #entries(index: number, width: number): Promise<Buffer[] | null> {
    const most = width * (MAX_ENTRY_BYTES + 2) + 1;
    const bytes =
      (await this.#source.read(tilePath({ level: 'entries', index, width }), 0, most)) ??
      (await this.#source.read(tilePath({ level: 'entries', index, width: TILE_WIDTH }), 0, most));
    const entries = bytes && decodeBundle(bytes)?.slice(0, width);
    return entries?.length === width ? entries : null;
  }

  async #check(entry: Buffer, index: number, origin: string): Promise<void> {
    const report = (what: string) => this.#report(this.#path, index, what);
    const note = entry.toString('utf8');
    const signed = openCheckpoint(note, this.#keys.verifiers);
    const checkpoint = signed ?? parseCheckpoint(splitNote(note)?.text ?? '');
    const [replica = '', ...more] = checkpoint?.origin.startsWith(`${origin}/`)
      ? checkpoint.origin.slice(origin.length + 1).split('/')
      : [];
    if (!checkpoint || !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(replica) || more.length > 0)
      return report('the entry is not a checkpoint of a replica of this tenant');
    if (!signed) this.#unknown++;
    const before = this.#last.get(replica);
    if (before && before.size > checkpoint.size) return report(`${replica} has fewer records than in the entry before`);
    this.#last.set(replica, checkpoint);
    const today = await this.#signedToday(replica);
    if (today && today.origin !== checkpoint.origin)
      return report(`in place of ${replica} stands the tree ${today.origin}`);
    if (!today) return report(`${replica} had ${checkpoint.size} records and is not here, or its tree is not signed`);
    if (today.size < checkpoint.size)
      return report(`${replica} was cut back: it had ${checkpoint.size} records, ${today.size} are signed today`);
    const root = await this.#rootAt(replica, checkpoint.size, today.size);
    if (!root || Buffer.compare(root, checkpoint.root) !== 0)
      report(`${replica} is not the log it was at ${checkpoint.size} records: another root`);
  }

  async #signedToday(replica: string): Promise<Checkpoint | null> {
    let today = this.#today.get(replica);
    if (today === undefined) {
      const note = await readNote(below(this.#audit, `${replica}/trees/${this.#tag}`), 'checkpoint');
      today = note === null ? null : openCheckpoint(note, this.#keys.verifiers);
      this.#today.set(replica, today);
    }
    return today;
  }

  /** The root of a replica's tree at `size`, out of its tiles of today; null when they do not reach. */
  async #rootAt(replica: string, size: number, today: number): Promise<Uint8Array | null> {
    const folder = `${replica}/trees/${this.#tag}`;
    for (;;) {
      const wanted: string[] = [];
      try {
        const nodes = nodesFromTiles((level, index) => {
          const path = `${folder}/${tilePath({ level, index, width: tileWidthAt(today, level, index) })}`;
          const tile = this.#tiles.get(path);
          if (!tile) wanted.push(path);
          return tile ?? new Uint8Array(0);
        });
        return Frontier.read(size, nodes).root();
      } catch {
        // Tiles are asked for without waiting: what was not there is brought, and asked for again.
        if (wanted.length === 0 || !(await this.#bring(wanted[0]!))) return null;
      }
    }
  }

  async #bring(path: string): Promise<boolean> {
    const most = TILE_WIDTH * 32;
    const whole = path.replace(/\.p\/[0-9]+$/, '');
    const tile = (await this.#audit.read(path, 0, most)) ?? (await this.#audit.read(whole, 0, most));
    if (!tile || tile.length === 0) return false;
    if (this.#tiles.size >= KEPT_TILES) this.#tiles.delete(this.#tiles.keys().next().value!);
    this.#tiles.set(path, tile);
    return true;
  }
}
