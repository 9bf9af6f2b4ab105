/**
 * What is there for the time of one call, by seat: arrays that stay, and not a Map or Set. One in which entries come and
 * go is copied over and over, each old copy knows the next one, and so everything that was ever in it would live until
 * the next full garbage collection (docs/performance.md).
 */
export class Seats<T> {
  readonly #seats: (T | null)[] = [];
  /** When each seat was taken, counted in takings. */
  readonly #taken: number[] = [];
  readonly #free: number[] = [];
  #count = 0;

  get size(): number {
    return this.#seats.length - this.#free.length;
  }

  /** The seat to give back with `leave`. */
  take(one: T): number {
    const seat = this.#free.pop() ?? this.#seats.length;
    this.#seats[seat] = one;
    this.#taken[seat] = this.#count++;
    return seat;
  }

  /** Once for each taking; whether it was the right one who left. */
  leave(seat: number, one: T): boolean {
    if (this.#seats[seat] !== one) return false;
    this.#seats[seat] = null;
    this.#free.push(seat);
    return true;
  }

  /** All of them, oldest first. */
  all(): T[] {
    const taken = this.#taken;
    return this.#seats
      .map((one, seat) => ({ one, since: taken[seat]! }))
      .filter((seated): seated is { one: T; since: number } => seated.one !== null)
      .sort((a, b) => a.since - b.since)
      .map(({ one }) => one);
  }
}
