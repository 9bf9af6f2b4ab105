import * as fs from 'node:fs';
import { dirname, join } from 'node:path';

/** The system calls this control writes with; tests hand in ones that fail. */
export type Files = Pick<
  typeof fs,
  | 'write'
  | 'fdatasync'
  | 'openSync'
  | 'writeSync'
  | 'fsyncSync'
  | 'fdatasyncSync'
  | 'ftruncateSync'
  | 'fstatSync'
  | 'closeSync'
  | 'mkdirSync'
  | 'renameSync'
  | 'unlinkSync'
  | 'open'
  | 'writeFile'
  | 'rename'
  | 'mkdir'
  | 'fsync'
  | 'close'
>;

export const systemFiles: Files = fs;

/** Writes all of it, at `position`. @throws what the file system throws; an Error with `ENOSPC` when it takes nothing more */
export function writeWhole(files: Files, fd: number, bytes: Uint8Array, position: number): void {
  for (let from = 0; from < bytes.length; ) {
    const written = files.writeSync(fd, bytes, from, bytes.length - from, position + from);
    if (written === 0) throw nothingWritten();
    from += written;
  }
}

/** A write that takes no byte and says nothing of it: there is no room. */
export function nothingWritten(): NodeJS.ErrnoException {
  return Object.assign(new Error('ENOSPC: nothing was written'), { code: 'ENOSPC', syscall: 'write' });
}

/** Makes names in a folder durable. */
export function syncFolder(files: Files, folder: string): void {
  const fd = files.openSync(folder, 'r');
  try {
    files.fsyncSync(fd);
  } finally {
    files.closeSync(fd);
  }
}

/** Makes a folder (0700) and its missing parents, durably. */
export function makeFolder(files: Files, folder: string): void {
  const first = files.mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  const top = dirname(first);
  for (let made = dirname(folder); made.length >= top.length; made = dirname(made)) {
    syncFolder(files, made);
    if (made === dirname(made)) break;
  }
}

/** A file and what is to stand in it. */
export type Placing = readonly [path: string, bytes: Uint8Array];

/**
 * Puts whole files in their places: written and synced beside the log (`work`, same file system), then renamed, so that
 * a reader never meets half a file and every byte below `audit/` is one that is covered. The files of one call share the
 * syncs of their folders; each is there, durably, when the promise resolves. Calls back instead of promising: a
 * publication has hundreds of system calls, and none may hold up the calls of others while a disk is slow. One run at a
 * time: the names beside the log are used again, so that runs that fail leave no more and more files there.
 */
export class Placer {
  readonly #files: Files;
  readonly #work: string;
  /** Folders with new names that are not durable yet, those of runs that failed included. */
  readonly #unsynced = new Set<string>();

  constructor(files: Files, work: string) {
    this.#files = files;
    this.#work = work;
  }

  async place(list: readonly Placing[]): Promise<void> {
    const files = this.#files;
    const written: [temporary: string, path: string][] = [];
    for (const [path, bytes] of list) {
      const temporary = join(this.#work, `placing-${process.pid}-${written.length}`);
      await once((done) => files.writeFile(temporary, bytes, { mode: 0o600, flush: true }, done));
      written.push([temporary, path]);
    }
    const unsynced = this.#unsynced;
    const present = new Set<string>();
    for (const [temporary, path] of written) {
      const folder = dirname(path);
      if (!present.has(folder)) await this.#folder(folder);
      present.add(folder);
      unsynced.add(folder);
      await once((done) => files.rename(temporary, path, done));
    }
    for (const folder of unsynced) {
      await this.#sync(folder);
      unsynced.delete(folder);
    }
  }

  /** Makes a folder (0700) and its missing parents; the names of new ones are durable when `#unsynced` are synced. */
  async #folder(folder: string): Promise<void> {
    let first: string | undefined;
    await once((done) =>
      this.#files.mkdir(folder, { recursive: true, mode: 0o700 }, (error, made) => {
        first = made;
        done(error);
      }),
    );
    if (first === undefined) return;
    const top = dirname(first);
    for (let made = dirname(folder); made.length >= top.length; made = dirname(made)) {
      this.#unsynced.add(made);
      if (made === dirname(made)) break;
    }
  }

  async #sync(folder: string): Promise<void> {
    const files = this.#files;
    let fd = -1;
    await once((done) =>
      files.open(folder, 'r', (error, opened) => {
        fd = opened;
        done(error);
      }),
    );
    try {
      await once((done) => files.fsync(fd, done));
    } finally {
      await once((done) => files.close(fd, done));
    }
  }
}

function once(begin: (done: (error: Error | null | undefined) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => begin((error) => (error ? reject(error) : resolve())));
}
