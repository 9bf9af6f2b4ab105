/** Where an internal error came from: our own bug, a dependency that failed, or settings nobody could run with. */
export const INTERNAL_ERROR_KINDS = ['bug', 'outage', 'settings'] as const;
export type InternalErrorKind = (typeof INTERNAL_ERROR_KINDS)[number];

/**
 * The one thrown error. Expected outcomes are returned as refusals; whatever is thrown inside the pipeline
 * ends as a refusal to the caller (fail shut) and as this, with its cause, in the operator's log.
 */
export class InternalError extends Error {
  readonly code: string;
  readonly kind: InternalErrorKind;

  /**
   * @param code stable word, `control.what_happened`, e.g. `audit.fsync_failed`
   * @param message what happened and what to do next, in one sentence for an operator
   */
  constructor(code: string, message: string, options: { kind?: InternalErrorKind; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'InternalError';
    this.code = code;
    this.kind = options.kind ?? 'bug';
  }
}

/** Settings that cannot be run with: start-up ends with exit code 2 and this sentence. */
export class SettingsError extends InternalError {
  constructor(message: string, cause?: unknown) {
    super('settings.invalid', message, { kind: 'settings', cause });
    this.name = 'SettingsError';
  }
}
