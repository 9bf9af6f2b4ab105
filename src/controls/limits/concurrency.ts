/** Counts what runs, by key. A key with nothing running is not kept, so it is as small as the work in flight. */
export class Running {
  readonly #counts = new Map<string, number>();

  /** True and counted, or false when `max` already run. */
  enter(key: string, max: number): boolean {
    const count = this.#counts.get(key) ?? 0;
    if (count >= max) return false;
    this.#counts.set(key, count + 1);
    return true;
  }

  leave(key: string): void {
    const count = this.#counts.get(key) ?? 0;
    if (count <= 1) this.#counts.delete(key);
    else this.#counts.set(key, count - 1);
  }

  /** Keys with something running. */
  get size(): number {
    return this.#counts.size;
  }
}

export interface Place {
  readonly among: Running;
  readonly key: string;
}

/** Two places that were entered. Given back exactly once, however often and by whomever it is asked. */
export class Lease {
  readonly #first: Place;
  readonly #second: Place;
  #held = true;

  constructor(first: Place, second: Place) {
    this.#first = first;
    this.#second = second;
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#first.among.leave(this.#first.key);
    this.#second.among.leave(this.#second.key);
  }
}
