import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Base64Url } from '../../../core/crypto/digest.ts';
import { SettingsError } from '../../../core/internal-error.ts';
import { openSecret } from '../../../core/settings.ts';

/** A private ES256 key of the development issuer, as JWK. */
export interface IssuerKey {
  readonly kid: string;
  readonly jwk: Readonly<Record<string, unknown>>;
}

/** Where the development issuer's private and public key sets are. */
export function issuerKeyPaths(home: string): { readonly secret: string; readonly public: string } {
  return { secret: join(home, 'keys', 'issuer.jwks'), public: join(home, 'keys', 'issuer.pub.jwks') };
}

/** Makes the development issuer's key where it is missing, and writes the public set the gateway reads. */
export function ensureIssuerKeys(home: string): IssuerKey {
  const paths = issuerKeyPaths(home);
  if (!existsSync(paths.secret)) {
    mkdirSync(join(home, 'keys'), { recursive: true, mode: 0o700 });
    const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
    const kid = sha256Base64Url(`${jwk.x}.${jwk.y}`).slice(0, 16);
    place(paths.secret, { keys: [{ ...jwk, kid, alg: 'ES256', use: 'sig' }] });
  }
  const key = openIssuerKey(home);
  const { kty, crv, x, y, alg, use } = key.jwk;
  const set = { keys: [{ kty, crv, x, y, kid: key.kid, alg, use }] };
  if (!existsSync(paths.public) || readFileSync(paths.public, 'utf8') !== render(set)) place(paths.public, set);
  return key;
}

/**
 * Opens the development issuer's key.
 * @throws SettingsError when there is none: the development issuer was never started with this home
 */
export function openIssuerKey(home: string): IssuerKey {
  const path = issuerKeyPaths(home).secret;
  if (!existsSync(path)) {
    throw new SettingsError(`${path} is missing; run "gatewrit start" in development mode first, or name --home`);
  }
  const text = openSecret(`file:${path}`).toString('utf8');
  try {
    const jwk = (JSON.parse(text) as { keys: Record<string, unknown>[] }).keys[0]!;
    if (jwk['crv'] === 'P-256' && typeof jwk['d'] === 'string' && typeof jwk['kid'] === 'string') {
      return { kid: jwk['kid'], jwk };
    }
  } catch (cause) {
    throw new SettingsError(`${path} is not a JWK Set`, cause);
  }
  throw new SettingsError(`${path}: the first key must be a private P-256 JWK with a kid`);
}

const render = (set: object): string => `${JSON.stringify(set, null, 2)}\n`;

function place(path: string, set: object): void {
  writeFileSync(`${path}.new`, render(set), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
