import type { Found } from '../types.ts';

/** BBAN structure by country (SWIFT registry): n digits, a letters, c either. */
const STRUCTURES: Readonly<Record<string, string>> = {
  AD: '8n12c',
  AE: '19n',
  AL: '8n16c',
  AT: '16n',
  AZ: '4a20c',
  BA: '16n',
  BE: '12n',
  BG: '4a6n8c',
  BH: '4a14c',
  BI: '23n',
  BR: '23n1a1c',
  BY: '4c4n16c',
  CH: '5n12c',
  CR: '18n',
  CY: '8n16c',
  CZ: '20n',
  DE: '18n',
  DJ: '23n',
  DK: '14n',
  DO: '4c20n',
  EE: '16n',
  EG: '25n',
  ES: '20n',
  FI: '14n',
  FK: '2a12n',
  FO: '14n',
  FR: '10n11c2n',
  GB: '4a14n',
  GE: '2a16n',
  GI: '4a15c',
  GL: '14n',
  GR: '7n16c',
  GT: '24c',
  HN: '4a20n',
  HR: '17n',
  HU: '24n',
  IE: '4a14n',
  IL: '19n',
  IQ: '4a15n',
  IS: '22n',
  IT: '1a10n12c',
  JO: '4a4n18c',
  KW: '4a22c',
  KZ: '3n13c',
  LB: '4n20c',
  LC: '4a24c',
  LI: '5n12c',
  LT: '16n',
  LU: '3n13c',
  LV: '4a13c',
  LY: '21n',
  MC: '10n11c2n',
  MD: '20c',
  ME: '18n',
  MK: '3n10c2n',
  MN: '16n',
  MR: '23n',
  MT: '4a5n18c',
  MU: '4a19n3a',
  NI: '4a20n',
  NL: '4a10n',
  NO: '11n',
  OM: '3n16c',
  PK: '4a16c',
  PL: '24n',
  PS: '4a21c',
  PT: '21n',
  QA: '4a21c',
  RO: '4a16c',
  RS: '18n',
  RU: '14n15c',
  SA: '2n18c',
  SC: '4a20n3a',
  SD: '14n',
  SE: '20n',
  SI: '15n',
  SK: '20n',
  SM: '1a10n12c',
  SO: '19n',
  ST: '21n',
  SV: '4a20n',
  TL: '19n',
  TN: '20n',
  TR: '6n16c',
  UA: '6n19c',
  VA: '18n',
  VG: '4a16n',
  XK: '16n',
  YE: '4a4n18c',
};

const SHAPES = new Map(Object.entries(STRUCTURES).map(([country, structure]) => [country, shapeOf(structure)]));

function shapeOf(structure: string): { length: number; pattern: RegExp } {
  let length = 4;
  let pattern = '^';
  for (const [, count, kind] of structure.matchAll(/(\d+)([nac])/g)) {
    length += Number(count);
    pattern += `${kind === 'n' ? '[0-9]' : kind === 'a' ? '[A-Z]' : '[A-Z0-9]'}{${count}}`;
  }
  return { length, pattern: new RegExp(`${pattern}$`) };
}

/** Country, structure and ISO 7064 mod 97 hold. @param iban upper case, no separators */
export function isIban(iban: string): boolean {
  const shape = SHAPES.get(iban.slice(0, 2));
  if (shape === undefined || iban.length !== shape.length || !shape.pattern.test(iban.slice(4))) return false;
  let rest = 0;
  for (const char of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(char, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}

/** IBANs, compact or with single spaces or dashes. Each start takes at most as many units as its country's length allows. */
export function findIbans(text: string): Found[] {
  const found: Found[] = [];
  const starts = /(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}/g;
  for (let match = starts.exec(text); match !== null; match = starts.exec(text)) {
    const shape = SHAPES.get(match[0].slice(0, 2).toUpperCase());
    if (shape === undefined) continue;
    const taken = take(text, match.index, shape.length);
    if (taken === null || !isIban(taken.iban)) continue;
    found.push({ type: 'IBAN', start: match.index, end: taken.end, rule: 'iban', value: taken.iban });
    starts.lastIndex = taken.end;
  }
  return found;
}

function take(text: string, start: number, length: number): { iban: string; end: number } | null {
  let iban = '';
  let at = start;
  while (iban.length < length) {
    const char = text[at];
    if (char === undefined) return null;
    if (/[A-Za-z0-9]/.test(char)) iban += char;
    else if ((char !== ' ' && char !== '-') || !/[A-Za-z0-9]/.test(text[at + 1] ?? '')) return null;
    at++;
  }
  return /[\p{L}\p{N}]/u.test(text[at] ?? ' ') ? null : { iban: iban.toUpperCase(), end: at };
}
