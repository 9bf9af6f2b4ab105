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

/** The right to run one target. Released exactly once, however often and by whomever it is asked. */
export class Lease {
  #release: (() => void) | null;

  constructor(release: () => void) {
    this.#release = release;
  }

  release(): void {
    const release = this.#release;
    this.#release = null;
    release?.();
  }
}
