import type { Found } from '../types.ts';
import { isOursAt, isPlaceholder } from './placeholder.ts';

const AUTHORITY_MAX = 512;
const QUERY = /[?&;#]([A-Za-z_.-]{1,40})=([^&\s"'<>#;]{8,2048})/g;
const SECRET_PARAMETER =
  /^(?:access_?token|refresh_?token|id_?token|auth_?token|token|api_?key|apikey|secret|client_?secret|password|passwd|pwd|sig|signature|x-amz-signature|x-amz-security-token|x-goog-signature|auth|sessionid|session_?token)$/i;

/** URLs and connection strings that carry credentials: only the credential is taken, so that the address stays readable. */
export function findUrlSecrets(text: string): Found[] {
  const found: Found[] = [];
  for (let at = text.indexOf('://'); at >= 0; at = text.indexOf('://', at + 3)) {
    const userinfo = userinfoAt(text, at + 3);
    if (userinfo !== null) found.push(userinfo);
  }
  for (const match of text.matchAll(QUERY)) {
    const [whole, name, value] = match;
    if (!SECRET_PARAMETER.test(name!) || isPlaceholder(value!)) continue;
    const end = match.index + whole.length;
    if (isOursAt(text, end - value!.length)) continue;
    found.push({ type: 'URL_WITH_SECRET', start: end - value!.length, end, rule: 'url.parameter', value: value! });
  }
  return found;
}

/** `user:password@` or a single long token before `@`. Passwords may hold `/` and `@` that nobody encoded. */
function userinfoAt(text: string, start: number): Found | null {
  if (!/[A-Za-z0-9]/.test(text[start - 4] ?? '')) return null;
  let end = start;
  let sign = -1;
  const bound = Math.min(text.length, start + AUTHORITY_MAX);
  for (; end < bound && !/[\s"'<>`,]/.test(text[end]!); end++) {
    if (text[end] === '@') sign = end;
    // A path without a password before it: the authority is over.
    if (/[/?#]/.test(text[end]!) && !hasOpenPassword(text, start, end)) break;
  }
  if (sign < 0) return null;
  const userinfo = text.slice(start, sign);
  const colon = userinfo.indexOf(':');
  const secret = colon < 0 ? userinfo : userinfo.slice(colon + 1);
  if (colon < 0 ? !/^[A-Za-z0-9_-]{20,}$/.test(secret) || !/\d/.test(secret) : secret === '' || isPlaceholder(secret))
    return null;
  return { type: 'URL_WITH_SECRET', start, end: sign, rule: 'url.userinfo', value: userinfo };
}

/** `user:pa/ss` is still a password where `host:8080/path` is not. */
function hasOpenPassword(text: string, start: number, end: number): boolean {
  const authority = text.slice(start, end);
  const colon = authority.indexOf(':');
  return colon >= 0 && !authority.includes('@') && !/^\d{0,5}(?:[/?#]|$)/.test(authority.slice(colon + 1));
}
