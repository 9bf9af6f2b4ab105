import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from './core/log.ts';

/** Something that is read from files and can be read again while calls go on. */
export interface Reloadable {
  /** In a word or two, for log and record. */
  readonly what: string;
  /** Files, and folders with the files in them. */
  readonly places: readonly string[];
  /** How they looked before they were read (`markOf`). */
  readonly mark: string;
  /** Changes over at once, or keeps the old whole. Resolves with facts for the record. @throws why the old stays */
  reload(): Promise<Readonly<Record<string, unknown>>>;
}

export interface ReloadingParts {
  readonly reloadables: readonly Reloadable[];
  /** Resolves when it is in the audit log. */
  readonly record: (meta: Readonly<Record<string, unknown>>) => Promise<unknown>;
  readonly log: Log;
  /** How often the files are looked at, ms. */
  readonly everyMs?: number;
}

const EVERY_MS = 1_000;
/** Looks between two tries at files that could not be taken over and did not change. */
const LOOKS_BETWEEN_TRIES = 30;

/** Files that could not be taken over, and how many looks ago. */
interface Failed {
  /** How they looked, and what was wrong: the same is said once. */
  readonly why: string;
  looks: number;
}

/**
 * Reads again what has changed on the disk (architecture.md section 5, Reload). Files are looked at, not signals waited
 * for: files reach every replica. What looks otherwise than at the look before is still being written.
 */
export class Reloading {
  readonly #parts: ReloadingParts;
  readonly #applied: Map<Reloadable, string>;
  readonly #seen: Map<Reloadable, string>;
  readonly #failed = new Map<Reloadable, Failed>();
  readonly #timer: NodeJS.Timeout;
  #busy: Promise<unknown> = Promise.resolve();

  constructor(parts: ReloadingParts) {
    this.#parts = parts;
    const marks = parts.reloadables.map((one) => [one, one.mark] as const);
    [this.#applied, this.#seen] = [new Map(marks), new Map(marks)];
    this.#timer = setInterval(() => void this.look(), parts.everyMs ?? EVERY_MS);
    this.#timer.unref();
  }

  /** Takes over what has changed and is no longer being written. Never rejects: a fault is for the operator's log. */
  look(): Promise<void> {
    return this.#inTurn(async () => {
      for (const one of this.#parts.reloadables) {
        const mark = await markOf(one.places);
        const still = mark === this.#seen.get(one);
        this.#seen.set(one, mark);
        if (!still || (mark === this.#applied.get(one) && !this.#isDue(one))) continue;
        this.#applied.set(one, mark);
        await this.#reload(one).then(
          () => this.#failed.delete(one),
          (cause) => this.#failedNow(one, mark, cause),
        );
      }
    });
  }

  /** Reads everything again, changed or not. @throws the first fault, when all have been tried */
  reload(): Promise<void> {
    return this.#inTurn(async () => {
      const tried = await Promise.allSettled(this.#parts.reloadables.map((one) => this.#reload(one)));
      for (const one of tried) if (one.status === 'rejected') throw one.reason;
    });
  }

  /** Nothing new is taken over; what has begun goes on. */
  stop(): void {
    clearInterval(this.#timer);
  }

  async close(): Promise<void> {
    this.stop();
    await this.#busy;
  }

  /** What is wrong with a file stays wrong; that it could not be read, or the change not be recorded, may have passed. */
  #isDue(one: Reloadable): boolean {
    const failed = this.#failed.get(one);
    return failed !== undefined && ++failed.looks >= LOOKS_BETWEEN_TRIES;
  }

  #failedNow(one: Reloadable, mark: string, cause: unknown): void {
    const why = `${mark} ${String(cause)}`;
    if (this.#failed.get(one)?.why !== why)
      this.#parts.log.error('changed files were not taken over; the old stay', { kind: one.what }, cause);
    this.#failed.set(one, { why, looks: 0 });
  }

  async #reload(one: Reloadable): Promise<void> {
    const facts = await one.reload();
    this.#parts.log.info('changed files were taken over', { kind: one.what });
    await this.#parts.record({ event: 'reloaded', what: one.what, ...facts });
  }

  #inTurn(act: () => Promise<void>): Promise<void> {
    const turn = this.#busy.then(act);
    this.#busy = turn.catch(() => undefined);
    return turn;
  }
}

/** Another value whenever one of these files, or what lies in these folders, has changed. */
export async function markOf(places: readonly string[]): Promise<string> {
  const marks = await Promise.all(
    places.map(async (place) => {
      const names = await readdir(place).catch(() => []);
      return Promise.all([place, ...names.sort().map((name) => join(place, name))].map(markOfFile));
    }),
  );
  return JSON.stringify(marks);
}

async function markOfFile(path: string): Promise<string> {
  // What is not there, or cannot be looked at, has a mark too.
  const found = await stat(path).catch(() => null);
  if (found === null) return path;
  const { ino, mtimeMs, size } = found;
  return found.isDirectory() ? `${path} ${ino}` : `${path} ${ino} ${mtimeMs} ${size}`;
}
