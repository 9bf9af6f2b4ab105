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
  | 'closeSync'
  | 'mkdirSync'
  | 'renameSync'
  | 'unlinkSync'
  | 'promises'
>;

export const systemFiles: Files = fs;

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

/**
 * Puts whole files in their places: written and synced beside the log (`work`, same file system), then renamed, so that
 * a reader never meets half a file and every byte below `audit/` is one that is covered.
 */
export class Placer {
  readonly #files: Files;
  readonly #work: string;
  #count = 0;

  constructor(files: Files, work: string) {
    this.#files = files;
    this.#work = work;
  }

  async place(path: string, bytes: Uint8Array): Promise<void> {
    const { promises } = this.#files;
    const temporary = join(this.#work, `placing-${process.pid}-${this.#count++}`);
    const handle = await promises.open(temporary, 'w', 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    const folder = dirname(path);
    makeFolder(this.#files, folder);
    await promises.rename(temporary, path);
    const parent = await promises.open(folder, 'r');
    try {
      await parent.sync();
    } finally {
      await parent.close();
    }
  }
}
