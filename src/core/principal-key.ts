import { sha256Base64Url } from './crypto/digest.ts';

/** `Principal.key`: opaque and stable for who it is. A JSON list keeps its items apart whatever they hold. */
export function principalKey(tenant: string, issuer: string, subject: string): string {
  return sha256Base64Url(JSON.stringify([tenant, issuer, subject]));
}
