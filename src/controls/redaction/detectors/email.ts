import type { Found } from '../types.ts';

/** Letters a mailbox is written with in practice; RFC 5322 allows more, URLs and code use those for other things. */
const LOCAL = /[\p{L}\p{N}.!#$&'*+_^~%-]/u;
const DOMAIN = /[\p{L}\p{N}.-]/u;
const LOCAL_MAX = 64;
const DOMAIN_MAX = 253;
/** File endings and unit names that look like top-level domains: logo@2x.png, getty@tty1.service. */
const NOT_DOMAINS = new Set(
  'png jpg jpeg gif svg webp ico bmp pdf js ts mjs cjs jsx tsx css scss json yaml yml xml html htm md txt csv log zip gz tar tgz service socket timer mount target slice scope path device swap lock map exe dll so jar'.split(
    ' ',
  ),
);

/** Mailboxes `local@domain.tld`. Every `@` costs at most 64 units to the left and 253 to the right. */
export function findEmails(text: string): Found[] {
  const found: Found[] = [];
  let floor = 0;
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    const start = localStart(text, at, floor);
    if (start === at) continue;
    const end = domainEnd(text, at + 1);
    if (end === null) continue;
    const mailbox = text.slice(start, end);
    // git@github.com:org/repo is an address of code, not of a person.
    if (/^git@/i.test(mailbox) && /[:/]/.test(text[end] ?? '')) continue;
    found.push({ type: 'EMAIL', start, end, rule: 'email', value: mailbox.toLowerCase() });
    floor = end;
  }
  return found;
}

function localStart(text: string, at: number, floor: number): number {
  const bound = Math.max(floor, at - LOCAL_MAX);
  if (text[at - 1] === '"') {
    const quote = text.lastIndexOf('"', at - 2);
    if (quote >= bound && !text.slice(quote, at).includes('\n')) return quote;
  }
  let start = at;
  while (start > bound && LOCAL.test(text[start - 1]!)) start--;
  // Quotes, dots and markup before the mailbox are not part of it.
  while (start < at && /[.'*!#$&^~%-]/.test(text[start]!)) start++;
  return start;
}

function domainEnd(text: string, start: number): number | null {
  const bound = Math.min(text.length, start + DOMAIN_MAX);
  let end = start;
  while (end < bound && DOMAIN.test(text[end]!)) end++;
  while (end > start && /[.-]/.test(text[end - 1]!)) end--;
  const labels = text.slice(start, end).split('.');
  // Drop labels from the right until the last one can be a top-level domain: `jane@x.org.2024`.
  while (labels.length > 1 && !isTop(labels.at(-1)!)) labels.pop();
  if (labels.length < 2 || labels.some((label) => label === '' || label.length > 63)) return null;
  return start + labels.join('.').length;
}

function isTop(label: string): boolean {
  return /^(?:\p{L}{2,24}|xn--[A-Za-z0-9-]{2,59})$/u.test(label) && !NOT_DOMAINS.has(label.toLowerCase());
}
