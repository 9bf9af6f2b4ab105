import { CHANGING_LISTS, type ChangingList } from '../controls/registry/index.ts';

/** Hears that lists of a server may have changed; `noticed` are those the server itself spoke of. */
export type ChangeListener = (server: string, noticed: ReadonlySet<ChangingList>) => void;

/** A server that changed is looked at once more before anybody is told; if that takes longer, it counts as gone. */
const SETTLE_MS = 1_000;

/**
 * News about lists, one telling per change. A server that says it changed is withheld until it has been compared with
 * its pins again; told at once, every client would find an empty list and ask twice.
 */
export class ListChanges {
  readonly #listeners = new Set<ChangeListener>();
  readonly #noticed = new Map<string, Set<ChangingList>>();
  readonly #waiting = new Map<string, NodeJS.Timeout>();
  readonly #settleMs: number;

  constructor(settleMs = SETTLE_MS) {
    this.#settleMs = settleMs;
  }

  /** @returns how to stop hearing */
  listen(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What is listed of a server may have changed; a look at it may be under way. */
  changed(server: string): void {
    if (this.#waiting.has(server)) return;
    const timer = setTimeout(() => this.tell(server), this.#settleMs);
    timer.unref();
    this.#waiting.set(server, timer);
  }

  /** The server said so itself: told on even when its pins stayed the same. Without a list, all of them are meant. */
  noticed(server: string, list?: ChangingList): void {
    const lists = this.#noticed.get(server) ?? new Set();
    for (const one of list === undefined ? CHANGING_LISTS : [list]) lists.add(one);
    this.#noticed.set(server, lists);
    this.changed(server);
  }

  /** A look at the server has ended. */
  looked(server: string): void {
    if (this.#waiting.has(server)) this.tell(server);
  }

  /** Tells now. Each listener compares for itself whether its lists are other than before. */
  tell(server: string): void {
    clearTimeout(this.#waiting.get(server));
    this.#waiting.delete(server);
    const noticed = this.#noticed.get(server) ?? NONE;
    this.#noticed.delete(server);
    for (const listener of this.#listeners) listener(server, noticed);
  }

  close(): void {
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    this.#listeners.clear();
  }
}

const NONE: ReadonlySet<ChangingList> = new Set();
