import { setTimeout as sleep } from 'node:timers/promises';
import { sha256, sha256Base64Url } from '../../../core/crypto/digest.ts';
import { type Frame, MAX_ENVELOPE_BYTES, MAX_FRAME_BYTES } from '../format/frame.ts';
import { journalLeaf } from '../format/journal-leaf.ts';
import { encodeHeader, SegmentWindow, segmentName, WINDOW_BYTES } from '../format/segments.ts';
import type { Keys } from './checkpoint-files.ts';
import { checkEnvelope } from './envelope-check.ts';
import { Findings, FOREIGN, type VerifyFinding, visible } from './findings.ts';
import { below, type LogSource } from './source.ts';
import { type KeptCheckpoint, TreeCheck, type VerifiedTree } from './verify-tree.ts';

export interface VerifyReport {
  /** Name of the replica's folder; `rollup/<tag>` for a roll-up; '' for what belongs to neither. */
  readonly replica: string;
  readonly records: number;
  readonly segments: number;
  readonly trees: readonly VerifiedTree[];
  /** What does not hold, the first bad record first; empty: every byte is the one that was signed. */
  readonly findings: readonly VerifyFinding[];
  /** What this reading cannot speak for. */
  readonly skipped: readonly string[];
  /** Nothing is signed yet, and nothing is old enough that it would have to be: neither good nor bad. */
  readonly young: boolean;
}

export interface ReplicaOptions {
  readonly keys: Keys;
  readonly kept: readonly KeptCheckpoint[];
  /** Must the log be that of the replica it is named after? Not of a folder that was given by itself. */
  readonly isNamed: boolean;
  /** ms UTC */
  readonly now: number;
  /** Told after each window of the journal: at most once for each megabyte. */
  readonly onProgress: (records: number, bytes: number) => void;
}

/**
 * Trees that are met and not signed: those of tenants that came within the last seconds. More of them are no log of
 * ours: each costs memory, and a forger one record.
 */
const MOST_UNSIGNED = 10_000;
const REREADS = 4;
const REREAD_AFTER_MS = 50;
/** Grown trees are signed once a minute at the latest (`checkpointMs`). */
const SIGNED_WITHIN_MS = 120_000;

/**
 * Reads one replica's log with nothing but the public key: every frame, ciphertext digest, envelope, entry bundle, hash
 * tile and checkpoint. Memory grows with the number of tenants, not of records. Everything read is attacker-controlled.
 * @param source the folder `<home>/audit/<replica>`
 */
export async function verifyReplica(source: LogSource, name: string, options: ReplicaOptions): Promise<VerifyReport> {
  return new Verification(source, name, options).run();
}

class Verification {
  readonly #source: LogSource;
  readonly #name: string;
  readonly #options: ReplicaOptions;
  readonly #findings = new Findings();
  readonly #skipped: string[] = [];
  readonly #trees = new Map<string, TreeCheck>();
  #journal!: TreeCheck;
  #records = 0;
  #bytes = 0;
  #segments = 0;
  /** What lies behind the last record could not be read as a log. */
  #broken = false;
  #unsignedTrees = 0;
  #retiredAt: number | null = null;
  /** Time, by its envelope, of the first record that no checkpoint covers. */
  #unsignedSince: number | null = null;
  /** The last segment, and how far it was read. */
  #last = { path: '', offset: 0 };

  constructor(source: LogSource, name: string, options: ReplicaOptions) {
    this.#source = source;
    this.#name = name;
    this.#options = options;
  }

  async run(): Promise<VerifyReport> {
    // Checkpoints first: what they cover was on disk before, also when the log is being written meanwhile.
    this.#journal = await this.#openTree('journal', false);
    const names = await this.#source.list('trees');
    for (const name of names ?? []) {
      const tag = name.slice(0, -1);
      if (/^[0-9a-f]{32}\/$/.test(name)) this.#trees.set(tag, await this.#openTree(`trees/${tag}`, true));
      else this.#report(`trees/${name.replace(/\/$/, '')}`, null, FOREIGN);
    }
    await this.#readSegments();
    const end = { isLive: () => this.#isGrowing(), broken: this.#broken, next: this.#records };
    for (const tree of this.#trees.values()) await tree.finish(end);
    await this.#journal.finish(end);
    const young = await this.#judgeUnsigned();
    await this.#lookForStrangers();
    this.#compareOrigins();
    if (this.#options.kept.length === 0)
      this.#skipped.push('whether a later log existed (only a copy of a checkpoint kept elsewhere shows that)');
    return {
      replica: visible(this.#name),
      records: this.#records,
      segments: this.#segments,
      trees: [...this.#trees.values(), this.#journal].map((tree) => tree.summary()),
      findings: this.#findings.first(),
      skipped: this.#skipped,
      young: young && this.#findings.none,
    };
  }

  readonly #report = (file: string, index: number | null, what: string): void => this.#findings.add(file, index, what);

  async #openTree(path: string, entries: boolean): Promise<TreeCheck> {
    return TreeCheck.open({
      source: below(this.#source, path),
      path,
      entries,
      largest: MAX_ENVELOPE_BYTES,
      keys: this.#options.keys,
      kept: this.#options.kept,
      report: this.#report,
      skip: (what) => this.#skipped.push(what),
    });
  }

  async #readSegments(): Promise<void> {
    const listed = await this.#source.list('segments');
    const numbers = new Set<number>();
    for (const name of listed ?? []) {
      if (/^[0-9]{8}\.seg$/.test(name) && Number(name.slice(0, 8)) > 0) numbers.add(Number(name.slice(0, 8)));
      else this.#report(`segments/${name.replace(/\/$/, '')}`, null, FOREIGN);
    }
    const last = Math.max(0, ...numbers);
    for (let number = 1; !this.#broken; number++) {
      // Where nothing can be listed, and when the writer has begun another one meanwhile, the file itself tells.
      const isThere = numbers.has(number) || (await this.#source.size(segmentPath(number))) !== null;
      if (isThere) {
        this.#segments++;
        await this.#readSegment(number);
      } else if (number < last) {
        this.#report(segmentPath(number), this.#records, 'the segment is missing');
        this.#broken = true;
      } else break;
    }
    if (this.#broken)
      this.#skipped.push(`what follows in the journal: it could not be read beyond record ${this.#records}`);
  }

  async #readSegment(number: number): Promise<void> {
    const file = segmentPath(number);
    const window = new SegmentWindow();
    const fill = (least = window.wanted) => this.#fill(file, window, least);
    let head = window.header();
    while (!head && (await fill())) head = window.header();
    const trees: Record<string, number> = {};
    for (const [tag, tree] of this.#trees) if (tree.leaves > 0) trees[tag] = tree.leaves;
    const expected = encodeHeader({ segment: number, first: this.#records, trees });
    if (!head || !expected.equals(head.bytes))
      this.#report(file, this.#records, 'the header does not follow from the segments before it');
    if (!head) {
      // What must stand there is known: the records behind it can be read all the same.
      while (window.end < expected.length && (await fill(expected.length)));
      window.skip(expected.length);
    }
    for (let tries = 0; ; tries++) {
      await this.#readFrames(file, window, fill);
      // The writer may be in the middle of a group: look again before calling it damage.
      const isCut = window.wanted > 0 && window.offset < window.end;
      if (this.#broken || !isCut || tries === REREADS || this.#records < this.#journal.signed) break;
      if ((await this.#source.size(segmentPath(number + 1))) !== null) break;
      await sleep(REREAD_AFTER_MS);
    }
    this.#last = { path: file, offset: window.offset };
    this.#bytes += window.offset;
    if (!this.#broken && window.end > window.offset) await this.#leftOver(file, number, window);
  }

  async #readFrames(file: string, window: SegmentWindow, fill: () => Promise<boolean>): Promise<void> {
    for (;;) {
      const frame = window.next();
      if (frame) {
        const tag = frame.tag.toString('hex');
        const tree = this.#trees.get(tag) ?? (await this.#meet(tag, file));
        if (!tree || !this.#take(file, frame, tree)) return;
      } else if (!(await fill())) return;
    }
  }

  /** The next window, once everything in the one before has been compared. */
  async #fill(file: string, window: SegmentWindow, least: number): Promise<boolean> {
    if (least === 0 || least > MAX_FRAME_BYTES) return false;
    await this.#settle();
    this.#options.onProgress(this.#records, this.#bytes + window.offset);
    const bytes = await this.#source.read(file, window.end, window.end + Math.max(WINDOW_BYTES, least));
    if (!bytes || bytes.length === 0) return false;
    window.feed(bytes);
    return true;
  }

  async #settle(): Promise<void> {
    const waiting = [this.#journal, ...this.#trees.values()].filter((tree) => tree.isWaiting);
    await Promise.all(waiting.map((tree) => tree.settle()));
  }

  /** A tree that no listing named, or none could be made. Null: there are too many. */
  async #meet(tag: string, file: string): Promise<TreeCheck | null> {
    const tree = await this.#openTree(`trees/${tag}`, true);
    if (tree.origin === null && ++this.#unsignedTrees > MOST_UNSIGNED) {
      this.#report(file, this.#records, `more than ${MOST_UNSIGNED} trees have records and no signed checkpoint`);
      this.#broken = true;
      return null;
    }
    this.#trees.set(tag, tree);
    return tree;
  }

  /** What was read and is no record; what the writer has added since then is not judged. */
  async #leftOver(file: string, number: number, { offset, end }: SegmentWindow): Promise<void> {
    const isLast = (await this.#source.size(segmentPath(number + 1))) === null;
    const isTail = isLast && this.#records >= this.#journal.signed;
    this.#broken = !isTail;
    const what = isTail
      ? `${end - offset} bytes from byte ${offset} on are no whole record: an interrupted write, which the next start repairs, or damage`
      : `the record at byte ${offset} is damaged (checksum or form)`;
    this.#report(file, this.#records, what);
  }

  /** @returns false when this is not the record that comes next: then no later one can be placed either */
  #take(file: string, frame: Frame, tree: TreeCheck): boolean {
    if (frame.index !== this.#records) {
      this.#report(file, this.#records, `record ${this.#records} was expected, record ${frame.index} stands there`);
      this.#broken = true;
      return false;
    }
    const leaf = sha256(frame.leaf);
    this.#checkEnvelope(file, frame, tree.leaves);
    tree.add(leaf, frame.index);
    if (frame.index < this.#journal.signed) tree.expected = tree.leaves;
    this.#journal.add(journalLeaf(frame.index, frame.tag, leaf), frame.index);
    this.#records = frame.index + 1;
    return true;
  }

  #checkEnvelope(file: string, frame: Frame, position: number): void {
    const envelope = checkEnvelope(frame.envelope);
    if (!envelope) {
      this.#report(file, frame.index, 'the envelope is not canonical JSON of its form');
      return;
    }
    const { parts, refs, kind, t_ms } = envelope;
    if (parts.length !== frame.parts.length) this.#report(file, frame.index, 'a part is missing or too many');
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]!;
      const sealed = frame.parts[i];
      if (sealed && (part.ct_len !== sealed.length || part.ct_sha256 !== sha256Base64Url(sealed)))
        this.#report(file, frame.index, `the sealed part ${part.name} is not the one the envelope names`);
    }
    for (const ref of refs)
      if (ref >= position) this.#report(file, frame.index, 'it refers to a record that is not before it');
    if (kind === 'retirement') this.#retiredAt ??= frame.index;
    else if (this.#retiredAt !== null)
      this.#report(file, frame.index, `the replica was retired by record ${this.#retiredAt}, yet this one follows`);
    if (frame.index >= this.#journal.signed) this.#unsignedSince ??= t_ms;
  }

  /** Has a writer added to the log since its segments were read? Asked when something is there that was not. */
  async #isGrowing(): Promise<boolean> {
    if (this.#segments === 0) return false;
    if (((await this.#source.size(this.#last.path)) ?? 0) > this.#last.offset) return true;
    return this.#findings.none && (await this.#source.size(segmentPath(this.#segments + 1))) !== null;
  }

  /** Nothing is signed: right of a log that has just begun, and of no other. */
  async #judgeUnsigned(): Promise<boolean> {
    if (this.#segments === 0) {
      this.#report('segments', 0, 'there is no segment');
      return false;
    }
    if (this.#journal.signed > 0 || (this.#records === 0 && this.#journal.origin !== null)) return false;
    const age = this.#options.now - (this.#unsignedSince ?? this.#options.now);
    const isYoung = Math.abs(age) <= SIGNED_WITHIN_MS;
    // Trees of tenants are signed just before the journal's: without it they show that something was taken away, or
    // that the first signatures are being made while this is read.
    const isWhole = [...this.#trees.values()].every((tree) => tree.signed === 0);
    const begun = isYoung && (isWhole || (await this.#isBeingSigned()));
    if (begun)
      this.#skipped.push(`all of it: nothing is signed yet, the oldest record is ${Math.round(age / 1000)} s old`);
    else this.#report('journal/checkpoint', 0, 'there is no signed checkpoint: nothing proves these records');
    return begun;
  }

  async #isBeingSigned(): Promise<boolean> {
    return (await this.#isGrowing()) || (await this.#source.size('journal/checkpoint')) !== null;
  }

  #compareOrigins(): void {
    const journal = this.#journal.origin?.split('/');
    for (const [tag, tree] of this.#trees) {
      if (!tree.origin || !journal) continue;
      if (tree.origin !== `${journal[0]}/${tag}/${journal[2]}`)
        this.#report(`trees/${tag}/checkpoint`, null, `its origin ${tree.origin} is not this tree's`);
    }
    if (journal && (journal.length !== 3 || journal[1] !== 'journal'))
      this.#report('journal/checkpoint', null, `its origin ${journal.join('/')} is not a journal's`);
    if (journal && this.#options.isNamed && journal[2] !== this.#name)
      this.#report('journal/checkpoint', null, `this is the log of ${journal[2]}, which stands in its place`);
  }

  async #lookForStrangers(): Promise<void> {
    const names = await this.#source.list('');
    if (!names) this.#skipped.push('files that do not belong to the log: this source cannot list what it has');
    for (const name of names ?? [])
      if (!['segments/', 'journal/', 'trees/'].includes(name)) this.#report(name.replace(/\/$/, ''), null, FOREIGN);
  }
}

function segmentPath(number: number): string {
  return `segments/${segmentName(number)}`;
}
