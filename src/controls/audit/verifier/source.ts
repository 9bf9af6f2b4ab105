import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { VerifierError } from './verifier-error.ts';

/** Something wrong that a source shows by itself. */
export interface ShownFinding {
  readonly file: string;
  readonly what: string;
}

/**
 * Where a log is read from: a folder, a web server, a bucket. Paths are relative, with `/` between names, and '' is the
 * log itself. Everything it gives is attacker-controlled; nothing it gives is believed before it is verified.
 */
export interface LogSource {
  /** For people: the folder or address. */
  readonly name: string;
  /**
   * Names directly below a folder, in any order; a folder's name ends with `/`. What is neither file nor folder has a
   * name no log has. Empty when there is no such folder; null when this source cannot list (a plain web server).
   */
  list(path: string): Promise<readonly string[] | null>;
  /** Bytes of a file; null when there is none. */
  size(path: string): Promise<number | null>;
  /** The bytes [from, to) of a file, fewer where it ends before; null when there is none. The buffer is the caller's. */
  read(path: string, from: number, to: number): Promise<Buffer | null>;
  /**
   * What the source itself shows to be wrong (versions that hide what was written first), by path from the log's root.
   * Asked when everything has been read.
   */
  findings?(): Promise<readonly ShownFinding[]> | readonly ShownFinding[];
  /** Gives back connections and descriptors; the source is not used after that. */
  close?(): void;
}

/**
 * A folder of this machine. What is no regular file (a link out of the log, a pipe that nobody writes to, a device) is
 * not opened: for a reader it is not there, and the listing shows it. Reads block: what follows each of them, hashing, does as well, and one read is a window of
 * a megabyte, not a record.
 */
export function folderSource(folder: string): LogSource {
  const open = new OpenFile();
  return {
    name: folder,
    async list(path) {
      const items = notMissing(path, () => readdirSync(join(folder, path), { withFileTypes: true })) ?? [];
      return items.map((item) => (item.isDirectory() ? `${item.name}/` : item.isFile() ? item.name : `${item.name}@`));
    },
    async size(path) {
      const found = notMissing(path, () => lstatSync(join(folder, path)));
      return found?.isFile() ? found.size : null;
    },
    async read(path, from, to) {
      return notMissing(path, () => {
        const fd = open.at(join(folder, path), from);
        if (fd === null) return null;
        const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(to, fstatSync(fd).size) - from));
        let filled = 0;
        while (filled < bytes.length) {
          const read = readSync(fd, bytes, filled, bytes.length - filled, from + filled);
          if (read === 0) break;
          filled += read;
        }
        return bytes.subarray(0, filled);
      });
    },
    close: () => open.close(),
  };
}

/** A part of a source, as a source of its own. Closing it is the whole's business. */
export function below(source: LogSource, folder: string): LogSource {
  const at = (path: string) => (path === '' ? folder : `${folder}/${path}`);
  return {
    name: `${source.name.replace(/\/$/, '')}/${folder}`,
    list: (path) => source.list(at(path)),
    size: (path) => source.size(at(path)),
    read: (path, from, to) => source.read(at(path), from, to),
  };
}

/** The file read last stays open: a segment is read in a thousand windows. From its start it is looked up anew. */
class OpenFile {
  #path: string | null = null;
  #fd = -1;

  /** Null: what stands there is no regular file. */
  at(path: string, from: number): number | null {
    if (path === this.#path && from > 0) return this.#fd;
    this.close();
    if (!lstatSync(path).isFile()) return null;
    // Should it have been exchanged since, opening does not wait and does not follow.
    this.#fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    this.#path = path;
    return this.#fd;
  }

  close(): void {
    if (this.#path !== null) closeSync(this.#fd);
    this.#path = null;
  }
}

const NO_FILE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENXIO']);

function notMissing<T>(path: string, read: () => T): T | null {
  try {
    return read();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    // A folder where a file should be is no file; the writer removes partial tiles that are whole by now.
    if (code !== undefined && NO_FILE.has(code)) return null;
    throw new VerifierError('unreadable', `${path} of the log cannot be read (${code})`, cause);
  }
}
