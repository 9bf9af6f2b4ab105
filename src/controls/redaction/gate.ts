import { VENDOR_LITERALS } from './detectors/vendor.ts';
import { CONTEXT, DIGITS, EQUALS, HIGH_BYTES, IBAN_START, RUN } from './features.ts';

/**
 * The second question, only for what features() calls weak: a bare number of seven to eleven digits, a run of 18 to 23
 * characters. Such things are found by the words or literals near them, so a document without any of those holds nothing.
 */
const WEAK = DIGITS | RUN | EQUALS | HIGH_BYTES | IBAN_START;

/** Words of context.ts and of secret.ts that features() does not see; each must stand as a word of its own. */
const WORDS =
  'phone phones telephone telephones tel mobile mobiles cell cellphone fax sms whatsapp hotline voicemail landline telefon telefonnummer handy mobil rufnummer portable telefono movil msisdn gsm helpline pager switchboard dial call calls calling called reach reached ring texting answering message messages registered anruf anrufen appeler llamar ssn social soc tin itin taxpayer auth bearer basic connection';
/** Literals of tokens shorter than a long run, as written, wherever they stand. */
const LITERALS = ['eyJ', 'PuTTY-User-Key-File-', ...VENDOR_LITERALS.filter((literal) => literal.length > 2)];

interface Candidate {
  readonly bytes: Uint8Array;
  readonly word: boolean;
}

/** Candidates by five bits of each of their first three characters: most bytes are left behind at one table read. */
const BY_LEAD: (readonly Candidate[] | undefined)[] = new Array(0x8000).fill(undefined);
const LEADS = new Uint8Array(0x8000);
for (const word of WORDS.split(' ')) enter({ bytes: Buffer.from(word), word: true });
for (const literal of LITERALS) enter({ bytes: Buffer.from(literal), word: false });

function enter(candidate: Candidate): void {
  const [a, b, c] = candidate.bytes;
  const lead = ((a! & 31) << 10) | ((b! & 31) << 5) | (c! & 31);
  BY_LEAD[lead] = [...(BY_LEAD[lead] ?? []), candidate];
  LEADS[lead] = 1;
}

/** Flags under which no detector finds anything unless context stands in the document. */
export function isWeak(flags: number): boolean {
  return (flags & ~WEAK) === 0;
}

/** Could these flags of a whole document lead to a finding? */
export function isPromising(flags: number, bytes: Uint8Array): boolean {
  if (flags === 0) return false;
  return !isWeak(flags) || hasContext(flags, bytes);
}

/** May weak things in this document be found? `flags` are those of the whole document. */
export function hasContext(flags: number, bytes: Uint8Array): boolean {
  // Accents are taken off before words are compared, and names may hold any script: no word list is sure of those.
  if ((flags & (CONTEXT | HIGH_BYTES | IBAN_START)) !== 0) return true;
  // `?sig=…` needs a run somewhere and an equals sign.
  return (flags & (RUN | EQUALS)) === (RUN | EQUALS) || announces(bytes);
}

function announces(bytes: Uint8Array): boolean {
  const length = bytes.length;
  let lead = 0;
  for (let i = 0; i < length; i++) {
    lead = ((lead << 5) | (bytes[i]! & 31)) & 0x7fff;
    while (LEADS[lead] === 0 && ++i < length) lead = ((lead << 5) | (bytes[i]! & 31)) & 0x7fff;
    if (i < length && i >= 2 && isAnyAt(BY_LEAD[lead]!, bytes, i - 2)) return true;
  }
  return false;
}

function isAnyAt(candidates: readonly Candidate[], bytes: Uint8Array, at: number): boolean {
  for (const candidate of candidates) if (isAt(candidate, bytes, at)) return true;
  return false;
}

function isAt({ bytes: wanted, word }: Candidate, bytes: Uint8Array, at: number): boolean {
  const fold = word ? 0x20 : 0;
  for (let i = 0; i < wanted.length; i++) if ((bytes[at + i]! | fold) !== wanted[i]) return false;
  return !word || (beginsWord(bytes, at) && !isLower(bytes[at + wanted.length]!));
}

/** After anything but a letter, at a capital after a small letter as in `homePhone`, and behind `\n`. */
function beginsWord(bytes: Uint8Array, at: number): boolean {
  const before = bytes[at - 1]!;
  if (!isLower(before | 0x20)) return true;
  return (isLower(before) && !isLower(bytes[at]!)) || bytes[at - 2] === 0x5c;
}

function isLower(byte: number): boolean {
  return byte >= 0x61 && byte <= 0x7a;
}
