import { PHONE_WORDS, SSN_WORDS } from './context.ts';
import { findCards, wholeDigits } from './detectors/card.ts';
import { findEmails } from './detectors/email.ts';
import { findIbans } from './detectors/iban.ts';
import { findAddresses } from './detectors/ip.ts';
import { findJwts } from './detectors/jwt.ts';
import { findPhones } from './detectors/phone.ts';
import { findPrivateKeys } from './detectors/private-key.ts';
import { findAssigned, findKnown, findSchemes, REPEATED, secretMember } from './detectors/secret.ts';
import { findSsns } from './detectors/ssn.ts';
import { findUrlSecrets } from './detectors/url.ts';
import { findVendorTokens } from './detectors/vendor.ts';
import { clusters } from './digits.ts';
import { percentDecoded, undisguise, unescaped, type View } from './disguise.ts';
import {
  ARMOUR,
  AT,
  COLONS,
  DIGITS,
  DOTTED,
  ESCAPED,
  features,
  PERCENT,
  RUN,
  TOKEN,
  UNICODE,
  WORDS,
} from './features.ts';
import { findHiddenText } from './hidden-text.ts';
import { findInBase64 } from './nested.ts';
import { type Found, type Place, RANK, TYPE_CLASS } from './types.ts';

/** What the detectors may be told; everything else is fixed. */
export interface Rules {
  /** ISO 3166 codes whose national phone numbers are known by heart. */
  readonly phoneRegions: readonly string[];
  readonly keepPrivateAddresses: boolean;
  /** Cut out zero-width and bidi controls instead of reporting them. */
  readonly cutAllHiddenText: boolean;
}

/** Opaque handles of the protocol (cursors): sealed states look like secrets there and must come back unchanged. */
export type Depth = 'whole' | 'inner' | 'opaque';

/**
 * Everything found in one string, in order, overlaps merged.
 * @param flags what features() said of its bytes; ESCAPED and UNICODE make it ask again on the decoded text
 */
export function detect(text: string, flags: number, place: Place, rules: Rules, depth: Depth): Found[] {
  let found: Found[] = [];
  if ((flags & (ESCAPED | UNICODE)) !== 0) {
    flags = featuresOf(text);
    found = findHiddenText(text, rules.cutAllHiddenText);
    const view = undisguise(text);
    if (view !== null) add(found, through(view, place, rules, depth));
  }
  add(found, detectPlain(text, flags, place, rules, depth));
  for (const view of [
    (flags & PERCENT) === 0 ? null : percentDecoded(text),
    (flags & ESCAPED) === 0 ? null : unescaped(text),
  ])
    if (view !== null) add(found, through(view, place, rules, depth));
  if ((flags & TOKEN) !== 0 && depth === 'whole') {
    add(
      found,
      findInBase64(text, (inner) => detect(inner, featuresOf(inner), place, rules, 'inner')),
    );
  }
  return merge(found);
}

/** One by one: a call with a text's hundred thousand findings for arguments would overflow the stack. */
function add(found: Found[], more: readonly Found[]): void {
  for (const one of more) found.push(one);
}

export function featuresOf(text: string): number {
  const bytes = Buffer.from(text);
  return features(bytes, 0, bytes.length);
}

function through(view: View, place: Place, rules: Rules, depth: Depth): Found[] {
  const found = detectPlain(view.text, featuresOf(view.text), place, rules, depth);
  return found.map((one) => ({ ...one, ...view.range(one.start, one.end) }));
}

function detectPlain(text: string, flags: number, place: Place, rules: Rules, depth: Depth): Found[] {
  const found: Found[] = [];
  if (depth !== 'opaque') {
    const member = place.announced || (flags & RUN) !== 0 ? secretMember(text, place) : null;
    if (member !== null) found.push(member);
    if (place.known !== null && place.known.secrets.size > 0) add(found, findKnown(text, place.known.secrets));
    if ((flags & WORDS) !== 0) add(found, findAssigned(text));
    if ((flags & (WORDS | RUN)) !== 0) add(found, findSchemes(text));
    if ((flags & RUN) !== 0) add(found, findJwts(text));
  }
  if ((flags & ARMOUR) !== 0 || (flags & RUN) !== 0) add(found, findPrivateKeys(text));
  if ((flags & (AT | WORDS | RUN)) !== 0 && text.includes('=')) add(found, findUrlSecrets(text));
  else if ((flags & AT) !== 0 && text.includes('://')) add(found, findUrlSecrets(text));
  if ((flags & RUN) !== 0) add(found, findVendorTokens(text));
  if ((flags & AT) !== 0) add(found, findEmails(text));
  if ((flags & (DOTTED | COLONS)) !== 0) add(found, findAddresses(text, place, rules.keepPrivateAddresses));
  if ((flags & (DIGITS | RUN)) !== 0) add(found, findIbans(text));
  if ((flags & DIGITS) !== 0) {
    const groups = clusters(text, 7);
    if (groups.length > 0) {
      add(found, findCards(text, groups, place));
      add(found, findSsns(text, groups, place));
      add(found, findPhones(text, groups, place, rules.phoneRegions));
    }
  }
  return found;
}

/** A JSON number: cards, and what its member's name, or another place, says it is. The whole number is the finding. */
export function detectNumber(number: string, place: Place, rules: Rules): Found | null {
  if (place.known?.secrets.has(number))
    return { type: 'GENERIC_SECRET', start: 0, end: number.length, rule: REPEATED, value: number };
  if (place.announced && number.length >= 6) {
    const member = secretMember(number, place);
    if (member !== null) return member;
  }
  let digits = wholeDigits(number);
  if (digits === null) return null;
  const social = SSN_WORDS.test(place.names);
  // A number has lost the zeros a social security number began with.
  if (social && digits.length >= 7 && digits.length < 9) digits = digits.padStart(9, '0');
  const named = social || PHONE_WORDS.test(place.names) || place.known !== null;
  if (digits.length < 12 && !named) return null;
  const groups = clusters(digits, 7);
  const found = findCards(digits, groups, place);
  if (named) {
    add(found, findSsns(digits, groups, place));
    add(found, findPhones(digits, groups, place, rules.phoneRegions));
  }
  const [first] = merge(found);
  return first === undefined ? null : { ...first, start: 0, end: number.length };
}

/** One finding per place: overlapping ones become their union under the strongest name. */
export function merge(found: Found[]): Found[] {
  if (found.length < 2) return found;
  found.sort((a, b) => a.start - b.start || b.end - a.end);
  const merged: Found[] = [];
  for (const one of found) {
    const last = merged.at(-1);
    if (last === undefined || one.start >= last.end) merged.push(one);
    else merged[merged.length - 1] = union(last, one);
  }
  return merged;
}

function union(a: Found, b: Found): Found {
  // `user:password@host.example` is a credential and a host, not a mailbox.
  if (a.type === 'URL_WITH_SECRET' && b.type === 'EMAIL') return a;
  const strong = stronger(a, b);
  const end = Math.max(a.end, b.end);
  const quiet = a.quiet === true && b.quiet === true;
  if (strong.start === a.start && strong.end === end && (strong.quiet === true) === quiet) return strong;
  const { type, rule, value, contextual } = strong;
  const cut = type === 'HIDDEN_TEXT' ? { replacement: '' } : {};
  return { type, rule, value, contextual: contextual === true, start: a.start, end, quiet, ...cut };
}

/** A secret gives the name even where it only overlaps; else the earlier type. */
function stronger(a: Found, b: Found): Found {
  if (isSecret(a) !== isSecret(b)) return isSecret(a) ? a : b;
  return RANK[a.type] <= RANK[b.type] ? a : b;
}

export function isSecret(found: Found): boolean {
  return TYPE_CLASS[found.type] === 'secret';
}
