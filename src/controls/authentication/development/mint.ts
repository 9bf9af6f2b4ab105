import { type JWK, SignJWT } from 'jose';
import { handle } from '../../../core/ids.ts';
import type { IssuerSettings } from '../settings.ts';
import { issuerSettings } from '../settings.ts';
import { issuerKeyPaths, openIssuerKey } from './issuer-keys.ts';

export interface DevelopmentToken {
  readonly home: string;
  /** URL of the development issuer, as the gateway knows it. */
  readonly issuer: string;
  /** The resource the token is for, or several. */
  readonly audience: string | readonly string[];
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly groups?: readonly string[] | undefined;
  readonly client?: string | undefined;
  readonly ttlSeconds?: number | undefined;
  /** ms UTC; the present unless given. */
  readonly now?: number | undefined;
}

/**
 * Signs an access token with the development issuer's key, as the issuer itself would.
 * @throws SettingsError when this home has no development issuer
 */
export async function mintDevelopmentToken(token: DevelopmentToken): Promise<string> {
  const { kid, jwk } = openIssuerKey(token.home);
  const issued = Math.floor((token.now ?? Date.now()) / 1000);
  const groups = token.groups && token.groups.length > 0 ? { groups: token.groups } : {};
  return new SignJWT({ scope: token.scopes.join(' '), client_id: token.client ?? 'gatewrit-cli', ...groups })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
    .setIssuer(token.issuer)
    .setSubject(token.subject)
    .setAudience(typeof token.audience === 'string' ? token.audience : [...token.audience])
    .setIssuedAt(issued)
    .setExpirationTime(issued + (token.ttlSeconds ?? 300))
    .setJti(handle())
    .sign(jwk as JWK);
}

/** The one entry of `authentication.issuers` in development mode. */
export function developmentIssuerSettings(home: string, url: string): IssuerSettings {
  return issuerSettings.parse({
    issuer: url,
    jwks: `file:${issuerKeyPaths(home).public}`,
    algorithms: ['ES256'],
    typ: ['at+jwt'],
  });
}
