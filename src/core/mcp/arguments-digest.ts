import { sha256Base64Url } from '../crypto/digest.ts';
import { textOf } from './scanner.ts';

/**
 * What an approval binds to (approvals.md 4.1): SHA-256, base64url, over the canonical token form of one JSON value.
 * Key order, blanks and the way a string is escaped do not change it; everything else does, the lexeme of a number
 * included (1 and 1.0 are two approvals).
 * @param bytes one value a scan has passed (no duplicate keys, bounded depth)
 */
export function argumentsDigest(bytes: Uint8Array): string {
  return sha256Base64Url(canonicalTokens(bytes));
}

/** Digest of a call without arguments, and of an empty object. */
export const EMPTY_ARGUMENTS_DIGEST = sha256Base64Url('{}');

/** The canonical token form itself: keys sorted by UTF-16 code units, no blanks, minimal escapes, numbers verbatim. */
export function canonicalTokens(bytes: Uint8Array): string {
  return new Reader(textOf(bytes, 0, bytes.length)).value();
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Walks text that is known to be valid: it looks for ends, it does not judge. Recursion is bounded by the scan. */
class Reader {
  readonly #text: string;
  #at = 0;
  /** Where the next backslash stands, so that most strings are sliced without a look inside. */
  #backslash = -1;

  constructor(text: string) {
    this.#text = text;
  }

  value(): string {
    this.#skipBlanks();
    const c = this.#text.charCodeAt(this.#at);
    if (c === QUOTE) return this.#string();
    if (c === OPEN_OBJECT) return this.#object();
    if (c === OPEN_ARRAY) return this.#array();
    return this.#bare();
  }

  #object(): string {
    this.#at++;
    const names: string[] = [];
    const members: string[] = [];
    let sorted = true;
    while (!this.#closes(CLOSE_OBJECT)) {
      const name = this.#string();
      this.#skipBlanks();
      if (this.#text.charCodeAt(this.#at) === COLON) this.#at++;
      const key = name.includes('\\') ? (JSON.parse(name) as string) : name.slice(1, -1);
      if (sorted && names.length > 0 && key < names[names.length - 1]!) sorted = false;
      names.push(key);
      members.push(`${name}:${this.value()}`);
    }
    // Sorted by the names themselves: sorting the lexemes would put an escaped character in another place.
    const order = sorted ? null : names.map((_, index) => index).sort((a, b) => (names[a]! < names[b]! ? -1 : 1));
    // Parts are only put beside each other here; they are copied once, when the whole is hashed.
    let whole = '{';
    for (let i = 0; i < members.length; i++) {
      const member = members[order === null ? i : order[i]!]!;
      whole += i === 0 ? member : `,${member}`;
    }
    return `${whole}}`;
  }

  #array(): string {
    this.#at++;
    const items: string[] = [];
    while (!this.#closes(CLOSE_ARRAY)) items.push(this.value());
    return `[${items.join(',')}]`;
  }

  /** Steps over blanks and a comma; true when the container ends here. */
  #closes(close: number): boolean {
    this.#skipBlanks();
    if (this.#text.charCodeAt(this.#at) === 0x2c) {
      this.#at++;
      this.#skipBlanks();
    }
    if (this.#text.charCodeAt(this.#at) !== close) return false;
    this.#at++;
    return true;
  }

  /** A string without a backslash is canonical as it stands: quotes and controls cannot occur in it. */
  #string(): string {
    const text = this.#text;
    const start = this.#at;
    let end = text.indexOf('"', start + 1);
    if (this.#backslash < start) this.#backslash = this.#nextBackslash(start);
    const escaped = this.#backslash < end;
    if (escaped) {
      end = start + 1;
      for (let c = text.charCodeAt(end); c !== QUOTE; c = text.charCodeAt(end)) end += c === BACKSLASH ? 2 : 1;
    }
    this.#at = end + 1;
    const lexeme = text.slice(start, end + 1);
    return escaped ? JSON.stringify(JSON.parse(lexeme)) : lexeme;
  }

  #nextBackslash(from: number): number {
    const at = this.#text.indexOf('\\', from);
    return at < 0 ? Number.POSITIVE_INFINITY : at;
  }

  /** Numbers and literals, verbatim: everything up to a comma, a closing bracket or a blank. */
  #bare(): string {
    const text = this.#text;
    const start = this.#at;
    let i = start;
    while (i < text.length) {
      const c = text.charCodeAt(i);
      if (c === 0x2c || c === CLOSE_ARRAY || c === CLOSE_OBJECT || c <= 0x20) break;
      i++;
    }
    this.#at = i;
    return text.slice(start, i);
  }

  #skipBlanks(): void {
    while (this.#text.charCodeAt(this.#at) <= 0x20) this.#at++;
  }
}
