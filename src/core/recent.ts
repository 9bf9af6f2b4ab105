/**
 * A bounded memory: the entry used longest ago goes first. Keys are compared whole. Two generations stand for exact
 * recency, because a hit must cost a lookup and nothing else: what was not asked for during a whole generation goes.
 * (Taking an entry out and in again at each hit has the engine copy the table every few hits.)
 */
export class Recent<V> {
  #young = new Map<string, V>();
  #old = new Map<string, V>();
  readonly #half: number;

  /** @param entries at most this many are held */
  constructor(entries: number) {
    this.#half = Math.max(1, Math.floor(entries / 2));
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#half && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  /** As `get`, without making it younger. */
  peek(key: string): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }

  clear(): void {
    this.#young = new Map();
    this.#old = new Map();
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }
}

/**
 * The same for keys of two parts, each compared whole. Parts that are long-lived strings keep their hash, so that a hit
 * costs two lookups; a key put together for each question would have to be made, copied and hashed anew.
 */
export class RecentPairs<V> {
  #young = new Map<string, Map<string | number, V>>();
  #old = new Map<string, Map<string | number, V>>();
  #youngSize = 0;
  readonly #half: number;

  /** @param entries at most this many are held */
  constructor(entries: number) {
    this.#half = Math.max(1, Math.floor(entries / 2));
  }

  get(first: string, second: string | number): V | undefined {
    const young = this.#young.get(first)?.get(second);
    if (young !== undefined) return young;
    const old = this.#old.get(first)?.get(second);
    if (old !== undefined) this.set(first, second, old);
    return old;
  }

  set(first: string, second: string | number, value: V): void {
    let values = this.#young.get(first);
    if (values?.has(second) !== true) {
      if (this.#youngSize >= this.#half) {
        this.#old = this.#young;
        this.#young = new Map();
        this.#youngSize = 0;
        values = undefined;
      }
      this.#youngSize++;
    }
    if (values === undefined) {
      values = new Map();
      this.#young.set(first, values);
    }
    values.set(second, value);
  }

  /** As `get`, without making it younger. */
  peek(first: string, second: string | number): V | undefined {
    return this.#young.get(first)?.get(second) ?? this.#old.get(first)?.get(second);
  }

  delete(first: string, second: string | number): void {
    if (this.#young.get(first)?.delete(second) === true) this.#youngSize--;
    this.#old.get(first)?.delete(second);
  }

  clear(): void {
    this.#young = new Map();
    this.#old = new Map();
    this.#youngSize = 0;
  }

  get size(): number {
    let size = this.#youngSize;
    for (const values of this.#old.values()) size += values.size;
    return size;
  }
}
