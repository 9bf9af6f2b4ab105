import type { Call } from './call.ts';
import { Seats } from './seats.ts';

/** Where a call stands in the table it is in. */
const SEAT = Symbol('seat');
type Seated = Call & { [SEAT]?: number };

/** Every call under way, in one table: for the ceiling, the drain at shutdown, cancellation and the kill switch. */
export class InFlight {
  readonly #seats = new Seats<Call>();
  #drained: (() => void) | null = null;

  get size(): number {
    return this.#seats.size;
  }

  enter(call: Call): void {
    (call as Seated)[SEAT] = this.#seats.take(call);
  }

  leave(call: Call): void {
    const seat = (call as Seated)[SEAT];
    if (seat === undefined || !this.#seats.leave(seat, call)) return;
    if (this.size === 0) this.#drained?.();
  }

  /** All of them, oldest first. */
  calls(): IterableIterator<Call> {
    return this.#seats.all().values();
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
