import { OAuthFault } from './fault.ts';

const MAX_SCOPES = 64;

/** What may decide the scopes of one request for a token. */
export interface ScopeSources {
  /** Operator's list: what is asked for, and the most that ever is. Null: as the upstream says. */
  readonly configured: readonly string[] | null;
  /** Of the challenge. */
  readonly challenged: readonly string[] | null;
  /** Of protected-resource metadata. */
  readonly published: readonly string[] | null;
  /** Asked for before at this issuer: a new token must not lose them. */
  readonly before: readonly string[];
}

/**
 * Scopes to ask for, in the order of the specification: what the challenge names, else what the metadata publishes,
 * else none; always with those asked for before. An operator's list is a ceiling that no upstream can lift.
 */
export function scopesToRequest(sources: ScopeSources): readonly string[] | OAuthFault {
  const { configured, challenged, published, before } = sources;
  if (configured === null) {
    const scopes = union(before, challenged ?? (before.length > 0 ? [] : (published ?? [])));
    return scopes.length <= MAX_SCOPES ? scopes : new OAuthFault('scope', 'the upstream wants more and more scopes');
  }
  const outside = (challenged ?? []).find((scope) => !configured.includes(scope));
  if (outside !== undefined)
    return new OAuthFault('scope', `the upstream wants scope "${outside}", which the settings do not allow`);
  return union(configured, challenged ?? []);
}

export function union(one: readonly string[], other: readonly string[]): readonly string[] {
  return [...new Set([...one, ...other])];
}

export function includesAll(have: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every((scope) => have.includes(scope));
}

export const OFFLINE = 'offline_access';
