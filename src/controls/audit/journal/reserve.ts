import { existsSync, statSync } from 'node:fs';
import { type Files, writeWhole } from './files.ts';

/**
 * Disk space set aside beside the log, so that a full log can still say that it is. While it cannot be had back the
 * disk counts as full: without that the log would open and close with every byte somebody frees.
 */
export class Reserve {
  readonly #files: Files;
  readonly #path: string;
  readonly #bytes: number;

  /** @param bytes 0: nothing is set aside */
  constructor(files: Files, path: string, bytes: number) {
    this.#files = files;
    this.#path = path;
    this.#bytes = bytes;
  }

  /** @throws what the file system throws */
  setAside(): void {
    if (this.#isThere()) return;
    const fd = this.#files.openSync(this.#path, 'w', 0o600);
    try {
      writeWhole(this.#files, fd, this.#filling(), 0);
    } finally {
      this.#files.closeSync(fd);
    }
  }

  release(): void {
    if (existsSync(this.#path)) this.#files.unlinkSync(this.#path);
  }

  /** The same as `setAside` without holding anybody up. Never rejects: false means that there is no room yet. */
  restore(): Promise<boolean> {
    if (this.#isThere()) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.#files.writeFile(this.#path, this.#filling(), { mode: 0o600, flush: true }, (error) => {
        if (error) this.#releaseQuietly();
        resolve(!error);
      });
    });
  }

  #filling(): Buffer {
    return Buffer.alloc(this.#bytes, 0x20);
  }

  #isThere(): boolean {
    if (this.#bytes === 0) return true;
    return statSync(this.#path, { throwIfNoEntry: false })?.size === this.#bytes;
  }

  #releaseQuietly(): void {
    try {
      this.release();
    } catch {
      // Half a reserve takes room that others need, no more than that; the next attempt writes over it.
    }
  }
}
