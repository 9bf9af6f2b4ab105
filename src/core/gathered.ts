const NOTHING = Buffer.alloc(0);
const LEAST_ROOM = 1_024;

/**
 * Bytes that come in pieces, in one place. Whoever sends decides how small the pieces are: kept one by one, each weighs
 * a hundred bytes and more, and a bound on what was sent would be no bound on what is held.
 */
export class Gathered {
  #bytes = NOTHING;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const more = Buffer.allocUnsafe(Math.max(LEAST_ROOM, length * 2));
      more.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = more;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  /** What was gathered; then there is nothing. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = NOTHING;
    this.#length = 0;
    return taken;
  }
}
