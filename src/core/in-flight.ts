import type { Call } from './call.ts';

/** Where a call stands in the table it is in. */
const SEAT = Symbol('seat');
type Seated = Call & { [SEAT]?: number };

/**
 * Every call under way, in one table: for the ceiling, the drain at shutdown, cancellation and the kill switch.
 *
 * Seats in arrays that stay, and not a Map: a Map in which entries come and go is copied over and over, each old copy
 * knows the next one, and so every call, with all it holds, would live until the next full garbage collection.
 */
export class InFlight {
  readonly #seats: (Call | null)[] = [];
  /** When each seat was taken, counted in calls. */
  readonly #taken: number[] = [];
  readonly #free: number[] = [];
  #entered = 0;
  #drained: (() => void) | null = null;

  get size(): number {
    return this.#seats.length - this.#free.length;
  }

  enter(call: Call): void {
    const seat = this.#free.pop() ?? this.#seats.length;
    this.#seats[seat] = call;
    this.#taken[seat] = this.#entered++;
    (call as Seated)[SEAT] = seat;
  }

  leave(call: Call): void {
    const seat = (call as Seated)[SEAT];
    if (seat === undefined || this.#seats[seat] !== call) return;
    this.#seats[seat] = null;
    this.#free.push(seat);
    if (this.size === 0) this.#drained?.();
  }

  /** All of them, oldest first. */
  calls(): IterableIterator<Call> {
    const taken = this.#taken;
    const seats = this.#seats.map((_, seat) => seat).sort((a, b) => taken[a]! - taken[b]!);
    return seats
      .map((seat) => this.#seats[seat]!)
      .filter((call) => call !== null)
      .values();
  }

  /** Resolves when no call is under way, or after `deadlineMs`; says how many were left. */
  async drain(deadlineMs: number): Promise<number> {
    if (this.size === 0) return 0;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, deadlineMs);
      this.#drained = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    return this.size;
  }
}
