/** What an upstream asks for in `WWW-Authenticate` (RFC 9110 11.6.1, RFC 9728 5.1, RFC 6750 3). All of it is a claim. */
export interface Challenge {
  readonly scheme: 'bearer' | 'dpop';
  readonly resourceMetadata: string | null;
  /** Scopes it names, in order, without repeats; null: it names none. */
  readonly scopes: readonly string[] | null;
  readonly error: string | null;
}

export const NO_CHALLENGE: Challenge = { scheme: 'bearer', resourceMetadata: null, scopes: null, error: null };

const MAX_HEADER = 8 * 1024;
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;
const MAX_SCOPES = 64;

/** The first Bearer or DPoP challenge of the header that names metadata, or else the first of them; never throws. */
export function readChallenge(header: string | null): Challenge {
  if (header === null || header.length > MAX_HEADER) return NO_CHALLENGE;
  const known = challengesOf(header).flatMap(({ scheme, parameters }): Challenge[] => {
    if (scheme !== 'bearer' && scheme !== 'dpop') return [];
    return [
      {
        scheme,
        resourceMetadata: parameters.get('resource_metadata') ?? null,
        scopes: readScopes(parameters.get('scope')),
        error: parameters.get('error') ?? null,
      },
    ];
  });
  return known.find(({ resourceMetadata }) => resourceMetadata !== null) ?? known[0] ?? NO_CHALLENGE;
}

/** Scope tokens of a blank-separated list, without repeats; null when there is none or one is malformed. */
export function readScopes(text: unknown): readonly string[] | null {
  if (typeof text !== 'string') return null;
  const scopes = [...new Set(text.split(' ').filter((scope) => scope !== ''))];
  return scopes.length > 0 && scopes.length <= MAX_SCOPES && scopes.every((scope) => SCOPE_TOKEN.test(scope))
    ? scopes
    : null;
}

interface Parsed {
  readonly scheme: string;
  readonly parameters: Map<string, string>;
}

/** Challenges and their parameters; reading ends at the first thing that fits no rule. A repeated name keeps its first value. */
function challengesOf(header: string): Parsed[] {
  const found: Parsed[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match) at = pattern.lastIndex;
    return match;
  };
  const blanks = (more: string) => {
    while (at < header.length && (' \t'.includes(header[at]!) || more.includes(header[at]!))) at++;
  };
  for (;;) {
    blanks(',');
    const word = take(TOKEN)?.[0].toLowerCase();
    if (word === undefined) return found;
    blanks('');
    if (header[at] !== '=') {
      found.push({ scheme: word, parameters: new Map() });
      continue;
    }
    at++;
    blanks('');
    const value = take(QUOTED)?.[1]?.replace(/\\(.)/g, '$1') ?? take(TOKEN)?.[0];
    const last = found.at(-1);
    if (value === undefined || last === undefined) return found;
    if (!last.parameters.has(word)) last.parameters.set(word, value);
  }
}
