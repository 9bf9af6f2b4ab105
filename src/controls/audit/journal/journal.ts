import { join } from 'node:path';
import { InternalError } from '../../../core/internal-error.ts';
import { type FrameSource, frameLength } from '../format/frame.ts';
import { encodeHeader, segmentName } from '../format/segments.ts';
import { type Files, nothingWritten, writeWhole } from './files.ts';
import { type Batch, type Book, type Group, Groups, type Settle, seal } from './groups.ts';
import { shortageOf } from './shortage.ts';

export type { Book, Group, Settle } from './groups.ts';

/**
 * Records are sealed together: what cipher and digests need stays at hand from one to the next. Not too many, as other
 * calls wait meanwhile.
 */
const SEALED_TOGETHER = 32;

/** After a shortage: how often it is tried whether there is room again, ms. */
const TRY_AGAIN_MS = 1_000;

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
  /** A shortage: everything that was not durable has been taken back, the books' next places too. */
  readonly onTakenBack: () => void;
  /** After a shortage: frees the reserve and gives the record that says so. */
  readonly lastWords: (why: string) => { book: B; source: FrameSource };
  /** Is there room again, the reserve included? Never rejects. */
  readonly hasRoom: () => Promise<boolean>;
  /** Records are taken again. */
  readonly onReopened: (shortage: Shortage) => void;
}

export interface Shortage {
  /** In words. */
  readonly why: string;
  /** How long nothing was taken, ms. */
  readonly closedMs: number;
}

/**
 * The one physical log of a process. Records gather while the disk is busy; as soon as it is free, one asynchronous
 * write and one fdatasync make them durable together; only then are they acknowledged. A failed sync is never repeated:
 * Linux may have marked the pages clean (audit.md 3.3). A write for which there was no room is taken back, whole group
 * and all that waited behind it; then nothing is taken until there is room again.
 */
export class Journal<B extends Book> {
  readonly #options: JournalOptions<B>;
  #fd = -1;
  /** Open all the time: that names are durable must not depend on a descriptor that is left. */
  readonly #folderFd: number;
  #segment: number;
  #segmentStart = 0;
  #position = 0;
  #earlierBytes: number;
  #next: number;
  #durable: number;
  #pendingBytes = 0;
  readonly #groups = new Groups<B>();
  #busySince = -1;
  #scheduled = false;
  #failed: InternalError | null = null;
  #short: { readonly why: string; readonly since: number; readonly error: InternalError } | null = null;
  #probe: NodeJS.Timeout | null = null;
  #probing: Promise<void> | null = null;
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
    this.#folderFd = options.files.openSync(options.folder, 'r');
    try {
      this.#beginSegment();
    } catch (cause) {
      options.files.closeSync(this.#folderFd);
      throw cause;
    }
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

  /** Why no record is taken, for good or until there is room again. */
  get closed(): InternalError | null {
    return this.#failed ?? this.#short?.error ?? null;
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
   * @throws InternalError `audit.failed` after a failure, `audit.no_room` during a shortage
   */
  append(book: B, source: FrameSource, settle: Settle | null): number {
    if (this.closed) throw this.closed;
    const index = this.#next++;
    const batch = this.#groups.add(book, index, source, settle);
    this.#pendingBytes += frameLength(source);
    if (batch.unsealed.length >= SEALED_TOGETHER) this.#sealEarly(batch);
    if (this.#busySince < 0) this.#schedule();
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
    if (this.#probe) clearTimeout(this.#probe);
    await this.#probing;
    if (this.#fd < 0) return;
    this.#options.files.closeSync(this.#fd);
    this.#options.files.closeSync(this.#folderFd);
    this.#fd = -1;
  }

  /** After the events of this turn: callers that arrived together, or were answered together, share the sync. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#commit);
  }

  readonly #commit = (): void => {
    this.#scheduled = false;
    if (this.#failed) return;
    const batch = this.#groups.take();
    if (!batch) {
      this.#rest();
      return;
    }
    this.#busySince = this.#options.mono();
    try {
      seal(batch);
    } catch (cause) {
      this.#fail(cause, batch);
      return;
    }
    try {
      if (this.#segmentIsDone()) this.#beginSegment();
    } catch (cause) {
      this.#stop(cause, batch);
      return;
    }
    this.#write(batch, 0);
  };

  #sealEarly(batch: Batch<B>): void {
    try {
      seal(batch);
    } catch (cause) {
      this.#fail(cause, batch);
    }
  }

  #write(batch: Batch<B>, from: number): void {
    const { files } = this.#options;
    files.write(this.#fd, batch.bytes, from, batch.length - from, this.#position + from, (error, written) => {
      if (error || written === 0) this.#stop(error ?? nothingWritten(), batch);
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
    this.#pendingBytes -= batch.length;
    this.#commits++;
    if (batch.records.length > this.#largest) this.#largest = batch.records.length;
    this.#busySince = -1;
    this.#count(batch);
    if (this.#pendingBytes > 0) this.#schedule();
    else this.#rest();
  }

  /** What is durable is told, counted and passed on. */
  #count(batch: Batch<B>): void {
    const { records } = batch;
    this.#position += batch.length;
    this.#durable += records.length;
    for (const record of records) {
      record.book.durable++;
      record.settle?.(null);
    }
    this.#options.onCommitted(batch);
  }

  #rest(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #segmentIsDone(): boolean {
    const { segmentBytes, segmentMs, mono } = this.#options;
    return this.#position >= segmentBytes || mono() - this.#segmentStart >= segmentMs;
  }

  /**
   * Everything before is durable here, so a reader may take damage in an older segment for what it is. When there is no
   * room for a new one, no trace of it is left: a header with records behind it in the old segment would be damage.
   */
  #beginSegment(): void {
    const { files, folder, books, mono, onSegment } = this.#options;
    const trees: Record<string, number> = {};
    for (const book of books()) if (book.durable > 0) trees[book.name] = book.durable;
    const header = encodeHeader({ segment: this.#segment, first: this.#durable, trees });
    const path = join(folder, segmentName(this.#segment));
    const fd = files.openSync(path, 'wx', 0o600);
    try {
      writeWhole(files, fd, header, 0);
    } catch (cause) {
      this.#removeBegun(fd, path);
      throw cause;
    }
    files.fdatasyncSync(fd);
    files.fsyncSync(this.#folderFd);
    if (this.#fd >= 0) files.closeSync(this.#fd);
    this.#earlierBytes += this.#position;
    this.#fd = fd;
    this.#segment++;
    this.#position = header.length;
    this.#segmentStart = mono();
    onSegment();
  }

  #removeBegun(fd: number, path: string): void {
    const { files } = this.#options;
    try {
      files.closeSync(fd);
      files.unlinkSync(path);
      files.fsyncSync(this.#folderFd);
    } catch (cause) {
      // Whatever it is, it is none that passes.
      throw new Error(`${path} was begun and cannot be removed`, { cause });
    }
  }

  #stop(cause: unknown, batch: Batch<B>): void {
    const why = shortageOf(cause);
    if (why === null) this.#fail(cause, batch);
    else this.#takeBack(why, cause, batch);
  }

  /** Records of later groups may refer to those of this one: all that is not durable goes, and everybody is told. */
  #takeBack(why: string, cause: unknown, batch: Batch<B>): void {
    try {
      this.#cutBack();
    } catch (failure) {
      this.#fail(failure, batch);
      return;
    }
    const error = new InternalError('audit.no_room', `${why}; the audit log takes nothing until there is room again`, {
      kind: 'outage',
      cause,
    });
    this.#short = { why, since: this.#options.mono(), error };
    this.#next = this.#durable;
    this.#pendingBytes = 0;
    this.#busySince = -1;
    this.#tellAll(batch, error);
    try {
      this.#sayWhy(why);
    } catch (failure) {
      this.#fail(failure, null);
      return;
    }
    this.#options.onTakenBack();
    this.#rest();
    this.#tryLater();
  }

  /** Back to the last byte that was acknowledged. @throws: then nobody knows what the file holds */
  #cutBack(): void {
    const { files } = this.#options;
    if (files.fstatSync(this.#fd).size === this.#position) return;
    files.ftruncateSync(this.#fd, this.#position);
    files.fdatasyncSync(this.#fd);
  }

  /** One record that says why nothing is taken, in the room of the reserve. It may fail; a sync may not. */
  #sayWhy(why: string): void {
    const { files, lastWords } = this.#options;
    const words = new Groups<B>();
    let batch: Batch<B>;
    try {
      const { book, source } = lastWords(why);
      batch = words.add(book, this.#next, source, null);
      seal(batch);
      writeWhole(files, this.#fd, batch.bytes.subarray(0, batch.length), this.#position);
    } catch {
      // Everybody has been told by a refusal; the record that says when the log was opened again says why it was closed.
      this.#cutBack();
      return;
    }
    files.fdatasyncSync(this.#fd);
    this.#next++;
    this.#count(batch);
  }

  #tryLater(): void {
    this.#probe = setTimeout(() => {
      this.#probing = this.#tryAgain();
    }, TRY_AGAIN_MS);
    this.#probe.unref();
  }

  async #tryAgain(): Promise<void> {
    const { hasRoom, mono, onReopened } = this.#options;
    const room = await hasRoom();
    const short = this.#short;
    if (this.#failed || !short) return;
    if (!room) {
      this.#tryLater();
      return;
    }
    this.#short = null;
    onReopened({ why: short.why, closedMs: mono() - short.since });
  }

  /** @param batch the one that failed; null when it has been told */
  #fail(cause: unknown, batch: Batch<B> | null): void {
    const why = cause instanceof Error ? cause.message : String(cause);
    this.#failed = new InternalError(
      'audit.failed',
      `the audit log cannot be written (${why}); this process must end, its next start repairs the tail`,
      { kind: 'outage', cause },
    );
    this.#tellAll(batch, this.#failed);
    this.#rest();
    this.#options.onFatal(this.#failed);
  }

  /** Those of this group, and of all that wait behind it. */
  #tellAll(batch: Batch<B> | null, error: InternalError): void {
    for (let one = batch ?? this.#groups.take(); one; one = this.#groups.take()) {
      const { records } = one;
      one.release();
      for (const record of records) record.settle?.(error);
    }
  }
}
