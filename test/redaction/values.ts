import fc from 'fast-check';
import { issuerOf, luhn } from '../../src/controls/redaction/detectors/card.ts';
import { isIban } from '../../src/controls/redaction/detectors/iban.ts';
import { isSsn } from '../../src/controls/redaction/detectors/ssn.ts';
import { githubChecksum } from '../../src/controls/redaction/detectors/vendor.ts';

/** Made-up values with right check digits, and the same with one thing wrong. Never real ones. */

const digits = (length: number) =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: length, maxLength: length }).map((list) => list.join(''));
const from = (alphabet: string, length: number) =>
  fc.array(fc.constantFrom(...alphabet), { minLength: length, maxLength: length }).map((list) => list.join(''));
const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

const SERIES: readonly (readonly [prefix: string, length: number])[] = [
  ['4', 16],
  ['4', 19],
  ['51', 16],
  ['55', 16],
  ['2221', 16],
  ['2720', 16],
  ['34', 15],
  ['37', 15],
  ['300', 14],
  ['36', 14],
  ['38', 14],
  ['6011', 16],
  ['65', 16],
  ['644', 16],
  ['3528', 16],
  ['3589', 16],
  ['2131', 15],
  ['1800', 15],
  ['62', 16],
  ['62', 19],
  ['5018', 12],
  ['6304', 12],
  ['6759', 16],
  ['6763', 19],
];

/** Card numbers of every network we list; the last digit is the check digit. */
export const card = fc
  .constantFrom(...SERIES)
  .chain(([prefix, length]) => digits(length - prefix.length - 1).map((middle) => withLuhn(prefix + middle)));

export const wrongCard = card.map((number) => number.slice(0, -1) + String((Number(number.at(-1)) + 1) % 10));

function withLuhn(body: string): string {
  for (let check = 0; check < 10; check++) if (luhn(body + check)) return body + check;
  throw new Error('unreachable: one of ten digits fits');
}

/** As people write cards: bare, in fours, by the network's own grouping. */
export const writtenCard = fc.tuple(card, fc.constantFrom('', ' ', '-')).map(([number, gap]) => {
  if (number.length === 15 && number.startsWith('3'))
    return [number.slice(0, 4), number.slice(4, 10), number.slice(10)].join(gap);
  if (number.length === 14) return [number.slice(0, 4), number.slice(4, 10), number.slice(10)].join(gap);
  return number.length === 16 || number.length === 19 ? number.replace(/(\d{4})(?=\d)/g, `$1${gap}`) : number;
});

export const ssn = digits(9)
  .filter(isSsn)
  .map((number) => `${number.slice(0, 3)}-${number.slice(3, 5)}-${number.slice(5)}`);
export const wrongSsn = fc.constantFrom(
  '000-12-3456',
  '666-12-3456',
  '900-12-3456',
  '987-65-4321',
  '123-00-4567',
  '123-45-0000',
);

const BBANS: readonly (readonly [country: string, letters: number, digits: number])[] = [
  ['DE', 0, 18],
  ['GB', 4, 14],
  ['NL', 4, 10],
  ['ES', 0, 20],
  ['BE', 0, 12],
  ['AT', 0, 16],
  ['IE', 4, 14],
  ['NO', 0, 11],
  ['PL', 0, 24],
  ['RO', 4, 16],
];
export const iban = fc
  .constantFrom(...BBANS)
  .chain(([country, letters, count]) =>
    fc
      .tuple(from('ABCDEFGHIJKLMNOPQRSTUVWXYZ', letters), digits(count))
      .map(([bank, account]) => withMod97(country, bank + account)),
  );
export const wrongIban = iban.map((value) => value.slice(0, -1) + String((Number(value.at(-1)) + 1) % 10));

function withMod97(country: string, bban: string): string {
  for (let check = 2; check < 99; check++) {
    const value = country + String(check).padStart(2, '0') + bban;
    if (isIban(value)) return value;
  }
  throw new Error('unreachable: one of 97 check numbers fits');
}

export const email = fc
  .tuple(
    from('abcdefghijklmnopqrstuvwxyz', 5),
    fc.constantFrom('', '.x', '+tag', '_9'),
    fc.constantFrom('example.org', 'mail.example.co.uk', 'xn--bcher-kva.example', 'firma.de'),
  )
  .map(([name, more, domain]) => `${name}${more}@${domain}`);
export const wrongEmail = fc.constantFrom(
  'logo@2x.png',
  '@types/node',
  'lodash@4.17.21',
  'getty@tty1.service',
  'a @ b',
  'user@host',
  'git@github.com:org/repo.git',
);

export const publicIp = fc
  .tuple(fc.constantFrom(8, 41, 93, 151, 195, 203), fc.nat(255), fc.nat(255), fc.nat(255))
  .map((octets) => octets.join('.'));
export const publicIp6 = fc
  .tuple(from('123456789abcdef', 4), from('123456789abcdef', 3))
  .chain(([a, b]) => fc.constantFrom(`2001:db8:${a}::${b}`, `2001:db8:0:1:${a}:2:3:${b}`, `2a00::${a}`));
export const wrongIp = fc.constantFrom(
  '256.1.1.1',
  '1.2.3',
  '1.2.3.4.5',
  'v1.2.3.4',
  'version 10.2.3.4',
  '01.02.03.04',
  '10:20:30',
  'a::b',
  '[1::2]',
);

export const phone = fc.constantFrom(
  '+1 201 555 0123',
  '(201) 555-0123',
  '201-555-0123',
  '201.555.0123',
  '+44 20 7946 0958',
  '+49 30 901820',
  '+33 1 42 68 53 00',
  '+81 3-1234-5678',
  '+91 98765 43210',
  '+41 (0)44 668 18 00',
  '+61 2 9374 4000',
  '+447700900123',
  'tel: 020 7946 0958',
  'Phone: 78 651 450',
  'Mobile: 0490 75 40 81',
  '+1-201-555-0123 x45',
);

export const githubToken = from(ALPHANUMERIC, 30).map((random) => `ghp_${random}${githubChecksum(random)}`);
export const vendorToken = fc.oneof(
  githubToken,
  from('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16).map((rest) => `AKIA${rest}`),
  from(ALPHANUMERIC, 24).map((rest) => `sk_live_${rest}`),
  from(ALPHANUMERIC, 35).map((rest) => `AIza${rest}`),
  from(ALPHANUMERIC, 36).map((rest) => `npm_${rest}`),
  from(ALPHANUMERIC, 20).map((rest) => `glpat-${rest}`),
  from('0123456789', 12).map((rest) => `xoxb-${rest}-${rest}-AbCdEfGhIjKl`),
  from(ALPHANUMERIC, 40).map((rest) => `sk-ant-api03-${rest}`),
);
export const wrongVendorToken = fc.constantFrom(
  'AKIA123',
  'ghp_short',
  'sk-learn-is-a-python-library-for-machine-learning',
  'AIzaShort',
  'npm_config_registry',
  'xox-none',
);

export const jwt = from(ALPHANUMERIC, 20).map((signature) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(signature < 'a' ? { alg: 'ES256', typ: 'JWT' } : { alg: 'none' })}.${part({ sub: 'x' })}.${signature}`;
});

export const privateKey = from(ALPHANUMERIC, 64).map(
  (body) => `-----BEGIN PRIVATE KEY-----\n${body}\n${body}\n-----END PRIVATE KEY-----`,
);

/** Everything that must be found and gone, whatever stands around it. */
export const anyValue = fc.oneof(
  writtenCard.filter((value) => issuerOf(value.replace(/\D/g, '')) !== null),
  ssn,
  iban,
  email,
  publicIp,
  publicIp6,
  phone,
  vendorToken,
  jwt,
  privateKey,
);
