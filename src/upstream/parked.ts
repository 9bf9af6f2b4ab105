import { handle } from '../core/ids.ts';

/** What can wait for answers. */
export interface Parkable {
  /** Ends the call at the upstream: nobody came back in time. */
  abandon(): void;
}

interface Parked<Call extends Parkable> {
  readonly call: Call;
  readonly owner: string;
  readonly timer: NodeJS.Timeout;
}

/**
 * Calls of legacy upstreams that wait for answers of a client (protocol.md 2.2 A). The name of a call is not to be
 * guessed, good for its owner alone, and good once. Bounded in number, per owner and in time.
 */
export class ParkedCalls<Call extends Parkable> {
  readonly #calls = new Map<string, Parked<Call>>();
  readonly #bounds: { readonly waitMs: number; readonly total: number; readonly perOwner: number };

  constructor(bounds: { readonly waitMs: number; readonly total: number; readonly perOwner: number }) {
    this.#bounds = bounds;
  }

  /** @returns its name, or null when there is no room: the call is not kept then */
  park(owner: string, call: Call): string | null {
    const { total, perOwner, waitMs } = this.#bounds;
    let own = 0;
    for (const parked of this.#calls.values()) if (parked.owner === owner) own++;
    if (own >= perOwner || this.#calls.size >= total) return null;
    const name = handle();
    const timer = setTimeout(() => this.take(name, owner)?.abandon(), waitMs);
    timer.unref();
    this.#calls.set(name, { call, owner, timer });
    return name;
  }

  /** The call of this name, which goes on now; null when it is gone, or somebody else's. */
  take(name: string, owner: string): Call | null {
    const parked = this.#calls.get(name);
    if (parked?.owner !== owner) return null;
    clearTimeout(parked.timer);
    this.#calls.delete(name);
    return parked.call;
  }

  get size(): number {
    return this.#calls.size;
  }

  close(): void {
    for (const [name, { owner }] of this.#calls) this.take(name, owner)?.abandon();
  }
}
