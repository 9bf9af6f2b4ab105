/** What is to be sealed: written where it is needed, when it is needed, so that no copy of it lies about before. */
export interface Plaintext {
  readonly length: number;
  /** Writes at `at` and says where it ends: `length` bytes behind, or nothing is sealed. */
  writeInto(into: Buffer, at: number): number;
}

export class PlainText implements Plaintext {
  readonly length: number;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    this.length = Buffer.byteLength(text, 'utf8');
  }

  writeInto(into: Buffer, at: number): number {
    return at + into.write(this.#text, at, 'utf8');
  }
}
