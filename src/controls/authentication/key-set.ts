import { type CryptoKey, importJWK, type JWK } from 'jose';
import { readObject } from './compact.ts';
import type { Algorithm } from './settings.ts';

const MAX_KEYS = 100;

/** Which keys an algorithm may be used with; the public members are all that is ever imported. */
const KINDS: Readonly<Record<Algorithm, { kty: string; crv?: string; members: readonly string[] }>> = {
  RS256: { kty: 'RSA', members: ['n', 'e'] },
  PS256: { kty: 'RSA', members: ['n', 'e'] },
  ES256: { kty: 'EC', crv: 'P-256', members: ['crv', 'x', 'y'] },
  EdDSA: { kty: 'OKP', crv: 'Ed25519', members: ['crv', 'x'] },
};

/** 2048 bits, as base64url characters of the modulus. */
const SHORTEST_MODULUS = 341;

interface Entry {
  readonly kid: string | null;
  readonly alg: Algorithm;
  readonly key: CryptoKey;
}

/** The public keys of one issuer, each bound to one algorithm. */
export class KeySet {
  readonly #entries: readonly Entry[];

  constructor(entries: readonly Entry[]) {
    this.#entries = entries;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Keys a token may have been signed with. Without a key id only a sole key of that algorithm counts. */
  find(alg: Algorithm, kid: string | null): readonly CryptoKey[] {
    const fits = this.#entries.filter((entry) => entry.alg === alg && (kid === null || entry.kid === kid));
    return kid === null && fits.length > 1 ? [] : fits.slice(0, 2).map((entry) => entry.key);
  }
}

/**
 * Reads a JWK Set. Keys for other uses, symmetric, short or of other kinds are left out; what is left may be empty.
 * @throws Error when this is no JWK Set at all, or holds more than 100 keys
 */
export async function readKeySet(bytes: Uint8Array, algorithms: readonly Algorithm[]): Promise<KeySet> {
  const keys = readObject(bytes)?.['keys'];
  if (!Array.isArray(keys)) throw new Error('not a JWK Set');
  if (keys.length > MAX_KEYS) throw new Error(`more than ${MAX_KEYS} keys`);
  const entries: Entry[] = [];
  for (const jwk of keys as unknown[]) {
    if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) continue;
    for (const alg of algorithms) {
      const key = await importFor(alg, jwk as Record<string, unknown>);
      if (key) entries.push({ kid: kidOf(jwk as Record<string, unknown>), alg, key });
    }
  }
  return new KeySet(entries);
}

async function importFor(alg: Algorithm, jwk: Record<string, unknown>): Promise<CryptoKey | null> {
  const kind = KINDS[alg];
  const { kty, crv, use, alg: named, key_ops: operations } = jwk;
  if (kty !== kind.kty || (kind.crv !== undefined && crv !== kind.crv)) return null;
  if (use !== undefined && use !== 'sig') return null;
  if (named !== undefined && named !== alg && !(named === 'Ed25519' && alg === 'EdDSA')) return null;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return null;
  if (kty === 'RSA' && String(jwk['n']).length < SHORTEST_MODULUS) return null;
  const members = kind.members.map((name) => [name, jwk[name]]);
  try {
    return (await importJWK({ kty, ...Object.fromEntries(members) } as JWK, alg)) as CryptoKey;
  } catch {
    return null; // A malformed key is no key; a set of only such keys lets nobody in.
  }
}

function kidOf(jwk: Record<string, unknown>): string | null {
  return typeof jwk['kid'] === 'string' ? jwk['kid'] : null;
}
