import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { sha256, sha256Base64Url } from '../../../core/crypto/digest.ts';
import type { NoteVerifier } from '../../../core/crypto/signed-note.ts';
import { envelopeText, parseEnvelope } from '../format/envelope.ts';
import type { Frame } from '../format/frame.ts';
import { journalLeaf } from '../format/journal-leaf.ts';
import { encodeHeader, listSegments, SegmentReader, segmentName } from '../format/segments.ts';
import { TreeCheck, type VerifiedTree } from './verify-tree.ts';

/** What does not hold. `index` is the journal index of the first record concerned, when there is one. */
export interface VerifyFinding {
  readonly file: string;
  readonly index: number | null;
  readonly what: string;
}

export interface VerifyReport {
  readonly replica: string;
  readonly records: number;
  readonly segments: number;
  readonly trees: readonly VerifiedTree[];
  readonly findings: readonly VerifyFinding[];
  /** What this reading cannot speak for. */
  readonly skipped: readonly string[];
}

/** More findings than these say nothing new. */
const MOST_FINDINGS = 100;
const REREADS = 4;
const REREAD_AFTER_MS = 50;

/**
 * Reads one replica's log with nothing but the public key: every frame, ciphertext digest, envelope, entry bundle, hash
 * tile and checkpoint. Memory grows with the number of tenants, not of records. Everything read is attacker-controlled.
 * @param folder `<home>/audit/<replica>`
 */
export function verifyReplica(folder: string, verifiers: readonly NoteVerifier[]): VerifyReport {
  return new Verification(folder, verifiers).run();
}

class Verification {
  readonly #folder: string;
  readonly #verifiers: readonly NoteVerifier[];
  readonly #findings: VerifyFinding[] = [];
  readonly #skipped: string[] = [];
  readonly #trees = new Map<string, TreeCheck>();
  readonly #journal: TreeCheck;
  #records = 0;
  #sizes = new Map<string, number>();

  constructor(folder: string, verifiers: readonly NoteVerifier[]) {
    this.#folder = folder;
    this.#verifiers = verifiers;
    this.#journal = this.#openTree('journal', false);
  }

  run(): VerifyReport {
    // Checkpoints first: what they cover was on disk before, also when the log is being written meanwhile.
    const trees = join(this.#folder, 'trees');
    for (const tag of existsSync(trees) ? readdirSync(trees) : []) {
      if (/^[0-9a-f]{32}$/.test(tag)) this.#trees.set(tag, this.#openTree(`trees/${tag}`, true));
      else this.#report(`trees/${tag}`, null, 'a file that does not belong to the log');
    }
    const segments = this.#readSegments();
    const live = this.#isGrowing();
    for (const tree of this.#trees.values()) tree.finish(live);
    this.#journal.finish(live);
    if (this.#records > 0 && this.#journal.signed === 0)
      this.#report('journal/checkpoint', 0, 'there is no signed checkpoint: nothing proves these records');
    this.#lookForStrangers();
    this.#compareOrigins();
    this.#skipped.push('whether a later log existed (only a copy of a checkpoint kept elsewhere shows that)');
    return {
      replica: relative(join(this.#folder, '..'), this.#folder),
      records: this.#records,
      segments,
      trees: [...this.#trees.values(), this.#journal].map((tree) => tree.summary()),
      findings: this.#findings.slice(0, MOST_FINDINGS),
      skipped: this.#skipped,
    };
  }

  readonly #report = (file: string, index: number | null, what: string): void => {
    if (this.#findings.length < MOST_FINDINGS) this.#findings.push({ file, index, what });
  };

  #openTree(path: string, entries: boolean): TreeCheck {
    return new TreeCheck({
      folder: join(this.#folder, path),
      path,
      entries,
      verifiers: this.#verifiers,
      report: this.#report,
      skip: (what) => this.#skipped.push(what),
    });
  }

  #readSegments(): number {
    const folder = join(this.#folder, 'segments');
    const { numbers, strangers } = listSegments(folder);
    for (const name of strangers) this.#report(`segments/${name}`, null, 'a file that does not belong to the log');
    if (numbers.length === 0) this.#report('segments', 0, 'there is no segment');
    let expected = 1;
    for (const number of numbers) {
      if (number !== expected)
        this.#report(`segments/${segmentName(expected)}`, this.#records, 'the segment is missing');
      this.#readSegment(folder, number, number === numbers.at(-1));
      expected = number + 1;
    }
    return numbers.length;
  }

  #readSegment(folder: string, number: number, isLast: boolean): void {
    const reader = new SegmentReader(folder, number);
    const file = `segments/${segmentName(number)}`;
    try {
      const head = reader.header();
      const trees: Record<string, number> = {};
      for (const [tag, tree] of this.#trees) if (tree.leaves > 0) trees[tag] = tree.leaves;
      const expected = encodeHeader({ segment: number, first: this.#records, trees });
      if (!head || !expected.equals(head.bytes))
        this.#report(file, this.#records, 'the header does not follow from the segments before it');
      if (!head) return;
      for (let tries = 0; ; tries++) {
        for (let frame = reader.next(); frame; frame = reader.next()) this.#readFrame(file, frame);
        // The writer may be in the middle of a group: look again before calling it damage.
        const mayGrow = isLast && this.#records >= this.#journal.signed;
        if (!mayGrow || reader.offset === reader.size || tries === REREADS) break;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, REREAD_AFTER_MS);
      }
      if (reader.offset < reader.size) this.#leftOver(reader, file, isLast);
      this.#sizes.set(reader.path, reader.offset);
    } finally {
      reader.close();
    }
  }

  #leftOver(reader: SegmentReader, file: string, isLast: boolean): void {
    const { offset } = reader;
    const bytes = reader.size - offset;
    const what =
      isLast && this.#records >= this.#journal.signed
        ? `${bytes} bytes from byte ${offset} on are no whole record: an interrupted write, which the next start repairs, or damage`
        : `the record at byte ${offset} is damaged (checksum or form)`;
    this.#report(file, this.#records, what);
  }

  #readFrame(file: string, frame: Frame): void {
    if (frame.index !== this.#records)
      this.#report(file, this.#records, `record ${this.#records} was expected, record ${frame.index} stands there`);
    const tag = frame.tag.toString('hex');
    let tree = this.#trees.get(tag);
    if (!tree) {
      tree = this.#openTree(`trees/${tag}`, true);
      this.#trees.set(tag, tree);
    }
    const leaf = sha256(frame.leaf);
    this.#checkEnvelope(file, frame, tree.leaves);
    tree.add(leaf, frame.index, frame.envelope);
    if (frame.index < this.#journal.signed) tree.expected = tree.leaves;
    this.#journal.add(journalLeaf(frame.index, frame.tag, leaf), frame.index, frame.envelope);
    this.#records = frame.index + 1;
  }

  #checkEnvelope(file: string, frame: Frame, position: number): void {
    const envelope = parseEnvelope(frame.envelope);
    if (!envelope || envelopeText(envelope) !== frame.envelope.toString('latin1')) {
      this.#report(file, frame.index, 'the envelope is not canonical JSON of its form');
      return;
    }
    if (envelope.parts.length !== frame.parts.length) this.#report(file, frame.index, 'a part is missing or too many');
    envelope.parts.forEach((part, i) => {
      const sealed = frame.parts[i];
      if (sealed && (part.ct_len !== sealed.length || part.ct_sha256 !== sha256Base64Url(sealed)))
        this.#report(file, frame.index, `the sealed part ${part.name} is not the one the envelope names`);
    });
    if (envelope.refs.some((ref) => ref >= position))
      this.#report(file, frame.index, 'it refers to a record that is not before it');
  }

  /** Has a writer added to the log since its segments were read? */
  #isGrowing(): boolean {
    for (const [path, size] of this.#sizes) if (statSync(path).size > size) return true;
    const now = listSegments(join(this.#folder, 'segments')).numbers.length;
    return now > this.#sizes.size && this.#findings.length === 0;
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
  }

  #lookForStrangers(): void {
    for (const name of readdirSync(this.#folder)) {
      if (!['segments', 'journal', 'trees'].includes(name))
        this.#report(name, null, 'a file that does not belong to the log');
    }
  }
}
