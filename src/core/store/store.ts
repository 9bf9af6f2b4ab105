/** A stored value. Values that come from calls are stored only sealed; the store never sees them in clear. */
export interface Row {
  readonly value: Uint8Array;
  /** Grows by one with each write; 0 never occurs. */
  readonly version: number;
  /** ms UTC; an expired row is as good as absent. Null: stays. */
  readonly expiresAt: number | null;
}

export interface ListedRow extends Row {
  readonly key: string;
}

/**
 * The durable key-value port (approvals, registry, grants, wrapped keys). Tables are fixed words of the code; keys
 * begin with the tenant. A driver MUST make `set` and `delete` atomic and durable before they resolve, and MUST
 * reject (InternalError `store.unavailable`) rather than guess. One contract suite runs on every driver.
 */
export interface Store {
  get(table: string, key: string, now: number): Promise<Row | null>;
  /**
   * Compare-and-set. `expect` is the version the caller read; 0 means the row must not exist (or be expired).
   * Resolves with the new version, or null when somebody else was first.
   */
  set(
    table: string,
    key: string,
    value: Uint8Array,
    options: { expect: number; expiresAt: number | null; now: number },
  ): Promise<number | null>;
  /** With `scrub` no copy of the value is left behind in the driver's own files when it resolves: for keys that were erased. */
  delete(table: string, key: string, options: { expect: number; scrub?: boolean }): Promise<boolean>;
  /** Rows whose key begins with `prefix`, in key order, at most `limit`, after `after` when given. */
  list(table: string, options: { prefix: string; limit: number; after?: string; now: number }): Promise<ListedRow[]>;
  close(): Promise<void>;
}
