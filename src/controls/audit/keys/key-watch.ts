import { setTimeout as sleep } from 'node:timers/promises';
import {
  type KeyFolder,
  type KeyPairOf,
  keyFile,
  openSigningKeys,
  type SigningKey,
} from '../../../core/crypto/keys.ts';
import { InternalError, SettingsError } from '../../../core/internal-error.ts';
import { type KekSource, markOf } from './kek.ts';
import type { Keyring } from './keyring.ts';

/** How often the key files are looked at, ms. */
const LOOK_MS = 2_000;
/** Between a few rows that are wrapped anew, ms: calls have their turn. */
const PAUSE_MS = 2;
/** How long the end of the process waits for rows that are being wrapped, ms; the next start goes on. */
const CLOSE_MS = 5_000;
/** No place looks like this: it is looked at again. */
const NOT_TAKEN = 'not taken';

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
  /** What cannot be taken over: the old keys stay. Said once, however often it is tried. */
  report(error: unknown): void;
}

/** Takes over key files that were changed while the gateway runs. Begins with what a start has left to do. */
export class KeyWatch {
  readonly #options: KeyWatchOptions;
  #kekMark = '';
  #checkpointMark = '';
  /** Kids that the log has a record of, or had at the start. */
  #kek: string;
  #checkpoint: string;
  #looking: Promise<void> | null = null;
  #rewrapping: Promise<void> | null = null;
  #again = false;
  /** Wrapping anew broke off for want of something that may be there again. */
  #unfinished = false;
  /** What was reported since everything went well last. */
  readonly #said = new Set<string>();
  #closed = false;
  readonly #timer: NodeJS.Timeout;

  /** @param twoLive a KEK is being exchanged: the last process may not have been done */
  constructor(options: KeyWatchOptions, marks: { kek: string; checkpoint: string }, twoLive: boolean) {
    this.#options = options;
    this.#kekMark = marks.kek;
    this.#checkpointMark = marks.checkpoint;
    this.#kek = options.keyring.kek;
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
    const kek = await this.#lookAtKek().catch((error) => this.#missed(error, () => (this.#kekMark = NOT_TAKEN)));
    const checkpoint = await this.#lookAtCheckpoint().catch((error) =>
      this.#missed(error, () => (this.#checkpointMark = NOT_TAKEN)),
    );
    if (this.#unfinished) this.#rewrap();
    else if (kek && checkpoint) this.#said.clear();
  }

  async #lookAtKek(): Promise<true> {
    const { source, keyring, utc, record } = this.#options;
    const mark = await source.mark(utc());
    if (mark === this.#kekMark) return true;
    this.#kekMark = mark;
    const keks = await source.open(utc());
    keyring.replaceKeks(keks);
    const [{ kid: to }] = keks;
    if (to !== this.#kek) await record({ event: 'rotated', class: 'audit-kek', from: this.#kek, to });
    this.#kek = to;
    this.#rewrap();
    return true;
  }

  async #lookAtCheckpoint(): Promise<true> {
    const { keys, record, sign } = this.#options;
    const mark = markOf(keyFile(keys.folder, 'checkpoint'));
    if (mark === this.#checkpointMark) return true;
    this.#checkpointMark = mark;
    const pair = openSigningKeys({ ...keys, generate: false }, 'checkpoint');
    await sign(pair);
    const [{ kid: to }] = pair;
    if (to !== this.#checkpoint) await record({ event: 'rotated', class: 'checkpoint', from: this.#checkpoint, to });
    this.#checkpoint = to;
    return true;
  }

  /** A file that is wrong is not read again until it changes; what was out of reach is tried again at the next look. */
  #missed(error: unknown, forget: () => void): false {
    if (!(error instanceof SettingsError)) forget();
    this.#report(error);
    return false;
  }

  #report(error: unknown): void {
    const words = String(error);
    if (!this.#said.has(words)) this.#options.report(error);
    this.#said.add(words);
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
    const { keyring, utc, record } = this.#options;
    const pause = async () => {
      if (this.#closed) throw new Stopped();
      await sleep(PAUSE_MS);
    };
    this.#unfinished = false;
    try {
      const to = keyring.kek;
      const rewrapped = await keyring.rewrap(utc, pause);
      if (rewrapped > 0) await record({ event: 'rewrapped', class: 'audit-kek', to, rewrapped });
    } catch (error) {
      if (error instanceof Stopped) return;
      // A stored key that does not unwrap is the same at the next look.
      this.#unfinished = !(error instanceof InternalError && error.code === 'audit.keys');
      this.#report(error);
    }
  }
}

/** The process ends; what is left is the next start's. */
class Stopped extends Error {}
