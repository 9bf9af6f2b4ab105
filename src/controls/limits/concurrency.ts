/** Keys with nothing running that are kept, so that a key that comes and goes does not change the table each time. */
const MAX_IDLE = 1_024;

/** Counts what runs, by key: as small as the work in flight, and a bounded number of keys besides. */
export class Running {
  readonly #places = new Map<string, Place>();
  #idle = 0;

  /** Counted, until the place is left; null when `max` already run. */
  enter(key: string, max: number): Place | null {
    let place = this.#places.get(key);
    if (place === undefined) {
      if (max < 1) return null;
      place = new Place(this);
      this.#places.set(key, place);
    } else {
      if (place.running >= max) return null;
      if (place.running === 0) this.#idle--;
    }
    place.running++;
    return place;
  }

  /** To be called by the place, when the last has left it. */
  rest(): void {
    if (++this.#idle <= MAX_IDLE) return;
    for (const [key, place] of this.#places) if (place.running === 0) this.#places.delete(key);
    this.#idle = 0;
  }

  /** Keys with something running. */
  get size(): number {
    return this.#places.size - this.#idle;
  }
}

/** How many run under one key. Whoever entered leaves once. */
export class Place {
  running = 0;
  readonly #among: Running;

  constructor(among: Running) {
    this.#among = among;
  }

  leave(): void {
    if (--this.running === 0) this.#among.rest();
  }
}

/** Two places that were entered. Left exactly once, however often and by whomever it is asked. */
export class Lease {
  readonly #first: Place;
  readonly #second: Place;
  #held = true;

  constructor(first: Place, second: Place) {
    this.#first = first;
    this.#second = second;
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#first.leave();
    this.#second.leave();
  }
}
