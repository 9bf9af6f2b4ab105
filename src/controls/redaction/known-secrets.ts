/** Looked for at every place of a text: characters of all secrets together. A document with more is an attack or a dump. */
const MOST_UNITS = 16_384;
const WORD = /[^\s"'`,;<>()[\]{}]+/g;

/** Where a secret stands in a text. */
interface Standing {
  readonly start: number;
  readonly end: number;
  readonly value: string;
}

/**
 * Secrets that one place of a document gave away by its name, looked for in all the others. A password may hold blanks,
 * brackets and quotes, and may stand between other characters (`user:password@`): such a one is found wherever it does
 * not go on as a longer word. One that is nothing but letters may be a word of the language, and has to stand by itself.
 */
export class KnownSecrets {
  readonly #all: ReadonlySet<string>;
  #anywhere: Automaton | null = null;
  #inNames: KnownSecrets | null = null;

  constructor(all: ReadonlySet<string>) {
    this.#all = all;
  }

  get size(): number {
    return this.#all.size;
  }

  has(value: string): boolean {
    return this.#all.has(value);
  }

  /** Those that are looked for in member names: a word of the language names members of the protocol as well. */
  get inNames(): KnownSecrets {
    this.#inNames ??= new KnownSecrets(new Set([...this.#all].filter((secret) => !isWord(secret))));
    return this.#inNames;
  }

  /** All of them in this text, in no order. Time is linear in its length, whatever the secrets are. */
  in(text: string): Standing[] {
    this.#anywhere ??= new Automaton(amongst(this.#all));
    const standing = this.#anywhere.find(text);
    for (const match of text.matchAll(WORD)) {
      const bare = match[0].replace(/[.:!?]+$/, '');
      const value = this.#all.has(match[0]) ? match[0] : bare;
      if (this.#all.has(value)) standing.push({ start: match.index, end: match.index + value.length, value });
    }
    return standing;
  }
}

function amongst(all: ReadonlySet<string>): string[] {
  const chosen: string[] = [];
  let room = MOST_UNITS;
  for (const secret of all) {
    if (isWord(secret) || secret.length > room) continue;
    room -= secret.length;
    chosen.push(secret);
  }
  return chosen;
}

function isWord(secret: string): boolean {
  return /^\p{L}+$/u.test(secret);
}

/** Aho and Corasick: all secrets at once, in one pass. */
class Automaton {
  /** Where a unit leads from a state: by state and unit. */
  readonly #next = new Map<number, number>();
  /** By state: the longest other one that ends alike. */
  readonly #fallback: number[] = [0];
  /** By state: length of the secret that ends here, 0: none; and the nearest shorter state where one ends. */
  readonly #length: number[] = [0];
  readonly #shorter: number[] = [0];
  readonly #begins = new Set<number>();

  constructor(secrets: readonly string[]) {
    const made: { state: number; from: number; unit: number; depth: number }[] = [];
    for (const secret of secrets) {
      this.#begins.add(secret.charCodeAt(0));
      let state = 0;
      for (let at = 0; at < secret.length; at++) {
        const from = state;
        const unit = secret.charCodeAt(at);
        const known = this.#next.get(placeOf(from, unit));
        state = known ?? this.#fallback.length;
        if (known !== undefined) continue;
        this.#next.set(placeOf(from, unit), state);
        for (const column of [this.#fallback, this.#length, this.#shorter]) column.push(0);
        made.push({ state, from, unit, depth: at });
      }
      this.#length[state] = secret.length;
    }
    // The shorter ones first: a longer state falls back on them.
    for (const { state, from, unit, depth } of made.sort((a, b) => a.depth - b.depth)) {
      const fallback = depth === 0 ? 0 : this.#after(this.#fallback[from]!, unit);
      this.#fallback[state] = fallback;
      this.#shorter[state] = this.#length[fallback]! > 0 ? fallback : this.#shorter[fallback]!;
    }
  }

  find(text: string): Standing[] {
    const found: Standing[] = [];
    if (this.#next.size === 0) return found;
    let state = 0;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (state === 0 && !this.#begins.has(unit)) continue;
      state = this.#after(state, unit);
      const longest = this.#length[state]! > 0 ? state : this.#shorter[state]!;
      if (longest === 0 || isJoined(text, at + 1)) continue;
      for (let one = longest; one !== 0; one = this.#shorter[one]!) {
        const start = at + 1 - this.#length[one]!;
        if (isJoined(text, start)) continue;
        found.push({ start, end: at + 1, value: text.slice(start, at + 1) });
        break;
      }
    }
    return found;
  }

  #after(state: number, unit: number): number {
    for (let from = state; ; from = this.#fallback[from]!) {
      const next = this.#next.get(placeOf(from, unit));
      if (next !== undefined) return next;
      if (from === 0) return 0;
    }
  }
}

function placeOf(state: number, unit: number): number {
  return state * 0x1_0000 + unit;
}

const PART = /[\p{L}\p{N}_]/u;

/** One word goes on across this offset. */
function isJoined(text: string, at: number): boolean {
  return at > 0 && at < text.length && PART.test(text[at - 1]!) && PART.test(text[at]!);
}
