import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  type webcrypto,
} from 'node:crypto';
import { type JWK, SignJWT } from 'jose';

/** The key a token is bound to (RFC 9449), as it is kept: a private P-256 JWK. */
export type ProofKey = Readonly<Record<string, string>>;

export function newProofKey(): ProofKey {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as Record<
    string,
    string
  >;
}

export interface ProofOf {
  readonly method: string;
  readonly url: string;
  /** The access token the proof goes with; null at the token endpoint. */
  readonly token: string | null;
  readonly nonce: string | null;
}

/** One proof for one request: never used twice. @param utc ms */
export function proof(key: ProofKey, of: ProofOf, utc: number): Promise<string> {
  const privateKey = createPrivateKey({ key: key as webcrypto.JsonWebKey, format: 'jwk' });
  const url = new URL(of.url);
  const claims = {
    htm: of.method,
    htu: url.origin + url.pathname,
    ...(of.nonce === null ? {} : { nonce: of.nonce }),
    ...(of.token === null ? {} : { ath: createHash('sha256').update(of.token, 'ascii').digest('base64url') }),
  };
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' }) as JWK;
  return new SignJWT(claims)
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
    .setIssuedAt(Math.floor(utc / 1000))
    .setJti(randomUUID())
    .sign(privateKey);
}
