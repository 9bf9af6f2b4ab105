import type { Arguments } from '../call.ts';
import { sha256Base64Url } from '../crypto/digest.ts';
import { textOf } from './scanner.ts';

/**
 * What an approval binds to (approvals.md 4.1): SHA-256, base64url, over the canonical token form of one JSON value.
 * Key order, blanks and the way a string is escaped do not change it; everything else does, the lexeme of a number
 * included (1 and 1.0 are two approvals).
 * @param bytes one value a scan has passed (no duplicate keys, bounded depth)
 */
export function argumentsDigest(bytes: Uint8Array): string {
  return sha256Base64Url(canonicalOrNull(bytes) ?? bytes);
}

/** Digest of a call without arguments, and of an empty object. */
export const EMPTY_ARGUMENTS_DIGEST = sha256Base64Url('{}');

/** What `resources/read` of this URI is judged by, for whoever asks for it in another way. */
export function uriArguments(uri: string): Arguments {
  const bytes = Buffer.from(JSON.stringify({ uri }));
  return { view: { uri }, digest: argumentsDigest(bytes), bytes: () => bytes };
}

/** The canonical token form itself: keys sorted by UTF-16 code units, no blanks, minimal escapes, numbers verbatim. */
export function canonicalTokens(bytes: Uint8Array): string {
  return canonicalOrNull(bytes) ?? textOf(bytes, 0, bytes.length);
}

/** Null: the bytes are canonical as they stand, so that nothing has to be copied. */
function canonicalOrNull(bytes: Uint8Array): string | null {
  return new Reader(textOf(bytes, 0, bytes.length)).whole();
}

/** What follows the backslash of an escape that has no shorter form. */
const MINIMAL_ESCAPES = '"\\bfnrt';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Walks text that is known to be valid: it looks for ends, it does not judge. Recursion is bounded by the scan. Each
 * part answers with its canonical form, or with null when that is how it stands in the text: then it is copied at most
 * once, together with what surrounds it.
 */
class Reader {
  readonly #text: string;
  #at = 0;
  /** Where the next backslash stands, so that most strings are passed without a look inside. */
  #backslash = -1;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): string | null {
    const blanks = this.#skipBlanks();
    const start = this.#at;
    const form = this.#value();
    if (form !== null) return form;
    return blanks || this.#at < this.#text.length ? this.#text.slice(start, this.#at) : null;
  }

  #value(): string | null {
    const c = this.#text.charCodeAt(this.#at);
    if (c === QUOTE) return this.#string();
    if (c === OPEN_OBJECT) return this.#object();
    if (c === OPEN_ARRAY) return this.#array();
    this.#passBare();
    return null;
  }

  #object(): string | null {
    const text = this.#text;
    this.#at++;
    const names: string[] = [];
    const members: (string | Stretch)[] = [];
    let asItStands = true;
    let sorted = true;
    for (;;) {
      if (this.#skipBlanks()) asItStands = false;
      if (text.charCodeAt(this.#at) === CLOSE_OBJECT) break;
      if (text.charCodeAt(this.#at) === COMMA) {
        this.#at++;
        if (this.#skipBlanks()) asItStands = false;
      }
      const start = this.#at;
      const name = this.#string();
      const nameEnd = this.#at;
      const key = nameOf(name ?? text.slice(start, nameEnd));
      if (sorted && names.length > 0 && key < names[names.length - 1]!) sorted = false;
      let gap = this.#skipBlanks();
      this.#at++; // the colon
      if (this.#skipBlanks()) gap = true;
      const valueStart = this.#at;
      const value = this.#value();
      names.push(key);
      if (name === null && value === null && !gap) members.push({ start, end: this.#at });
      else {
        asItStands = false;
        members.push(`${name ?? text.slice(start, nameEnd)}:${value ?? text.slice(valueStart, this.#at)}`);
      }
    }
    this.#at++;
    if (asItStands && sorted) return null;
    return `{${this.#joined(members, sorted ? null : orderOf(names))}}`;
  }

  #array(): string | null {
    this.#at++;
    const items: (string | Stretch)[] = [];
    let asItStands = true;
    for (;;) {
      if (this.#skipBlanks()) asItStands = false;
      if (this.#text.charCodeAt(this.#at) === CLOSE_ARRAY) break;
      if (this.#text.charCodeAt(this.#at) === COMMA) {
        this.#at++;
        if (this.#skipBlanks()) asItStands = false;
      }
      const start = this.#at;
      const item = this.#value();
      if (item !== null) asItStands = false;
      items.push(item ?? { start, end: this.#at });
    }
    this.#at++;
    return asItStands ? null : `[${this.#joined(items, null)}]`;
  }

  /** Parts are only put beside each other here; they are copied once, when the whole is hashed. */
  #joined(parts: readonly (string | Stretch)[], order: readonly number[] | null): string {
    let joined = '';
    for (let i = 0; i < parts.length; i++) {
      const part = parts[order === null ? i : order[i]!]!;
      const form = typeof part === 'string' ? part : this.#text.slice(part.start, part.end);
      joined += i === 0 ? form : `,${form}`;
    }
    return joined;
  }

  /** A string is canonical as it stands when no escape in it could be another, or none: quotes and controls cannot occur. */
  #string(): string | null {
    const text = this.#text;
    const start = this.#at;
    const end = text.indexOf('"', start + 1);
    if (this.#backslash < start) this.#backslash = this.#nextBackslash(start);
    if (this.#backslash >= end) {
      this.#at = end + 1;
      return null;
    }
    let asItStands = true;
    let i = this.#backslash;
    for (let c = text.charCodeAt(i); c !== QUOTE; c = text.charCodeAt(i)) {
      if (c !== BACKSLASH) i++;
      else {
        if (!MINIMAL_ESCAPES.includes(text[i + 1]!)) asItStands = false;
        i += 2;
      }
    }
    this.#at = i + 1;
    return asItStands ? null : JSON.stringify(JSON.parse(text.slice(start, i + 1)));
  }

  #nextBackslash(from: number): number {
    const at = this.#text.indexOf('\\', from);
    return at < 0 ? Number.POSITIVE_INFINITY : at;
  }

  /** Numbers and literals, verbatim: everything up to a comma, a closing bracket or a blank. */
  #passBare(): void {
    const text = this.#text;
    let i = this.#at;
    while (i < text.length) {
      const c = text.charCodeAt(i);
      if (c === COMMA || c === CLOSE_ARRAY || c === CLOSE_OBJECT || c <= 0x20) break;
      i++;
    }
    this.#at = i;
  }

  /** Whether there were any. */
  #skipBlanks(): boolean {
    const from = this.#at;
    while (this.#text.charCodeAt(this.#at) <= 0x20) this.#at++;
    return this.#at > from;
  }
}

function nameOf(lexeme: string): string {
  return lexeme.includes('\\') ? (JSON.parse(lexeme) as string) : lexeme.slice(1, -1);
}

/** Up to here names are put in order one by one: the engine's way to sort begins with two kilobytes of memory. */
const FEW = 16;

/** Sorted by the names themselves: sorting the lexemes would put an escaped character in another place. No two are equal. */
function orderOf(names: readonly string[]): readonly number[] {
  if (names.length > FEW) return names.map((_, index) => index).sort((a, b) => (names[a]! < names[b]! ? -1 : 1));
  const order: number[] = [];
  for (let i = 0; i < names.length; i++) {
    let at = i;
    for (; at > 0 && names[order[at - 1]!]! > names[i]!; at--) order[at] = order[at - 1]!;
    order[at] = i;
  }
  return order;
}

/** A part of the text. */
interface Stretch {
  readonly start: number;
  readonly end: number;
}
