/**
 * A key management service: its master key wraps ours and never leaves it. Asked at the start and when the KEK is
 * rotated, never on the way of a call.
 */
export interface Kms {
  /**
   * @param secret 32 bytes
   * @param context where it belongs; the same is needed to unwrap
   * @returns what the service made of it, without a blank; it names the version of the master key itself
   * @throws InternalError `audit.kms` when the service cannot be asked or refuses
   */
  wrap(secret: Uint8Array, context: string): Promise<string>;
  /** @throws InternalError `audit.kms`, for bytes that are not its own too */
  unwrap(wrapped: string, context: string): Promise<Uint8Array>;
}
