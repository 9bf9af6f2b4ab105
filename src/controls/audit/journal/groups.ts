import type { InternalError } from '../../../core/internal-error.ts';
import { type FrameSource, frameLength, leafOffset, writeFrame } from '../format/frame.ts';

/** Records that share one write and one sync at most (audit.md 3.3). */
const GROUP_RECORDS = 512;
const GROUP_BYTES = 8 * 1024 * 1024;
const FIRST_BATCH_BYTES = 256 * 1024;
/** Groups kept for the next records: one fills, one is on its way to the disk, the others on their way into the trees. */
const SPARE_GROUPS = 4;

/** The tree a record belongs to, as far as the journal cares. */
export interface Book {
  /** 16 bytes. */
  readonly tag: Buffer;
  /** The same in hex. */
  readonly name: string;
  /** Records of this tree that are durable. */
  durable: number;
}

/** Called once: with null when the record is durable, else with the reason why it never will be. */
export type Settle = (error: InternalError | null) => void;

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

/** A group on its way: its first `length` bytes are those of its records. */
export interface Batch<B extends Book> extends Group<B> {
  bytes: Buffer;
  length: number;
  records: Written<B>[];
  /** Those that are not in `bytes` yet: they have their places, and end where the records end. */
  unsealed: { readonly at: number; readonly source: FrameSource }[];
}

/** Records that wait for the disk, in groups that each fit one write. Their memory is used again and again. */
export class Groups<B extends Book> {
  #filling: Batch<B>;
  #full: Batch<B>[] = [];
  readonly #spare: Batch<B>[] = [];

  constructor() {
    this.#filling = this.#newBatch();
  }

  /** Gives a record its place; returns the group it stands in. */
  add(book: B, index: number, source: FrameSource, settle: Settle | null): Batch<B> {
    const length = frameLength(source);
    const batch = this.#roomFor(length);
    const at = batch.length;
    batch.length += length;
    batch.records.push({ book, index, leafAt: at + leafOffset(source), leafLength: 1 + source.envelopeLength, settle });
    batch.unsealed.push({ at, source });
    return batch;
  }

  /** The oldest group, which is nobody else's from now on; null when nothing waits. */
  take(): Batch<B> | null {
    const full = this.#full.shift();
    if (full) return full;
    const batch = this.#filling;
    if (batch.length === 0) return null;
    this.#filling = this.#spare.pop() ?? this.#newBatch();
    return batch;
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

  #recycle(batch: Batch<B>): void {
    if (this.#spare.length >= SPARE_GROUPS || batch.bytes.length > GROUP_BYTES) return;
    batch.length = 0;
    batch.records = [];
    batch.unsealed = [];
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
}

/** Writes the records of a group that are not in its bytes yet. @throws when one does not come out as it was planned */
export function seal<B extends Book>(batch: Batch<B>): void {
  const { unsealed, records, bytes } = batch;
  if (unsealed.length === 0) return;
  const first = records.length - unsealed.length;
  for (let i = 0; i < unsealed.length; i++) {
    const { index, book } = records[first + i]!;
    writeFrame(bytes, unsealed[i]!.at, index, book.tag, unsealed[i]!.source);
  }
  batch.unsealed = [];
}
