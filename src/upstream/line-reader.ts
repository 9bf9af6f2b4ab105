import { Gathered } from '../core/gathered.ts';

const LF = 0x0a;

/** Splits a byte stream into lines; a line past `maxBytes` is dropped whole and reported, never buffered. */
export class LineReader {
  readonly #maxBytes: number;
  readonly #onLine: (line: Uint8Array) => void;
  readonly #onOverflow: () => void;
  /** The beginning of a line that has not ended. */
  readonly #begun = new Gathered();
  #skipping = false;

  constructor(maxBytes: number, onLine: (line: Uint8Array) => void, onOverflow: () => void) {
    this.#maxBytes = maxBytes;
    this.#onLine = onLine;
    this.#onOverflow = onOverflow;
  }

  push(chunk: Uint8Array): void {
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      const rest = chunk.subarray(start, end);
      start = end + 1;
      const fits = this.#fits(rest);
      if (fits && this.#begun.length > 0) this.#begun.add(rest);
      const line = this.#begun.length > 0 ? this.#begun.take() : rest;
      this.#skipping = false;
      if (fits && line.length > 0) this.#onLine(line);
    }
    const rest = chunk.subarray(start);
    if (rest.length > 0 && this.#fits(rest)) this.#begun.add(rest);
  }

  /** Whether the line may go on with this; one that has become too long is told once. */
  #fits(part: Uint8Array): boolean {
    if (this.#skipping) return false;
    if (this.#begun.length + part.length <= this.#maxBytes) return true;
    this.#skipping = true;
    this.#begun.take();
    this.#onOverflow();
    return false;
  }
}
