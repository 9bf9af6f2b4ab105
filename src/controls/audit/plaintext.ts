/** What is to be sealed: written where it is needed, when it is needed, so that no copy of it lies about before. */
export interface Plaintext {
  readonly length: number;
  /** Writes exactly `length` bytes. */
  writeInto(into: Buffer, at: number): void;
}

export class PlainText implements Plaintext {
  readonly length: number;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    this.length = Buffer.byteLength(text, 'utf8');
  }

  writeInto(into: Buffer, at: number): void {
    into.write(this.#text, at, 'utf8');
  }
}
