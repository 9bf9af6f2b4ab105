import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { canonicalJson } from '../../core/crypto/jcs.ts';

/**
 * SHA-256 (base64url) of the RFC 8785 form: order of members and spelling of numbers do not matter, all else does.
 * @throws Error for what has no such form (a lone surrogate)
 */
export function digestOf(value: unknown): string {
  return sha256Base64Url(canonicalJson(value));
}
