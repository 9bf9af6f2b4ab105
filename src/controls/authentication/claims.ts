import type { AuthenticationRefusal } from './refusals.ts';
import type { IssuerSettings } from './settings.ts';

/** Claims as an issuer signed them: types checked, nothing judged. Times in seconds. */
export interface Claims {
  readonly iss: string;
  readonly aud: readonly string[];
  readonly exp: number;
  readonly nbf: number | null;
  readonly iat: number | null;
  /** Thumbprint of the client certificate the token is bound to (RFC 8705), or null for a plain bearer token. */
  readonly certificate: string | null;
  readonly all: Readonly<Record<string, unknown>>;
}

export interface Fault {
  readonly code: AuthenticationRefusal;
  readonly evidence: string;
}

const fault = (evidence: string): Fault => ({ code: 'authentication.invalid', evidence });

/** Checks the types of the registered claims before anything compares them (threats.md T22d). */
export function readClaims(all: Record<string, unknown>): Claims | Fault {
  const iss = own(all, 'iss');
  if (typeof iss !== 'string') return fault('iss is not a string');
  const aud = own(all, 'aud');
  const audiences = typeof aud === 'string' ? [aud] : aud;
  if (!isStrings(audiences) || audiences.length === 0) return fault('aud is not a string or a list of strings');
  const exp = own(all, 'exp');
  if (!isTime(exp)) return fault('exp is missing or not a time');
  const nbf = own(all, 'nbf') ?? null;
  if (nbf !== null && !isTime(nbf)) return fault('nbf is not a time');
  const iat = own(all, 'iat') ?? null;
  if (iat !== null && !isTime(iat)) return fault('iat is not a time');
  const certificate = readConfirmation(own(all, 'cnf'));
  if (certificate === undefined) return fault('bound to a proof this gateway cannot check (cnf)');
  return { iss, aud: audiences, exp, nbf, iat, certificate, all };
}

/** Judges whom a token is for and when it holds. `utc` in ms. */
export function judgeClaims(claims: Claims, issuer: IssuerSettings, resource: string, utc: number): Fault | null {
  if (claims.iss !== issuer.issuer) return fault('iss');
  if (!claims.aud.some((audience) => audience === resource || issuer.audiences.includes(audience))) {
    return { code: 'authentication.wrong_audience', evidence: 'aud names another resource' };
  }
  const now = utc / 1000;
  const { leewaySeconds: leeway, maxTokenAgeSeconds: longest } = issuer;
  if (now >= claims.exp + leeway) return { code: 'authentication.expired', evidence: 'exp has passed' };
  if (claims.nbf !== null && now < claims.nbf - leeway) return fault('nbf is ahead');
  if (claims.iat !== null && now < claims.iat - leeway) return fault('iat is ahead');
  if (claims.exp - (claims.iat ?? now) > longest + (claims.iat === null ? leeway : 0)) return fault('lives too long');
  return null;
}

/** The thumbprint of an mTLS-bound token, null when the token is not bound, undefined when we cannot check the binding. */
function readConfirmation(cnf: unknown): string | null | undefined {
  if (cnf === undefined) return null;
  if (typeof cnf !== 'object' || cnf === null || Array.isArray(cnf)) return undefined;
  const members = Object.keys(cnf);
  const thumbprint = (cnf as Record<string, unknown>)['x5t#S256'];
  if (members.length !== 1 || members[0] !== 'x5t#S256') return undefined;
  return typeof thumbprint === 'string' && /^[A-Za-z0-9_-]{43}$/.test(thumbprint) ? thumbprint : undefined;
}

/** A claim of the token itself; names like `constructor` find nothing. */
export function own(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

/**
 * What a setting names: a claim, or with a leading `/` a member inside one (RFC 6901). Only members of objects, never
 * items of lists or what every object has.
 */
export function claimAt(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  if (!name.startsWith('/')) return own(claims, name);
  let found: unknown = claims;
  for (const step of name.slice(1).split('/')) {
    if (typeof found !== 'object' || found === null || Array.isArray(found)) return undefined;
    found = own(found as Record<string, unknown>, step.replaceAll('~1', '/').replaceAll('~0', '~'));
  }
  return found;
}

export function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** Seconds since 1970 that still are exact in ms. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 8_640_000_000_000;
}
