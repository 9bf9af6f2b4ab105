import type { AuthorizationServer } from 'oauth4webapi';
import { OAuthFault } from './fault.ts';
import { placeOf } from './guarded-http.ts';

/**
 * Where the metadata of an issuer may be, in order (protocol.md 1.12): RFC 8414, OpenID Connect with the path inserted,
 * OpenID Connect with the path before. Without a path the last two are one.
 */
export function serverMetadataUrls(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/+$/, '');
  const oauth = `${origin}/.well-known/oauth-authorization-server${path}`;
  const openid = `${origin}/.well-known/openid-configuration${path}`;
  return path === '' ? [oauth, openid] : [oauth, openid, `${origin}${path}/.well-known/openid-configuration`];
}

const ENDPOINTS = ['authorization_endpoint', 'token_endpoint', 'registration_endpoint'] as const;
const LISTS = [
  'code_challenge_methods_supported',
  'token_endpoint_auth_methods_supported',
  'scopes_supported',
  'grant_types_supported',
  'dpop_signing_alg_values_supported',
] as const;

/**
 * Metadata is believed only when it names the very issuer it was fetched for, character by character (RFC 8414 3.3):
 * anything else is how one authorization server poses as another.
 */
export function judgeServerMetadata(json: unknown, issuer: string): AuthorizationServer | OAuthFault {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return new OAuthFault('metadata', 'authorization-server metadata is no JSON object');
  const claims = json as Readonly<Record<string, unknown>>;
  if (claims['issuer'] !== issuer)
    return new OAuthFault('issuer_mismatch', `metadata of ${placeOf(issuer)} names another issuer`);
  for (const name of ENDPOINTS) {
    const value = claims[name];
    if (value !== undefined && (typeof value !== 'string' || !URL.canParse(value)))
      return new OAuthFault('metadata', `${name} of ${placeOf(issuer)} is no URL`);
  }
  for (const name of LISTS) {
    const value = claims[name];
    if (value !== undefined && (!Array.isArray(value) || !value.every((item) => typeof item === 'string')))
      return new OAuthFault('metadata', `${name} of ${placeOf(issuer)} is no list of words`);
  }
  return claims as unknown as AuthorizationServer;
}

/** An authorization server that does not say it checks S256 is not used: without PKCE a stolen code is a token. */
export function supportsPkce(server: AuthorizationServer): boolean {
  return server.code_challenge_methods_supported?.includes('S256') ?? false;
}
