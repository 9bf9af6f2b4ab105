/**
 * Seals what came from calls under the key of a subject, so that erasing the subject erases it here too. `aad` says
 * where the bytes belong and is needed to open them. `open` gives null when the key is gone or a byte was changed.
 */
export interface Vault {
  seal(tenant: string, subject: string, plaintext: Uint8Array, aad: string): Uint8Array | Promise<Uint8Array>;
  open(
    tenant: string,
    subject: string,
    sealed: Uint8Array,
    aad: string,
  ): Uint8Array | null | Promise<Uint8Array | null>;
}

export const APPROVAL_EVENTS = [
  'approval.requested',
  'approval.approved',
  'approval.denied',
  'approval.expired',
  'approval.consumed',
  'approval.settled',
] as const;

/** `subject` is the principal key the record is sealed under. `meta` names people and reasons, never an argument. */
export interface ApprovalEvent {
  readonly kind: (typeof APPROVAL_EVENTS)[number];
  readonly tenant: string;
  readonly subject?: string;
  readonly meta: Readonly<Record<string, unknown>>;
}

/** Takes one record; MUST resolve only when it is durable, and MUST reject when it is not. */
export interface Records {
  record(event: ApprovalEvent): Promise<unknown>;
}
