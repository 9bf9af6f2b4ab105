/** Streams that may be open to one server at once, however many it would take. */
const MAX_STREAMS = 64;

/** Who listens to one server: streams stay open for as long as they are wanted, and each holds a connection. */
export class StreamSlots {
  /** By principal; null: the gateway itself. */
  readonly #held = new Map<string | null, number>();
  readonly #all: number;
  readonly #each: number;
  #taken = 0;

  /** @param connections that there are to this server; half of them stay for calls */
  constructor(connections = Number.POSITIVE_INFINITY) {
    this.#all = Math.min(MAX_STREAMS, Math.floor(connections / 2));
    // However much one principal wants to hear of, others can listen as well.
    this.#each = Math.max(1, Math.floor(this.#all / 4));
  }

  /** Listens in a slot, which is free again whatever becomes of it. False: none is left for this principal, or at all. */
  async during(owner: string | null, listening: () => Promise<boolean>): Promise<boolean> {
    const held = this.#held.get(owner) ?? 0;
    if (held >= this.#each || this.#taken >= this.#all) return false;
    this.#held.set(owner, held + 1);
    this.#taken++;
    try {
      return await listening();
    } finally {
      this.#taken--;
      const left = this.#held.get(owner)! - 1;
      if (left > 0) this.#held.set(owner, left);
      else this.#held.delete(owner);
    }
  }
}
