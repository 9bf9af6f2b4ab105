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

export const FOREIGN = 'a file that does not belong to the log';

/** Names in a log are what a stranger made of them: written out where they would steer a terminal. */
export function visible(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
}

/** More findings than these say nothing new: the ones with the lowest indexes are kept. */
const MOST_FINDINGS = 100;

export class Findings {
  #list: VerifyFinding[] = [];

  get none(): boolean {
    return this.#list.length === 0;
  }

  add(file: string, index: number | null, what: string): void {
    this.#list.push({ file: visible(file), index, what: visible(what) });
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
