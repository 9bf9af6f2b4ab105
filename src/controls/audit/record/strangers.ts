const SECOND = 1_000;
const MINUTE = 60_000;

/** Refusals that were counted instead of recorded one by one. */
export interface Counted {
  readonly count: number;
  readonly codes: Readonly<Record<string, number>>;
}

/** Bounds how many records callers without a principal can cause (architecture.md section 4). Pure; `mono` in ms. */
export class StrangerBound {
  readonly #bound: { readonly perSecond: number; readonly perMinute: number };
  #second = -SECOND;
  #inSecond = 0;
  #minute = -MINUTE;
  #inMinute = 0;
  #counted = 0;
  #codes = new Map<string, number>();
  #since = 0;

  constructor(bound: { readonly perSecond: number; readonly perMinute: number }) {
    this.#bound = bound;
  }

  /** May this refusal have a record of its own? */
  admit(mono: number): boolean {
    if (mono - this.#second >= SECOND) {
      this.#second = mono;
      this.#inSecond = 0;
    }
    if (mono - this.#minute >= MINUTE) {
      this.#minute = mono;
      this.#inMinute = 0;
    }
    if (this.#inSecond >= this.#bound.perSecond || this.#inMinute >= this.#bound.perMinute) return false;
    this.#inSecond++;
    this.#inMinute++;
    return true;
  }

  /** @param code from the closed table of refusals: the map cannot grow without bound */
  count(code: string, mono: number): void {
    if (this.#counted === 0) this.#since = mono;
    this.#counted++;
    this.#codes.set(code, (this.#codes.get(code) ?? 0) + 1);
  }

  /** What was counted, once a minute is full or when `now` asks for it; null when there is nothing to say. */
  due(mono: number, now = false): Counted | null {
    if (this.#counted === 0 || (!now && mono - this.#since < MINUTE)) return null;
    const codes = Object.fromEntries([...this.#codes].sort(([a], [b]) => (a < b ? -1 : 1)));
    const counted = { count: this.#counted, codes };
    this.#counted = 0;
    this.#codes = new Map();
    return counted;
  }
}
