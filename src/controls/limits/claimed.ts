import type { Call } from '../../core/call.ts';
import { sha256Base64Url } from '../../core/crypto/digest.ts';

const MAX_TOKEN_CHARACTERS = 8_192;
const MAX_NAME_CHARACTERS = 512;
const SHAPE = /^bearer +[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*$/i;

/**
 * The client a refused token claims to be of, as a key of one table; null: it claims none we can read. Anybody can claim
 * anything: this counts failures, it never grants, and never refuses a token that has not been looked at.
 */
export function claimedClient({ head }: Pick<Call, 'head'>): string | null {
  const header = head.headers['authorization'];
  if (typeof header !== 'string' || header.length > MAX_TOKEN_CHARACTERS) return null;
  const payload = SHAPE.exec(header)?.[1];
  if (payload === undefined) return null;
  let claims: { iss?: unknown; client_id?: unknown; azp?: unknown } | null;
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  } catch {
    return null;
  }
  const client = claims?.client_id ?? claims?.azp;
  if (typeof client !== 'string' || client === '' || client.length > MAX_NAME_CHARACTERS) return null;
  const issuer = typeof claims?.iss === 'string' ? claims.iss.slice(0, MAX_NAME_CHARACTERS) : '';
  // A digest: keys of the table are of one size, however long names are.
  return sha256Base64Url(`${issuer}\0${client}`);
}
