const LF = 0x0a;
const CR = 0x0d;

/**
 * Reads `text/event-stream` bytes into the data of its events. Bounded: one event may hold `maxBytes`; past that
 * `push` answers false and the stream must be dropped. Ids, retry and event names are not used in revision 2026-07-28.
 */
export class EventStreamReader {
  readonly #maxBytes: number;
  readonly #onData: (data: Uint8Array) => void;
  #line: Uint8Array[] = [];
  #lineBytes = 0;
  #data: Uint8Array[] = [];
  #dataBytes = 0;
  #afterCr = false;

  constructor(maxBytes: number, onData: (data: Uint8Array) => void) {
    this.#maxBytes = maxBytes;
    this.#onData = onData;
  }

  push(chunk: Uint8Array): boolean {
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i];
      if (byte !== LF && byte !== CR) {
        this.#afterCr = false;
        continue;
      }
      if (byte === LF && this.#afterCr) {
        this.#afterCr = false;
        start = i + 1;
        continue;
      }
      this.#afterCr = byte === CR;
      this.#keep(chunk.subarray(start, i));
      start = i + 1;
      this.#endLine();
    }
    this.#keep(chunk.subarray(start));
    return this.#lineBytes + this.#dataBytes <= this.#maxBytes;
  }

  #keep(part: Uint8Array): void {
    if (part.length === 0) return;
    this.#line.push(part);
    this.#lineBytes += part.length;
  }

  #endLine(): void {
    const line = this.#line.length === 1 ? this.#line[0]! : Buffer.concat(this.#line);
    this.#line = [];
    this.#lineBytes = 0;
    if (line.length === 0) {
      if (this.#data.length > 0) this.#onData(this.#data.length === 1 ? this.#data[0]! : joinLines(this.#data));
      this.#data = [];
      this.#dataBytes = 0;
      return;
    }
    // "data" then ":" then one optional space; other fields and comments mean nothing here.
    if (
      line[0] !== 0x64 ||
      line[1] !== 0x61 ||
      line[2] !== 0x74 ||
      line[3] !== 0x61 ||
      (line.length > 4 && line[4] !== 0x3a)
    )
      return;
    const value = line.subarray(line[5] === 0x20 ? 6 : 5);
    this.#data.push(Buffer.from(value));
    this.#dataBytes += value.length + 1;
  }
}

function joinLines(lines: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(lines.flatMap((line, i) => (i === 0 ? [line] : [Buffer.from('\n'), line])));
}
