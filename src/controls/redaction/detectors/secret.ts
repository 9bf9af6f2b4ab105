import type { KnownSecrets } from '../known-secrets.ts';
import { type Found, type Place, wordsOf } from '../types.ts';
import { entropy, isOurs, isOursAt, isPlaceholder } from './placeholder.ts';

/** Member names whose value is a secret whatever it looks like, and names that need a value that looks like one. */
const STRONG =
  /(?:^| )(?:password|passwd|passwort|kennwort|passphrase|passcode|pwd|pw|secret|client ?secret|mot de passe|contrasena|contraseña|private ?key|secret ?key|secret ?access ?key|db ?pass|user ?pass)(?: (?:value|current|new|old))?$/;
const WEAK =
  /(?:^| )(?:token|access ?token|refresh ?token|id ?token|auth ?token|session ?token|bearer(?: token)?|api ?key|access ?key|account ?key|auth ?key|encryption ?key|signing ?key|signature ?key|master ?key|shared ?key|webhook ?secret|credentials?|connection ?string|api ?token|session ?key|auth|authorization|proxy authorization|personal access token)(?: (?:value|current|new|old))?$/;
const NOT_SECRET =
  /\b(?:next|prev|previous|page|continuation|sync|cursor|progress|cancel|csrf|hint|policy|length|count|type|name|id|url|public|primary|foreign|sort|partition|expires|max|min|total)\b/;

const ASSIGNMENT =
  /(password|passwd|passwort|kennwort|passphrase|passcode|pwd|\bpass|secret|token|api[_ -]?key|apikey|access[_ -]?key|account[_ -]?key|secret[_ -]?key|auth[_ -]?token|credential|mot de passe|contraseña)["'\\]{0,3}\s{0,3}(?:[:=]{1,2}>?|=>|\bis\b|\blautet\b|\best\b|\bes\b)\s{0,3}["'\\]{0,3}((?:[^\s"'\\,;&<>]|&(?![A-Za-z_.-]{1,40}=)){4,512})/gi;
const SCHEME = /\b(Basic|Bearer)\s{1,3}([A-Za-z0-9+/=._~-]{8,4096})/g;

const PASS = /(?:^| )pass$/;

/** The value of a member whose name announces a secret. */
export function secretMember(text: string, place: Place): Found | null {
  const name = place.names;
  const strong = STRONG.test(name);
  const pass = PASS.test(name);
  if (!strong && !pass && !WEAK.test(name)) return null;
  if (NOT_SECRET.test(place.name)) return null;
  const value = text.trim();
  if (value.length < (strong ? 4 : pass ? 6 : 12) || value.length > 8192 || isPlaceholder(value)) return null;
  if (isOurs(value)) return null;
  // `pass` counts test results as often as it names a password.
  if (!strong && !(pass ? isConvincing(value, true, true) : looksRandom(value))) return null;
  // A sentence under `password` explains one.
  if (strong && value.split(/\s+/).length > 4) return null;
  const start = text.indexOf(value);
  const rule = strong ? 'secret.member' : 'secret.member.random';
  return { type: 'GENERIC_SECRET', start, end: start + value.length, rule, value, contextual: true };
}

/** Cheap question before a value is decoded: could this member hold a secret? */
export function announcesSecret(names: string): boolean {
  return STRONG.test(names) || PASS.test(names) || WEAK.test(names);
}

/** `password=…`, `api_key: …`, `the token is …` in text. */
export function findAssigned(text: string): Found[] {
  const found: Found[] = [];
  if (text.length < 9) return found;
  for (const match of text.matchAll(ASSIGNMENT)) {
    const [whole, name, raw] = match;
    if (NOT_SECRET.test(wordsOf([text.slice(Math.max(0, match.index - 16), match.index)]))) continue;
    const value = raw!.replace(/[.)\]}]+$/, '');
    const strong = /pass|pwd|kennwort|contrase|secret/i.test(name!);
    const says = /\s(?:is|lautet|est|es)\s/i.test(whole.slice(name!.length, whole.length - raw!.length + 1));
    if (isPlaceholder(value) || isPlaceholder(raw!) || !isConvincing(value, strong, says)) continue;
    const start = match.index + whole.length - raw!.length;
    if (isOursAt(text, start)) continue;
    found.push({
      type: 'GENERIC_SECRET',
      start,
      end: start + value.length,
      rule: 'secret.assigned',
      value,
      contextual: true,
    });
  }
  return found;
}

/** `Basic …` with a user and a password in it, `Bearer …` with something random. */
export function findSchemes(text: string): Found[] {
  const found: Found[] = [];
  if (!text.includes('asic') && !text.includes('earer')) return found;
  for (const match of text.matchAll(SCHEME)) {
    const [whole, scheme, value] = match;
    const start = match.index + whole.length - value!.length;
    const good =
      scheme === 'Basic'
        ? Buffer.from(value!, 'base64').toString('latin1').includes(':')
        : value!.length >= 18 && looksRandom(value!);
    if (good)
      found.push({
        type: 'GENERIC_SECRET',
        start,
        end: match.index + whole.length,
        rule: `secret.${scheme!.toLowerCase()}`,
        value: value!,
      });
  }
  return found;
}

function isConvincing(value: string, strong: boolean, says: boolean): boolean {
  if (!strong) return value.length >= 12 && looksRandom(value);
  if (value.length < 6) return false;
  const digit = /\d/.test(value);
  // After "is" a word is a statement about the password, not the password.
  if (says) return digit && /\D/.test(value);
  return digit || /[^A-Za-z0-9.]/.test(value.slice(0, -1)) || (/[a-z][A-Z]/.test(value) && value.length >= 8);
}

/** Random enough for its length, and not one word. */
function looksRandom(value: string): boolean {
  if (/\s/.test(value.trim()) && !/^(?:Bearer|Basic|Token) \S+$/i.test(value.trim())) return false;
  const mixed = /\d/.test(value) && /[A-Za-z]/.test(value);
  return entropy(value) >= 3 && (mixed || (value.length >= 24 && /[a-z]/.test(value) && /[A-Z]/.test(value)));
}

/** Secrets found in context elsewhere in the document. */
export function findKnown(text: string, known: KnownSecrets): Found[] {
  return known.in(text).map((one) => ({ type: 'GENERIC_SECRET', ...one, rule: REPEATED }));
}

/** The rule of a secret that another place of the document gave away. */
export const REPEATED = 'secret.repeated';
