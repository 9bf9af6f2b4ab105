import { join } from 'node:path';
import { InternalError } from '../../../core/internal-error.ts';
import { type FrameSource, frameLength, leafOffset, writeFrame } from '../format/frame.ts';
import { encodeHeader, segmentName } from '../format/segments.ts';
import type { Files } from './files.ts';
import { syncFolder } from './files.ts';

/** Records that share one write and one sync at most (audit.md 3.3). */
const GROUP_RECORDS = 512;
const GROUP_BYTES = 8 * 1024 * 1024;
const FIRST_BATCH_BYTES = 256 * 1024;
/** Groups kept for the next records: one fills, one is on its way to the disk, the others on their way into the trees. */
const SPARE_GROUPS = 4;
/**
 * Records are sealed together: what cipher and digests need stays at hand from one to the next. Not too many, as other
 * calls wait meanwhile.
 */
const SEALED_TOGETHER = 32;

/** The tree a record belongs to, as far as the journal cares. */
export interface Book {
  /** 16 bytes. */
  readonly tag: Buffer;
  /** The same in hex. */
  readonly name: string;
  /** Records of this tree that are durable. */
  durable: number;
}

export interface Written<B extends Book> {
  readonly book: B;
  readonly index: number;
  /** Where in the bytes of its group its leaf stands: a zero byte and the envelope. */
  readonly leafAt: number;
  readonly leafLength: number;
  readonly settle: Settle | null;
}

/** Records that became durable together. */
export interface Group<B extends Book> {
  readonly bytes: Buffer;
  readonly records: readonly Written<B>[];
  /** MUST be called once, when nobody looks at `bytes` any more. */
  release(): void;
}

/** Called once: with null when the record is durable, else with the reason why it never will be. */
export type Settle = (error: InternalError | null) => void;

export interface JournalOptions<B extends Book> {
  readonly files: Files;
  readonly folder: string;
  /** Number of the next segment to create and index of the next record. */
  readonly segment: number;
  readonly first: number;
  /** Bytes of the segments before. */
  readonly bytes: number;
  readonly segmentBytes: number;
  readonly segmentMs: number;
  /** Monotonic ms. */
  readonly mono: () => number;
  readonly books: () => Iterable<B>;
  /** A new segment has begun: what is sealed from now on needs new keys. */
  readonly onSegment: () => void;
  readonly onCommitted: (group: Group<B>) => void;
  /** Called once, after every waiter was told. Nothing may be written afterwards. */
  readonly onFatal: (error: InternalError) => void;
  /** On a full disk, called before onFatal: frees the reserve and gives the record that says so. */
  readonly lastWords: () => { book: B; source: FrameSource } | null;
}

interface Batch<B extends Book> extends Group<B> {
  bytes: Buffer;
  length: number;
  records: Written<B>[];
  /** Those that are not in `bytes` yet: they have their places, and end where the records end. */
  unsealed: { readonly at: number; readonly source: FrameSource }[];
}

/**
 * The one physical log of a process. Records gather while the disk is busy; as soon as it is free, one asynchronous
 * write and one fdatasync make them durable together; only then are they acknowledged. A failed write or sync is never
 * repeated: Linux may have marked the pages clean (audit.md 3.3).
 */
export class Journal<B extends Book> {
  readonly #options: JournalOptions<B>;
  #fd = -1;
  #segment: number;
  #segmentStart = 0;
  #position = 0;
  #earlierBytes: number;
  #next: number;
  #durable: number;
  #pendingBytes = 0;
  #filling: Batch<B>;
  #full: Batch<B>[] = [];
  #spare: Batch<B>[] = [];
  #busySince = -1;
  #scheduled = false;
  #failed: InternalError | null = null;
  #idle: (() => void)[] = [];
  #commits = 0;
  #largest = 0;

  /** Creates the first segment. @throws when the folder cannot be written */
  constructor(options: JournalOptions<B>) {
    this.#options = options;
    this.#segment = options.segment;
    this.#next = options.first;
    this.#durable = options.first;
    this.#earlierBytes = options.bytes;
    this.#filling = this.#newBatch();
    this.#beginSegment();
  }

  /** Index of the next record. */
  get next(): number {
    return this.#next;
  }

  get durable(): number {
    return this.#durable;
  }

  get failed(): InternalError | null {
    return this.#failed;
  }

  /** Bytes on disk and on their way. */
  get bytes(): number {
    return this.#earlierBytes + this.#position + this.#pendingBytes;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get commits(): number {
    return this.#commits;
  }

  get largestGroup(): number {
    return this.#largest;
  }

  /** How long the running commit has taken, ms; 0 when none runs. */
  busyFor(mono: number): number {
    return this.#busySince < 0 ? 0 : mono - this.#busySince;
  }

  /**
   * Takes a record; it is durable when `settle` hears null. Returns its index.
   * @throws InternalError `audit.failed` after a failure
   */
  append(book: B, source: FrameSource, settle: Settle | null): number {
    if (this.#failed) throw this.#failed;
    const length = frameLength(source);
    const batch = this.#roomFor(length);
    const index = this.#next++;
    const at = batch.length;
    batch.length += length;
    batch.records.push({ book, index, leafAt: at + leafOffset(source), leafLength: 1 + source.envelopeLength, settle });
    batch.unsealed.push({ at, source });
    this.#pendingBytes += length;
    if (batch.unsealed.length >= SEALED_TOGETHER) this.#sealEarly(batch);
    if (this.#busySince < 0 && !this.#scheduled) {
      this.#scheduled = true;
      // After the events of this turn: callers that arrived together share the sync.
      setImmediate(this.#commit);
    }
    return index;
  }

  /** Resolves when everything taken so far is durable, or has failed. */
  flushed(): Promise<void> {
    if (this.#failed || (this.#pendingBytes === 0 && this.#busySince < 0)) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  async close(): Promise<void> {
    await this.flushed();
    this.#failed ??= new InternalError('audit.closed', 'the audit log is closed', { kind: 'outage' });
    if (this.#fd >= 0) this.#options.files.closeSync(this.#fd);
    this.#fd = -1;
  }

  #roomFor(length: number): Batch<B> {
    const batch = this.#filling;
    if (batch.records.length >= GROUP_RECORDS || (batch.length > 0 && batch.length + length > GROUP_BYTES)) {
      this.#full.push(batch);
      this.#filling = this.#spare.pop() ?? this.#newBatch();
    }
    const chosen = this.#filling;
    if (chosen.length + length > chosen.bytes.length) {
      const wider = Buffer.allocUnsafeSlow(Math.max(chosen.bytes.length * 2, chosen.length + length));
      chosen.bytes.copy(wider, 0, 0, chosen.length);
      chosen.bytes = wider;
    }
    return chosen;
  }

  readonly #commit = (): void => {
    this.#scheduled = false;
    if (this.#failed) return;
    const batch = this.#full.shift() ?? this.#filling;
    if (batch.length === 0) {
      this.#rest();
      return;
    }
    if (batch === this.#filling) this.#filling = this.#spare.pop() ?? this.#newBatch();
    this.#busySince = this.#options.mono();
    try {
      this.#seal(batch);
      if (this.#segmentIsDone()) this.#beginSegment();
    } catch (cause) {
      this.#fail(cause, batch);
      return;
    }
    this.#write(batch, 0);
  };

  #sealEarly(batch: Batch<B>): void {
    try {
      this.#seal(batch);
    } catch (cause) {
      this.#fail(cause, batch);
    }
  }

  #seal(batch: Batch<B>): void {
    const { unsealed, records, bytes } = batch;
    if (unsealed.length === 0) return;
    const first = records.length - unsealed.length;
    for (let i = 0; i < unsealed.length; i++) {
      const { index, book } = records[first + i]!;
      writeFrame(bytes, unsealed[i]!.at, index, book.tag, unsealed[i]!.source);
    }
    batch.unsealed = [];
  }

  #write(batch: Batch<B>, from: number): void {
    const { files } = this.#options;
    files.write(this.#fd, batch.bytes, from, batch.length - from, this.#position + from, (error, written) => {
      if (error || written === 0) this.#fail(error ?? new Error('nothing was written'), batch);
      else if (from + written < batch.length) this.#write(batch, from + written);
      else this.#sync(batch);
    });
  }

  #sync(batch: Batch<B>): void {
    this.#options.files.fdatasync(this.#fd, (error) => {
      if (error) this.#fail(error, batch);
      else this.#acknowledge(batch);
    });
  }

  #acknowledge(batch: Batch<B>): void {
    const { records } = batch;
    this.#position += batch.length;
    this.#pendingBytes -= batch.length;
    this.#durable += records.length;
    this.#commits++;
    if (records.length > this.#largest) this.#largest = records.length;
    this.#busySince = -1;
    for (const record of records) {
      record.book.durable++;
      record.settle?.(null);
    }
    this.#options.onCommitted(batch);
    if (this.#pendingBytes > 0 && !this.#scheduled) this.#commit();
    else if (this.#pendingBytes === 0) this.#rest();
  }

  #rest(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #recycle(batch: Batch<B>): void {
    if (this.#spare.length >= SPARE_GROUPS || batch.bytes.length > GROUP_BYTES) return;
    batch.length = 0;
    batch.records = [];
    this.#spare.push(batch);
  }

  #newBatch(): Batch<B> {
    const batch: Batch<B> = {
      bytes: Buffer.allocUnsafeSlow(FIRST_BATCH_BYTES),
      length: 0,
      records: [],
      unsealed: [],
      release: () => this.#recycle(batch),
    };
    return batch;
  }

  #segmentIsDone(): boolean {
    const { segmentBytes, segmentMs, mono } = this.#options;
    return this.#position >= segmentBytes || mono() - this.#segmentStart >= segmentMs;
  }

  /** Everything before is durable here, so a reader may take damage in an older segment for what it is. */
  #beginSegment(): void {
    const { files, folder, books, mono, onSegment } = this.#options;
    const trees: Record<string, number> = {};
    for (const book of books()) if (book.durable > 0) trees[book.name] = book.durable;
    const header = encodeHeader({ segment: this.#segment, first: this.#durable, trees });
    const fd = files.openSync(join(folder, segmentName(this.#segment)), 'wx', 0o600);
    if (files.writeSync(fd, header, 0, header.length, 0) !== header.length) throw new Error('short write of a header');
    files.fdatasyncSync(fd);
    syncFolder(files, folder);
    if (this.#fd >= 0) files.closeSync(this.#fd);
    this.#earlierBytes += this.#position;
    this.#fd = fd;
    this.#segment++;
    this.#position = header.length;
    this.#segmentStart = mono();
    onSegment();
  }

  #fail(cause: unknown, batch: Batch<B>): void {
    const why = cause instanceof Error ? cause.message : String(cause);
    this.#failed = new InternalError(
      'audit.failed',
      `the audit log cannot be written (${why}); this process must end, its next start repairs the tail`,
      { kind: 'outage', cause },
    );
    for (const one of new Set([batch, ...this.#full, this.#filling])) {
      for (const record of one.records) record.settle?.(this.#failed);
    }
    this.#full = [];
    if ((cause as NodeJS.ErrnoException | null)?.code === 'ENOSPC') this.#sayFull();
    this.#rest();
    this.#options.onFatal(this.#failed);
  }

  /** Nothing of the failed group was acknowledged: its bytes give way to one record that says the disk is full. */
  #sayFull(): void {
    const { files, lastWords } = this.#options;
    try {
      const words = lastWords();
      if (!words) return;
      const frame = Buffer.alloc(frameLength(words.source));
      writeFrame(frame, 0, this.#durable, words.book.tag, words.source);
      files.ftruncateSync(this.#fd, this.#position);
      files.writeSync(this.#fd, frame, 0, frame.length, this.#position);
      files.fdatasyncSync(this.#fd);
    } catch {
      // The process ends anyway, and the tail is repaired at the next start; onFatal carries the first cause.
    }
  }
}
