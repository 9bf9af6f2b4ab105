import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  type webcrypto,
} from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { issuerKeyPaths } from '../../src/controls/authentication/index.ts';

/** How the token of an attack is made. Every member left out is as in a good token. */
export interface TokenRecipe {
  /** Laid over the header; null takes a member away. `{issuerKey}` stands for the attacker's own public JWK. */
  readonly header?: Readonly<Record<string, unknown>>;
  /** Laid over the claims; null takes a claim away, `now+60` is a time. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly sign?: Signer;
  /** Inverts one bit of this part, after signing. */
  readonly flip?: 'header' | 'payload' | 'signature';
  /** The whole token around its parts, e.g. `{header}.{payload}.`. */
  readonly text?: string;
  /** Adds so many claims, or a claim of so many characters. */
  readonly manyClaims?: number;
  readonly longClaim?: number;
}

/**
 * issuer: the development issuer's key. second, RS256, …: other keys in the set the gateway trusts. stranger: a key in no
 * set. hmac-*: the issuer's public key, in that form, as a secret. empty, random: no signature at all.
 */
export type Signer =
  | 'issuer'
  | 'second'
  | 'stranger'
  | 'RS256'
  | 'PS256'
  | 'RS512'
  | 'ES384'
  | 'EdDSA'
  | 'empty'
  | 'random'
  | `hmac-${'pem' | 'blank-pem' | 'der' | 'jwk' | 'x'}-${256 | 384 | 512}`;

/** Makes tokens as the development issuer would, and as nobody should. */
export class Forge {
  readonly #issuer: KeyObject;
  readonly #kid: string;
  readonly #stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #second = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  readonly #rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  readonly #ed = generateKeyPairSync('ed25519');
  readonly #jwk: webcrypto.JsonWebKey;

  /** Puts keys of other algorithms into the set the gateway reads, so that only its list of algorithms is in their way. */
  constructor(home: string) {
    const paths = issuerKeyPaths(home);
    const { keys } = JSON.parse(readFileSync(paths.secret, 'utf8')) as {
      keys: (webcrypto.JsonWebKey & { kid: string })[];
    };
    this.#jwk = keys[0]!;
    this.#kid = keys[0]!.kid;
    this.#issuer = createPrivateKey({ key: this.#jwk, format: 'jwk' });
    const trusted = JSON.parse(readFileSync(paths.public, 'utf8')) as { keys: object[] };
    const more = { second: this.#second, p384: this.#p384, rsa: this.#rsa, ed: this.#ed };
    for (const [kid, pair] of Object.entries(more))
      trusted.keys.push({ ...pair.publicKey.export({ format: 'jwk' }), kid, use: 'sig' });
    writeFileSync(paths.public, JSON.stringify(trusted));
  }

  /** @param good claims of a good token */
  token(recipe: TokenRecipe, good: Readonly<Record<string, unknown>>): string {
    const signer = recipe.sign ?? 'issuer';
    const stranger = this.#stranger.publicKey.export({ format: 'jwk' });
    const header = laid({ alg: 'ES256', typ: 'at+jwt', kid: this.#kidOf(signer) }, recipe.header, (value) =>
      value === '{issuerKey}' ? stranger : value,
    );
    const claims = laid(good, recipe.claims, timeOf);
    if (recipe.longClaim) claims['long'] = 'x'.repeat(recipe.longClaim);
    for (let i = 0; i < (recipe.manyClaims ?? 0); i++) claims[`c${i}`] = i;
    const parts: Record<string, string> = {
      header: encode(JSON.stringify(header)),
      payload: encode(JSON.stringify(claims)),
      signature: '',
    };
    parts['signature'] = this.#sign(signer, `${parts['header']}.${parts['payload']}`);
    if (recipe.flip) parts[recipe.flip] = flipped(parts[recipe.flip]!);
    return (recipe.text ?? '{header}.{payload}.{signature}').replaceAll(
      /\{(header|payload|signature)\}/g,
      (_, name: string) => parts[name]!,
    );
  }

  #kidOf(signer: Signer): string {
    if (signer === 'second') return 'second';
    if (signer === 'ES384') return 'p384';
    if (signer === 'EdDSA') return 'ed';
    return /^[RP]S/.test(signer) ? 'rsa' : this.#kid;
  }

  #sign(signer: Signer, input: string): string {
    const bytes = Buffer.from(input);
    const ec = (key: KeyObject, hash: string) =>
      sign(hash, bytes, { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
    switch (signer) {
      case 'issuer':
        return ec(this.#issuer, 'sha256');
      case 'second':
        return ec(this.#second.privateKey, 'sha256');
      case 'stranger':
        return ec(this.#stranger.privateKey, 'sha256');
      case 'ES384':
        return ec(this.#p384.privateKey, 'sha384');
      case 'EdDSA':
        return sign(null, bytes, this.#ed.privateKey).toString('base64url');
      case 'RS256':
      case 'RS512':
        return sign(`sha${signer.slice(2)}`, bytes, this.#rsa.privateKey).toString('base64url');
      case 'PS256':
        return sign('sha256', bytes, { key: this.#rsa.privateKey, padding: 6, saltLength: 32 }).toString('base64url');
      case 'empty':
        return '';
      case 'random':
        return randomBytes(64).toString('base64url');
      default: {
        const [, form, hash] = /^hmac-(.*)-(\d+)$/.exec(signer)!;
        return createHmac(`sha${hash}`, this.#publicAs(form!)).update(bytes).digest('base64url');
      }
    }
  }

  /** The issuer's public key in the forms that have been mistaken for secrets (threats.md T22b). */
  #publicAs(form: string): string | Buffer {
    const key = createPublicKey(this.#issuer);
    const pem = String(key.export({ type: 'spki', format: 'pem' }));
    if (form === 'pem') return pem;
    if (form === 'blank-pem') return ` \n${pem}`;
    if (form === 'der') return key.export({ type: 'spki', format: 'der' });
    if (form === 'x') return Buffer.from(String(this.#jwk.x), 'base64url');
    return JSON.stringify(key.export({ format: 'jwk' }));
  }
}

const encode = (text: string) => Buffer.from(text).toString('base64url');

function laid(
  base: object,
  over: Readonly<Record<string, unknown>> | undefined,
  read: (value: unknown) => unknown,
): Record<string, unknown> {
  const all: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(over ?? {})) {
    if (value === null) delete all[name];
    else all[name] = read(value);
  }
  return all;
}

/** `now`, `now+60`, `now-60`: seconds since 1970; anything else as it is. */
function timeOf(value: unknown): unknown {
  const parts = typeof value === 'string' ? /^now([+-]\d+)?$/.exec(value) : null;
  return parts ? Math.floor(Date.now() / 1000) + Number(parts[1] ?? 0) : value;
}

/** One bit other: bytes, not characters, so that the text stays canonical. */
function flipped(part: string): string {
  const bytes = Buffer.from(part, 'base64url');
  bytes[bytes.length >> 1]! ^= 1;
  return bytes.toString('base64url');
}
