import type { Span } from '../call.ts';

/** Up to here names are compared one by one. */
const FEW = 24;

/** A member found by a scan: its name and the span of its value. */
class Member implements Span {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  next: Member | null = null;

  constructor(name: string, start: number, end: number) {
    this.name = name;
    this.start = start;
    this.end = end;
  }
}

/**
 * Members of one object in the order of the text, to be read like a Map. A list, because most objects have few members
 * and live as long as a call: a table costs more than all of them. With many, the first question makes the table.
 */
export class Members implements ReadonlyMap<string, Span> {
  size = 0;
  #first: Member | null = null;
  #last: Member | null = null;
  #table: Map<string, Span> | null = null;

  /** The scan has refused repeated names. */
  add(name: string, start: number, end: number): void {
    const member = new Member(name, start, end);
    if (this.#last === null) this.#first = member;
    else this.#last.next = member;
    this.#last = member;
    this.size++;
  }

  get(name: string): Span | undefined {
    if (this.size > FEW) return this.#byName().get(name);
    for (let member = this.#first; member !== null; member = member.next) if (member.name === name) return member;
    return undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  forEach(visit: (span: Span, name: string, members: ReadonlyMap<string, Span>) => void): void {
    for (let member = this.#first; member !== null; member = member.next) visit(member, member.name, this);
  }

  *entries(): Generator<[string, Span], undefined, unknown> {
    for (let member = this.#first; member !== null; member = member.next) yield [member.name, member];
  }

  *keys(): Generator<string, undefined, unknown> {
    for (let member = this.#first; member !== null; member = member.next) yield member.name;
  }

  *values(): Generator<Span, undefined, unknown> {
    for (let member = this.#first; member !== null; member = member.next) yield member;
  }

  [Symbol.iterator](): Generator<[string, Span], undefined, unknown> {
    return this.entries();
  }

  #byName(): Map<string, Span> {
    this.#table ??= new Map(this.entries());
    return this.#table;
  }
}
