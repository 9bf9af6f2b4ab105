import type { Call } from './call.ts';

/** Every call under way, in one table: for the ceiling, the drain at shutdown, cancellation and the kill switch. */
export class InFlight {
  readonly #calls = new Map<string, Call>();
  #drained: (() => void) | null = null;

  get size(): number {
    return this.#calls.size;
  }

  enter(call: Call): void {
    this.#calls.set(call.id, call);
  }

  leave(call: Call): void {
    this.#calls.delete(call.id);
    if (this.#calls.size === 0) this.#drained?.();
  }

  /** All of them, oldest first. */
  calls(): IterableIterator<Call> {
    return this.#calls.values();
  }

  /** Resolves when no call is under way, or after `deadlineMs`; says how many were left. */
  async drain(deadlineMs: number): Promise<number> {
    if (this.#calls.size === 0) return 0;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, deadlineMs);
      this.#drained = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    return this.#calls.size;
  }
}
