import { Gathered } from '../core/gathered.ts';

const LF = 0x0a;
const CR = 0x0d;

/**
 * Reads `text/event-stream` bytes into the data of its events. Bounded: one event may hold `maxBytes`; past that
 * `push` answers false and the stream must be dropped. Ids, retry and names of events are there for legacy streams;
 * revision 2026-07-28 uses none of them.
 */
export class EventStreamReader {
  readonly #maxBytes: number;
  readonly #onData: (data: Uint8Array, name: string) => void;
  /** Id of the last event that had one; '' before. */
  lastId = '';
  /** What the server last asked to wait before coming back, ms; null when it did not. */
  retryMs: number | null = null;
  #name = '';
  #id: string | null = null;
  /** The beginning of a line that has not ended. */
  readonly #line = new Gathered();
  /** The lines of data so far, each with the line feed behind it. */
  readonly #data = new Gathered();
  #afterCr = false;

  constructor(maxBytes: number, onData: (data: Uint8Array, name: string) => void) {
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
      this.#endLine(chunk.subarray(start, i));
      start = i + 1;
    }
    if (start < chunk.length) this.#line.add(chunk.subarray(start));
    return this.#line.length + this.#data.length <= this.#maxBytes;
  }

  #endLine(end: Uint8Array): void {
    if (this.#line.length > 0) this.#line.add(end);
    const line = this.#line.length > 0 ? this.#line.take() : end;
    if (line.length === 0) return this.#endEvent();
    // "data" then ":" then one optional space. Comments mean nothing.
    const isData = line[0] === 0x64 && line[1] === 0x61 && line[2] === 0x74 && line[3] === 0x61;
    if (!isData || (line.length > 4 && line[4] !== COLON)) return this.#field(line);
    this.#data.add(line.subarray(line[5] === 0x20 ? 6 : 5));
    this.#data.add(LINE_END);
  }

  #endEvent(): void {
    if (this.#id !== null) this.lastId = this.#id;
    const data = this.#data.take();
    const name = this.#name;
    this.#name = '';
    this.#id = null;
    if (data.length > 0) this.#onData(data.subarray(0, -1), name);
  }

  #field(line: Uint8Array): void {
    const colon = line.indexOf(COLON);
    if (colon < 2 || colon > 5 || line.length > MAX_FIELD_BYTES) return;
    const field = Buffer.from(line).toString();
    const value = field.slice(field[colon + 1] === ' ' ? colon + 2 : colon + 1);
    const name = field.slice(0, colon);
    if (name === 'event') this.#name = value;
    // It goes out again as a header value: nothing but printable ASCII.
    else if (name === 'id' && PRINTABLE.test(value)) this.#id = value;
    else if (name === 'retry' && DIGITS.test(value)) this.retryMs = Number(value);
  }
}

const COLON = 0x3a;
const LINE_END = Buffer.from('\n');
const MAX_FIELD_BYTES = 1024;
const PRINTABLE = /^[\x20-\x7e]*$/;
const DIGITS = /^\d{1,7}$/;
