/** Somebody who can sign in at the development issuer by a click. */
export interface DevelopmentPerson {
  readonly subject: string;
  readonly groups: readonly string[];
  /** What is told on the sign-in page. */
  readonly about: string;
  readonly may: 'read' | 'write' | 'all';
}

/** The people of the development issuer. The same names work with `gatewrit token --sub` and `--as`. */
export const DEVELOPMENT_PEOPLE: readonly DevelopmentPerson[] = [
  { subject: 'alice', groups: [], about: 'may read', may: 'read' },
  { subject: 'bob', groups: [], about: 'may read and write', may: 'write' },
  { subject: 'approver1', groups: ['approvers'], about: 'may read, write and approve', may: 'all' },
  { subject: 'approver2', groups: ['approvers'], about: 'may read, write and approve', may: 'all' },
];

/** Scopes of the gateway's own operations: for approvers only. */
const ADMINISTRATION = /^gatewrit:/;
const READING = /(^|:)(readonly|read|list|search|get|view)$/;

/** The scopes among those asked for that a person may have. */
export function scopesFor(person: DevelopmentPerson, asked: readonly string[]): string[] {
  if (person.may === 'all') return [...asked];
  const outside = asked.filter((scope) => !ADMINISTRATION.test(scope));
  return person.may === 'write' ? outside : outside.filter((scope) => READING.test(scope));
}
