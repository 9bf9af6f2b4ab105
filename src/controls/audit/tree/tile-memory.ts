/** What is kept for later, of all trees together. */
const MOST_KEPT_BYTES = 16 * 1024 * 1024;
const LEAST_BYTES = 4_096;
/** From here on sizes are multiples of it. */
const STEP_BYTES = 32_768;

/**
 * Memory for tiles and bundles on their way to the disk, used again and again. A busy log fills several megabytes of them
 * a second and drops them half a second later: as fresh buffers they were the only reason why the whole heap was collected,
 * over and over.
 */
export class TileMemory {
  readonly #mostKept: number;
  /** By size: powers of two, then steps. */
  readonly #spare = new Map<number, Buffer[]>();
  #kept = 0;

  constructor(mostKept = MOST_KEPT_BYTES) {
    this.#mostKept = mostKept;
  }

  /** At least so many bytes; they hold what somebody wrote there before. */
  take(bytes: number): Buffer {
    const size = sizeFor(bytes);
    const spare = this.#spare.get(size)?.pop();
    if (!spare) return Buffer.allocUnsafeSlow(size);
    this.#kept -= size;
    return spare;
  }

  /** Takes back what `take` gave, or a part of it from its beginning. Nobody may look at it any more. */
  give(bytes: Uint8Array): void {
    const whole = Buffer.from(bytes.buffer as ArrayBuffer);
    if (this.#kept + whole.length > this.#mostKept) return;
    this.#kept += whole.length;
    const spare = this.#spare.get(whole.length);
    if (spare) spare.push(whole);
    else this.#spare.set(whole.length, [whole]);
  }
}

function sizeFor(bytes: number): number {
  if (bytes > STEP_BYTES) return Math.ceil(bytes / STEP_BYTES) * STEP_BYTES;
  let size = LEAST_BYTES;
  while (size < bytes) size *= 2;
  return size;
}

/** Of all trees of this process. */
export const tileMemory = new TileMemory();
