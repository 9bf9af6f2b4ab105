/** An object as it lies in a bucket with versions. */
export interface ObjectVersion {
  readonly name: string;
  readonly version: string;
  /** A marker hides what is below it; it has no bytes. */
  readonly marker: boolean;
  readonly size: number;
  /** ms UTC, by the bucket's clock. */
  readonly at: number;
}

export interface ListedVersions {
  readonly versions: readonly ObjectVersion[];
  /** What the names have in common up to the next slash, where names were asked for one level only. */
  readonly folders: readonly string[];
}

/** Writing, and finding again what was written. Names are whole names in the bucket. Any trouble is a rejection. */
export interface LockedBucket {
  /**
   * Stores an object under a name that is free, locked until `retainUntil` (ms UTC). `exists`: the name is taken, and
   * nothing was written. Resolves when the bucket has it.
   */
  put(name: string, bytes: Uint8Array, retainUntil: number): Promise<'stored' | 'exists'>;
  /** Null when there is no such object. */
  get(name: string): Promise<Buffer | null>;
  /** Names below a prefix, in their order, page by page; `after` leaves out what comes before it. */
  names(prefix: string, after?: string): AsyncIterable<readonly { readonly name: string; readonly size: number }[]>;
  /** What follows the prefix up to the next slash, in order. */
  folders(prefix: string): Promise<readonly string[]>;
  /** Does the bucket keep versions and lock objects? */
  isLocked(): Promise<boolean>;
  close(): void;
}

/** Reading everything that was ever written. */
export interface VersionedBucket {
  /** All versions and delete markers below a prefix, page by page; with `flat` only of the level below it. */
  versions(prefix: string, flat: boolean): AsyncIterable<ListedVersions>;
  /** Bytes [from, to) of one version. */
  getVersion(name: string, version: string, from: number, to: number): Promise<Buffer>;
  close(): void;
}
