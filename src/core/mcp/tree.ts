/**
 * The tree of a JSON text that a scan has passed (scanner.ts): what `JSON.parse` says, but for a fault of V8 14.6
 * (docs/decisions/strict-scanner.md). There a name with an escape may come out as the name of another object that was
 * parsed before, so that policy would judge a name nobody sent. Texts without such a name go straight to `JSON.parse`.
 */
export function treeOf(text: string): unknown {
  return text.includes('\\') && hasEscapedName(text) ? new Reader(text).value() : JSON.parse(text);
}

/** Whether a member name holds an escape. A string is a name exactly where a colon follows. */
function hasEscapedName(text: string): boolean {
  for (let i = text.indexOf('"'); i !== -1; i = text.indexOf('"', i)) {
    const start = i;
    i = endOfString(text, start);
    if (!text.slice(start, i).includes('\\')) continue;
    let next = i;
    while (isBlank(text[next])) next++;
    if (text[next] === ':') return true;
  }
  return false;
}

/** Where the string that opens at `i` is over; the text is known to be valid. */
function endOfString(text: string, i: number): number {
  for (let k = i + 1; ; k++) {
    const c = text[k];
    if (c === '"') return k + 1;
    if (c === '\\') k++;
    else if (c === undefined) throw new SyntaxError('a string without end in a scanned text');
  }
}

function isBlank(c: string | undefined): boolean {
  return c === ' ' || c === '\n' || c === '\r' || c === '\t';
}

/** Reads by recursion: the scan has bounded the depth. Strings and scalars alone are safe with `JSON.parse`. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): unknown {
    const c = this.#next();
    if (c === '{') return this.#object();
    if (c === '[') return this.#array();
    if (c === '"') return this.#string();
    const start = this.#at;
    while (this.#at < this.#text.length && !',]} \n\r\t'.includes(this.#text[this.#at]!)) this.#at++;
    return JSON.parse(this.#text.slice(start, this.#at));
  }

  #object(): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    this.#at++;
    while (this.#next() !== '}') {
      const name = this.#string();
      this.#next();
      this.#at++; // the colon
      const value = this.value();
      // An own member, whatever it is called; `=` would set the prototype.
      if (name === '__proto__')
        Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
      else object[name] = value;
      if (this.#next() === ',') this.#at++;
    }
    this.#at++;
    return object;
  }

  #array(): unknown[] {
    const list: unknown[] = [];
    this.#at++;
    while (this.#next() !== ']') {
      list.push(this.value());
      if (this.#next() === ',') this.#at++;
    }
    this.#at++;
    return list;
  }

  #string(): string {
    const start = this.#at;
    this.#at = endOfString(this.#text, start);
    return JSON.parse(this.#text.slice(start, this.#at)) as string;
  }

  /** The next character that is no blank. @throws SyntaxError at the end: no scan passes such a text */
  #next(): string {
    while (isBlank(this.#text[this.#at])) this.#at++;
    const c = this.#text[this.#at];
    if (c === undefined) throw new SyntaxError('a scanned text ends too early');
    return c;
  }
}
