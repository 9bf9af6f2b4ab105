import type { Refusal } from '../stage.ts';
import { REFUSALS } from './refusals.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';
/** What may stand in a scope (RFC 6749 section 3.3): nothing that could end the quoted string. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** Path of a resource's metadata document: the well-known part goes between host and path (RFC 9728 section 3.1). */
export function protectedResourceMetadataPath(resource: string): string {
  const { pathname, search } = new URL(resource);
  return `${WELL_KNOWN}${pathname === '/' ? '' : pathname}${search}`;
}

/** URL of a resource's metadata document. */
export function protectedResourceMetadataUrl(resource: string): string {
  return new URL(resource).origin + protectedResourceMetadataPath(resource);
}

/**
 * `WWW-Authenticate` of a 401 (RFC 6750 section 3, RFC 9728 section 5.1). No reason: only whether a token was sent.
 * @param metadata URL of the metadata document
 */
export function unauthenticatedChallenge(metadata: string, tokenSent: boolean): string {
  return `Bearer ${tokenSent ? 'error="invalid_token", ' : ''}resource_metadata="${quotable(metadata)}"`;
}

/** `WWW-Authenticate` of a 403: every scope the operation needs in one challenge, so that one consent is enough. */
export function insufficientScopeChallenge(metadata: string, scopes: readonly string[]): string {
  const all = scopes.filter((scope) => SCOPE.test(scope)).join(' ');
  const needed = all === '' ? '' : `scope="${all}", `;
  return `Bearer error="insufficient_scope", ${needed}resource_metadata="${quotable(metadata)}"`;
}

/** The challenge that goes with a refusal, or null when it has none. */
export function challengeFor(refusal: Refusal, resource: string): string | null {
  const { code, facts } = refusal;
  if (code === 'authorization.insufficient_scope') {
    return insufficientScopeChallenge(protectedResourceMetadataUrl(resource), facts.scopes ?? []);
  }
  // Of a session that is gone nobody is told that his token is at fault.
  if (REFUSALS[code].status !== 401) return null;
  return unauthenticatedChallenge(protectedResourceMetadataUrl(resource), code !== 'authentication.missing');
}

function quotable(url: string): string {
  if (/["\\\s]/.test(url)) throw new TypeError('a metadata URL must be percent-encoded');
  return url;
}
