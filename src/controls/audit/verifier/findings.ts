/** What does not hold. */
export interface VerifyFinding {
  /** Below the folder of the replica, `/` between names. */
  readonly file: string;
  /**
   * Journal index of the first record concerned: of a changed byte, the record it belongs to; of a tile or bundle, the
   * first record below the changed place. Null where no record is concerned (a checkpoint, a foreign file). In a
   * roll-up the index of the entry.
   */
  readonly index: number | null;
  readonly what: string;
}

/** More findings than these say nothing new: the ones with the lowest indexes are kept. */
const MOST_FINDINGS = 100;

export class Findings {
  #list: VerifyFinding[] = [];

  get none(): boolean {
    return this.#list.length === 0;
  }

  add(file: string, index: number | null, what: string): void {
    this.#list.push({ file, index, what });
    if (this.#list.length >= 4 * MOST_FINDINGS) this.#list = this.first();
  }

  /** The first bad record first; what concerns no record last. */
  first(): VerifyFinding[] {
    const place = ({ index }: VerifyFinding) => index ?? Number.MAX_SAFE_INTEGER;
    return this.#list.sort((a, b) => place(a) - place(b)).slice(0, MOST_FINDINGS);
  }
}

/** Where a part of the verification says what it found, and what it cannot speak for. */
export interface Saying {
  readonly report: (file: string, index: number | null, what: string) => void;
  readonly skip: (what: string) => void;
}
