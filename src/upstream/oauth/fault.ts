/**
 * Why there is no credential for an upstream. `sign_in_needed`: a person has to; everything else is what an
 * authorization server or the upstream said, or what this gateway refuses to believe.
 */
export const OAUTH_FAULTS = [
  'sign_in_needed',
  'unreachable',
  'blocked',
  'metadata',
  'issuer_mismatch',
  'resource_mismatch',
  'pkce_unsupported',
  'no_client',
  'registration',
  'callback',
  'token_refused',
  'token_unbound',
  'scope',
  'settings',
] as const;
export type OAuthFaultCode = (typeof OAUTH_FAULTS)[number];

/** `evidence` is for the operator's log: never a token, a code, a secret, or text an authorization server chose. */
export class OAuthFault {
  readonly code: OAuthFaultCode;
  readonly evidence: string;
  constructor(code: OAuthFaultCode, evidence: string) {
    this.code = code;
    this.evidence = evidence;
  }
}

/** Carries a fault through a library that knows only exceptions. */
export class FaultThrown extends Error {
  readonly fault: OAuthFault;
  constructor(fault: OAuthFault) {
    super(fault.evidence);
    this.name = 'FaultThrown';
    this.fault = fault;
  }
}

/** The fault inside an exception or its causes; null when there is none. */
export function faultIn(error: unknown): OAuthFault | null {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if (at instanceof FaultThrown) return at.fault;
    if (at instanceof AggregateError) {
      for (const inner of at.errors) {
        const fault = faultIn(inner);
        if (fault) return fault;
      }
    }
  }
  return null;
}
