/** What a credential did about a refusal; each helps at most once for one request. */
export const REMEDIES = ['renewed', 'stepped_up', 'nonce'] as const;
export type Remedy = (typeof REMEDIES)[number];

/** A 401 or 403 of an upstream: the request was refused before it ran. */
export interface CredentialRefusal {
  readonly status: number;
  /** `WWW-Authenticate`; null when there was none. */
  readonly challenge: string | null;
  /** `DPoP-Nonce`; null when there was none. */
  readonly nonce: string | null;
  /** `Authorization` of the refused request; null when it bore none. */
  readonly presented: string | null;
  readonly tried: ReadonlySet<Remedy>;
}

/**
 * Our own credential at one upstream, for the one origin the operator named; never for any other. It outlives wires:
 * whoever made it ends it.
 */
export interface Credential {
  /** Header fields for one request, names and values alternating. A plain value when no waiting is needed. */
  headers(method: 'POST' | 'GET' | 'DELETE'): readonly string[] | Promise<readonly string[]>;
  /** What was done about a refusal; null: nothing can be, the refusal stands. Never throws for what others did. */
  refused(refusal: CredentialRefusal): Promise<Remedy | null>;
}
