/** Longest token read, in characters; counted before anything is decoded (threats.md JWT-10). */
const MAX_TOKEN_CHARACTERS = 8192;

const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
const NAME = 'authorization';

/** Why a credential is no bearer token, in our own words. */
export const REFUSED_AUTHORIZATION = {
  repeated: { refused: 'two Authorization headers' },
  size: { refused: 'token longer than 8192 characters' },
  scheme: { refused: 'Authorization is not of scheme Bearer' },
  characters: { refused: 'characters no token has' },
} as const;

/** Whether a text has the characters of a token. Asked once for each text: one that was verified need not be asked again. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/**
 * What a request presents as its bearer token: a text whose characters are still to be judged (`isToken`), null when there is no Authorization header, or why it is refused.
 * Attacker-controlled. Only the header counts, never the query string; two headers are two readers, so neither counts.
 * @param rawHeaders names and values alternating, as sent
 */
export function readBearer(rawHeaders: readonly string[]): string | null | { readonly refused: string } {
  let value: string | null = null;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length !== NAME.length || (name !== 'Authorization' && name.toLowerCase() !== NAME)) continue;
    if (value !== null) return REFUSED_AUTHORIZATION.repeated;
    value = rawHeaders[i + 1]!;
  }
  if (value === null) return null;
  if (value.length > MAX_TOKEN_CHARACTERS + 16) return REFUSED_AUTHORIZATION.size;
  if (value.length < 8 || value.charCodeAt(6) !== 0x20 || !isBearer(value)) return REFUSED_AUTHORIZATION.scheme;
  let start = 7;
  while (value.charCodeAt(start) === 0x20) start++;
  const token = value.slice(start);
  if (token.length > MAX_TOKEN_CHARACTERS) return REFUSED_AUTHORIZATION.size;
  return token;
}

/** Scheme names have no case. */
function isBearer(value: string): boolean {
  return value.startsWith('Bearer') || value.slice(0, 6).toLowerCase() === 'bearer';
}
