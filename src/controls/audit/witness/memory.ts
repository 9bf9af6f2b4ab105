import { closeSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../../core/crypto/digest.ts';
import { type Checkpoint, parseCheckpoint, splitNote } from '../../../core/crypto/signed-note.ts';
import { InternalError } from '../../../core/internal-error.ts';
import { makeFolder, syncFolder, systemFiles } from '../journal/files.ts';

const ENDING = '.note';

/**
 * What a witness has cosigned last of each origin: one file for each, whose name is the hash of the origin, since an
 * origin is whatever a log calls itself. Reads and writes block: between a comparison and its consequence nothing else
 * happens, and a witness has nothing else to do.
 */
export class WitnessMemory {
  readonly #folder: string;
  #origins: number;

  constructor(folder: string) {
    makeFolder(systemFiles, folder);
    this.#folder = folder;
    const names = readdirSync(folder);
    for (const name of names) if (name.endsWith('.new')) rmSync(join(folder, name));
    this.#origins = names.filter((name) => name.endsWith(ENDING)).length;
  }

  /** How many origins are remembered. */
  get origins(): number {
    return this.#origins;
  }

  /** @throws InternalError `witness.state` when what was remembered cannot be read: nothing is cosigned then */
  of(origin: string): Checkpoint | null {
    const path = this.#path(origin);
    let note: string;
    try {
      note = readFileSync(path, 'utf8');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw broken(path, cause);
    }
    const text = splitNote(note)?.text ?? '';
    const checkpoint = parseCheckpoint(firstLines(text));
    if (checkpoint?.origin !== origin) throw broken(path);
    return checkpoint;
  }

  /** Durable when it returns. @param note with all its signatures: evidence, should the log show another tree */
  remember(origin: string, note: string, isNew: boolean): void {
    const path = this.#path(origin);
    const temporary = `${path}.new`;
    writeFileSync(temporary, note, { mode: 0o600, flush: true });
    renameSync(temporary, path);
    syncFolder(systemFiles, this.#folder);
    if (isNew) this.#origins++;
  }

  #path(origin: string): string {
    return join(this.#folder, `${sha256(origin).toString('hex')}${ENDING}`);
  }
}

/** The three lines that a checkpoint has, without those with which a foreign log may extend it. */
export function firstLines(text: string): string {
  return text
    .split('\n', 3)
    .map((line) => `${line}\n`)
    .join('');
}

/** Makes a file that must not be there yet. */
export function createFile(path: string, text: string): void {
  const fd = openSync(path, 'wx', 0o600);
  try {
    writeFileSync(fd, text, { flush: true });
  } finally {
    closeSync(fd);
  }
}

function broken(path: string, cause?: unknown): InternalError {
  return new InternalError('witness.state', `${path} is not what this witness wrote; restore it: nothing is cosigned`, {
    kind: 'outage',
    cause,
  });
}
