import { setTimeout as sleep } from 'node:timers/promises';
import {
  type KeyFolder,
  type KeyPairOf,
  keyFile,
  openSigningKeys,
  type SigningKey,
} from '../../../core/crypto/keys.ts';
import { type KekSource, markOf } from './kek.ts';
import type { Keyring } from './keyring.ts';

/** How often the key files are looked at, ms. */
const LOOK_MS = 2_000;
/** Between a few rows that are wrapped anew, ms: calls have their turn. */
const PAUSE_MS = 2;
/** How long the end of the process waits for rows that are being wrapped, ms; the next start goes on. */
const CLOSE_MS = 5_000;

/** What a change leaves in the log (kind `keys`). */
export interface KeyChange {
  readonly event: 'rotated' | 'rewrapped';
  readonly class: 'audit-kek' | 'checkpoint';
  /** Key ids. */
  readonly from?: string;
  readonly to: string;
  /** Stored keys that were wrapped anew. */
  readonly rewrapped?: number;
}

export interface KeyWatchOptions {
  readonly source: KekSource;
  readonly keyring: Keyring;
  readonly keys: KeyFolder;
  /** Kid of the checkpoint key in use. */
  readonly checkpoint: string;
  readonly utc: () => number;
  /** Signs with other keys from now on: every tree is signed anew, and `audit.pub` names them before. */
  sign(keys: KeyPairOf<SigningKey>): Promise<void>;
  record(change: KeyChange): Promise<unknown>;
  /** A file that cannot be taken over: the old keys stay. */
  report(error: unknown): void;
}

/** Takes over key files that were changed while the gateway runs. Begins with what a start has left to do. */
export class KeyWatch {
  readonly #options: KeyWatchOptions;
  #kekMark = '';
  #checkpointMark = '';
  #checkpoint: string;
  #looking: Promise<void> | null = null;
  #rewrapping: Promise<void> | null = null;
  #again = false;
  #closed = false;
  readonly #timer: NodeJS.Timeout;

  /** @param twoLive a KEK is being exchanged: the last process may not have been done */
  constructor(options: KeyWatchOptions, marks: { kek: string; checkpoint: string }, twoLive: boolean) {
    this.#options = options;
    this.#kekMark = marks.kek;
    this.#checkpointMark = marks.checkpoint;
    this.#checkpoint = options.checkpoint;
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
    this.#timer.unref();
    if (twoLive) this.#rewrap();
  }

  /** Takes over what has changed; resolves when that is done, `settled` when everything is wrapped anew too. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async settled(): Promise<void> {
    while (this.#rewrapping) await this.#rewrapping;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
    const over = new AbortController();
    await Promise.race([this.settled(), sleep(CLOSE_MS, undefined, { signal: over.signal }).catch(() => undefined)]);
    over.abort();
    this.#closed = true;
    await this.settled();
  }

  async #look(): Promise<void> {
    const { source, keyring, keys, utc, report, record, sign } = this.#options;
    try {
      const mark = await source.mark(utc());
      if (mark !== this.#kekMark) {
        // A file that cannot be taken over is not read again until it changes.
        this.#kekMark = mark;
        const from = keyring.kek;
        const keks = await source.open(utc());
        keyring.replaceKeks(keks);
        if (keks[0].kid !== from) await record({ event: 'rotated', class: 'audit-kek', from, to: keks[0].kid });
        this.#rewrap();
      }
    } catch (error) {
      report(error);
    }
    try {
      const mark = markOf(keyFile(keys.folder, 'checkpoint'));
      if (mark !== this.#checkpointMark) {
        this.#checkpointMark = mark;
        const pair = openSigningKeys({ ...keys, generate: false }, 'checkpoint');
        const from = this.#checkpoint;
        await sign(pair);
        this.#checkpoint = pair[0].kid;
        if (this.#checkpoint !== from)
          await record({ event: 'rotated', class: 'checkpoint', from, to: this.#checkpoint });
      }
    } catch (error) {
      report(error);
    }
  }

  /** One run at a time; a change meanwhile makes another behind it. */
  #rewrap(): void {
    if (this.#rewrapping) {
      this.#again = true;
      return;
    }
    this.#rewrapping = this.#rewrapAll().finally(() => {
      this.#rewrapping = null;
      if (!this.#again || this.#closed) return;
      this.#again = false;
      this.#rewrap();
    });
  }

  async #rewrapAll(): Promise<void> {
    const { keyring, utc, record, report } = this.#options;
    const pause = async () => {
      if (this.#closed) throw new Stopped();
      await sleep(PAUSE_MS);
    };
    try {
      const to = keyring.kek;
      const rewrapped = await keyring.rewrap(utc, pause);
      if (rewrapped > 0) await record({ event: 'rewrapped', class: 'audit-kek', to, rewrapped });
    } catch (error) {
      if (!(error instanceof Stopped)) report(error);
    }
  }
}

/** The process ends; what is left is the next start's. */
class Stopped extends Error {}
