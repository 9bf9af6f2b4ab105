/** Why a log could not be read at all; what is wrong *in* a log is a finding, never this. */
export const VERIFIER_ERRORS = ['unreadable', 'unreachable', 'key'] as const;
export type VerifierErrorCode = (typeof VERIFIER_ERRORS)[number];

/**
 * The one error the verifier throws. `unreadable`: there is no log, or the system refused to read it; `unreachable`: a
 * server did not answer, or not as a web server does; `key`: no public key to verify with. `message` is a sentence.
 */
export class VerifierError extends Error {
  readonly code: VerifierErrorCode;

  constructor(code: VerifierErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'VerifierError';
    this.code = code;
  }
}
