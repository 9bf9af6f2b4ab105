import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { cefOf } from '../export/cef.ts';
import { type ExportFacts, ocsfEvents } from '../export/ocsf.ts';
import { syncFolder, systemFiles } from '../journal/files.ts';
import { plainRecord } from '../reader/plain-record.ts';
import type { OpenRecord } from '../reader/read.ts';
import { KeptIntents } from './kept-intents.ts';
import type { RecordSender } from './sending.ts';
import { cutTornLine } from './torn-line.ts';

const SLICE = 16;

interface JsonlOptions {
  readonly path: string;
  readonly format: 'ocsf' | 'records' | 'cef';
  readonly facts: ExportFacts;
}

/** A file of lines, JSON or CEF, 0600. Renamed or removed by a rotation, it is begun anew; cut down in its place, it goes on. */
export class JsonLines implements RecordSender {
  readonly #options: JsonlOptions;
  readonly #intents = new KeptIntents();
  #file: FileHandle | null = null;

  constructor(options: JsonlOptions) {
    this.#options = options;
  }

  async send(records: readonly OpenRecord[], signal: AbortSignal): Promise<void> {
    const file = await this.#current();
    try {
      for (let at = 0; at < records.length; at += SLICE) {
        await breathe();
        signal.throwIfAborted();
        const bytes = Buffer.from(this.#lines(records.slice(at, at + SLICE)));
        for (let from = 0; from < bytes.length; ) from += (await file.write(bytes, from)).bytesWritten;
      }
      await file.datasync();
    } catch (error) {
      // A line may be half written: the next run mends it first.
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  #lines(records: readonly OpenRecord[]): string {
    const { format, facts } = this.#options;
    const write = format === 'cef' ? cefOf : JSON.stringify;
    const lines = records.flatMap((record) =>
      format === 'records' ? [plainRecord(record)] : ocsfEvents(record, facts, this.#intents.of(record)),
    );
    return lines.map((line) => `${write(line)}\n`).join('');
  }

  async #current(): Promise<FileHandle> {
    const { path } = this.#options;
    if (this.#file) {
      const [mine, there] = await Promise.all([this.#file.stat(), stat(path).catch(() => null)]);
      if (there?.ino === mine.ino && there.dev === mine.dev) return this.#file;
      await this.close();
    }
    const file = await open(path, 'a+', 0o600);
    try {
      await cutTornLine(file);
      syncFolder(systemFiles, dirname(path));
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#file = file;
    return file;
  }
}
