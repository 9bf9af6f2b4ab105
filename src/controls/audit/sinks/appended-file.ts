import { type FileHandle, open } from 'node:fs/promises';

/** A file of the copy that is added to. Nothing before its end is ever written. */
export class AppendedFile {
  readonly path: string;
  readonly #file: FileHandle;
  #end: number;

  private constructor(path: string, file: FileHandle, end: number) {
    this.path = path;
    this.#file = file;
    this.#end = end;
  }

  /** @throws Error when it does not end where it is thought to */
  static async open(path: string, end: number): Promise<AppendedFile> {
    const file = await open(path, 'r+');
    const { size } = await file.stat();
    if (size === end) return new AppendedFile(path, file, end);
    await file.close();
    throw new Error(`${path} was changed by somebody else`);
  }

  async append(bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.length)
      written += (await this.#file.write(bytes, written, bytes.length - written, this.#end + written)).bytesWritten;
    this.#end += bytes.length;
  }

  /** What was added is on the disk when it resolves. */
  async close(): Promise<void> {
    try {
      await this.#file.datasync();
    } finally {
      await this.#file.close();
    }
  }
}
