import type { KnownSecrets } from './known-secrets.ts';

/** What can be found, strongest claim first: where two findings overlap the earlier type gives the name. */
export const TYPES = [
  'PRIVATE_KEY',
  'URL_WITH_SECRET',
  'JWT_BEARER',
  'VENDOR_TOKEN',
  'EMAIL',
  'IBAN',
  'CREDIT_CARD',
  'US_SSN',
  'IP_ADDRESS',
  'PHONE',
  'GENERIC_SECRET',
  'HIDDEN_TEXT',
] as const;
export type Type = (typeof TYPES)[number];

/** `personal` becomes a token that can be correlated, `secret` (class B of dlp.md) a marker that says nothing, `hidden` is cut out. */
export const TYPE_CLASS = {
  PRIVATE_KEY: 'secret',
  URL_WITH_SECRET: 'secret',
  JWT_BEARER: 'secret',
  VENDOR_TOKEN: 'secret',
  EMAIL: 'personal',
  IBAN: 'personal',
  CREDIT_CARD: 'personal',
  US_SSN: 'personal',
  IP_ADDRESS: 'personal',
  PHONE: 'personal',
  GENERIC_SECRET: 'secret',
  HIDDEN_TEXT: 'hidden',
} as const satisfies Record<Type, 'personal' | 'secret' | 'hidden'>;

export const RANK: Readonly<Record<Type, number>> = Object.fromEntries(
  TYPES.map((type, rank) => [type, rank]),
) as Record<Type, number>;

/** Something found in one text. Offsets are UTF-16 units of that text, half-open. */
export interface Found {
  readonly type: Type;
  readonly start: number;
  readonly end: number;
  /** Rule that fired, e.g. `card.visa`. */
  readonly rule: string;
  /** Normalised value, the input of the token. Never leaves this control. */
  readonly value: string;
  /** Found only because of the words around it: the same value elsewhere in the document is searched in a second pass. */
  readonly contextual?: boolean;
  /** What to put in its place when that is neither token nor marker: nothing, for hidden text. */
  readonly replacement?: string;
  /** Found inside a base64 run: the run is encoded again without these. */
  readonly inside?: { readonly text: string; readonly found: readonly Found[] };
  /** Report only, whatever the settings say (private addresses, zero-width characters). */
  readonly quiet?: boolean;
}

/** Where a text stands, for detectors that need context. */
export interface Place {
  /** The nearest names may announce a secret: only then is the value judged as one. */
  readonly announced: boolean;
  /** Words of the nearest member name, as `names`. */
  readonly name: string;
  /** Words of the nearest two member names, lower case, split at case and punctuation; '' at the top. */
  readonly names: string;
  /** Short string before this leaf in the same container (`{"system":"phone","value":…}`), or ''. */
  readonly before: string;
  readonly known: Known | null;
}

/** Values found in context elsewhere in this document. */
export interface Known {
  readonly digits: ReadonlySet<string>;
  readonly secrets: KnownSecrets;
}

export const NO_PLACE: Place = { announced: false, name: '', names: '', before: '', known: null };

/** A member name stands nowhere: only what is known of the document can say what it is. */
export function nameWith(known: Known | null): Place {
  return known === null ? NO_PLACE : { ...NO_PLACE, known: { ...known, secrets: known.secrets.inNames } };
}

/** Member names as words, the last two at most: `customerSSN`, `card_number` → `customer ssn`, `card number`. */
export function wordsOf(names: readonly string[]): string {
  return names
    .slice(-2)
    .map((name) =>
      name
        .slice(-80)
        .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
        .replace(/[^\p{L}\p{N}]+/gu, ' '),
    )
    .join(' ')
    .toLowerCase();
}
