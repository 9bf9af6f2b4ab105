import type { Backoff, BackoffRule, Ephemeral, OnceAnswer, Taken, WindowRule } from './ephemeral.ts';
import { BackoffTable } from './ephemeral-backoff.ts';
import { type SlidingWindow, slidingWindow, takeFromWindow, windowIsOver } from './ephemeral-window.ts';

export interface MemoryEphemeralOptions {
  /** Keys per table; a window is about 300 bytes. */
  readonly maxKeys?: number;
}

/** The driver for one process: every answer is a plain value. With more than one worker it is a start-up error to use it. */
export class MemoryEphemeral implements Ephemeral {
  readonly #maxKeys: number;
  readonly #windows = new Map<string, BoundedMap<SlidingWindow>>();
  readonly #once = new Map<string, BoundedMap<Remembered>>();
  readonly #backoff = new Map<string, BackoffTable>();

  constructor(options: MemoryEphemeralOptions = {}) {
    const maxKeys = options.maxKeys ?? 65_536;
    if (!Number.isSafeInteger(maxKeys) || maxKeys < 1) throw new TypeError('maxKeys must be a positive integer');
    this.#maxKeys = maxKeys;
  }

  take(table: string, key: string, rule: WindowRule, now: number): Taken {
    const windows =
      this.#windows.get(table) ?? begin(this.#windows, table, new BoundedMap(this.#maxKeys, windowIsOver));
    let window = windows.get(key);
    if (window === undefined) {
      window = slidingWindow(rule, now);
      if (!windows.add(key, window, now)) return { accepted: false, remaining: 0, retryAfterMs: window.width };
    }
    return takeFromWindow(window, rule, now);
  }

  once(table: string, key: string, ttlMs: number, now: number): OnceAnswer {
    const seen = this.#once.get(table) ?? begin(this.#once, table, new BoundedMap(this.#maxKeys, isPast));
    const known = seen.get(key);
    if (known !== undefined && known.expiresAt > now) return 'exists';
    if (known !== undefined) seen.delete(key);
    return seen.add(key, { expiresAt: now + ttlMs }, now) ? 'stored' : 'full';
  }

  failed(table: string, key: string, rule: BackoffRule, now: number): Backoff {
    const streaks = this.#backoff.get(table) ?? begin(this.#backoff, table, new BackoffTable(this.#maxKeys));
    return streaks.failed(key, rule, now);
  }

  backoff(table: string, key: string, rule: BackoffRule, now: number): Backoff {
    return this.#backoff.get(table)?.state(key, rule, now) ?? NO_BACKOFF;
  }

  /** Keys held in all tables: what the bound is about. */
  get size(): number {
    let size = 0;
    for (const table of [...this.#windows.values(), ...this.#once.values(), ...this.#backoff.values()])
      size += table.size;
    return size;
  }

  close(): void {
    this.#windows.clear();
    this.#once.clear();
    this.#backoff.clear();
  }
}

interface Remembered {
  readonly expiresAt: number;
}

const NO_BACKOFF: Backoff = Object.freeze({ failures: 0, waitMs: 0 });

function isPast(entry: Remembered, now: number): boolean {
  return entry.expiresAt <= now;
}

function begin<T>(tables: Map<string, T>, name: string, table: T): T {
  tables.set(name, table);
  return table;
}

/** Opens the memory driver. @param options bound of each table */
export function openEphemeralMemory(options: MemoryEphemeralOptions = {}): MemoryEphemeral {
  return new MemoryEphemeral(options);
}

/** A map that lets go only of entries that are over. Each addition looks at three old entries, so it cleans faster than it fills. */
class BoundedMap<V> {
  readonly #entries = new Map<string, V>();
  readonly #max: number;
  readonly #isOver: (value: V, now: number) => boolean;
  #cursor: Iterator<[string, V]>;
  /** A full search is worth it at most four times a second: strangers at a full table must not cost us the CPU. */
  #searchedAt = Number.NEGATIVE_INFINITY;

  constructor(max: number, isOver: (value: V, now: number) => boolean) {
    this.#max = max;
    this.#isOver = isOver;
    this.#cursor = this.#entries.entries();
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    return this.#entries.get(key);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** False when full of entries that are not over. */
  add(key: string, value: V, now: number): boolean {
    this.#clean(now);
    if (this.#entries.size >= this.#max) {
      if (now - this.#searchedAt < 250) return false;
      this.#searchedAt = now;
      for (const [old, entry] of this.#entries) if (this.#isOver(entry, now)) this.#entries.delete(old);
      if (this.#entries.size >= this.#max) return false;
    }
    this.#entries.set(key, value);
    return true;
  }

  #clean(now: number): void {
    for (let looked = 0; looked < 3; looked++) {
      const next = this.#cursor.next();
      if (next.done) {
        this.#cursor = this.#entries.entries();
        return;
      }
      if (this.#isOver(next.value[1], now)) this.#entries.delete(next.value[0]);
    }
  }
}
