import { createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import { InternalError } from '../../core/internal-error.ts';

/** `superseded` and `cancelled` leave no row: a new request stands in their place and names them in its record. */
export const APPROVAL_STATES = [
  'pending',
  'approved',
  'denied',
  'expired',
  'consumed',
  'returned',
  'failed',
  'unknown',
] as const;
export type ApprovalState = (typeof APPROVAL_STATES)[number];

/** What the store holds of one request, beside two sealed rows (request, outcome). Times are ms UTC. */
export interface Header {
  readonly v: 1;
  readonly id: string;
  readonly tenant: string;
  /** Principal key of the requester: opaque; everything sealed is sealed under it. */
  readonly subject: string;
  readonly state: ApprovalState;
  /** The state that still counts while the audit record of the last edge is not durable; null: it is. */
  readonly was: ApprovalState | 'new' | null;
  /** When the last edge was taken. */
  readonly since: number;
  /** True once the caller has been told of a denial or an expiry. */
  readonly told: boolean;
  readonly rule: string;
  readonly quorum: number;
  /** `server/name` of the pinned target. */
  readonly target: string;
  readonly effect: string;
  readonly policy: string;
  readonly nonce: string;
  readonly viewDigest: string;
  /** The subject digest: what exactly is approved (binding.ts). */
  readonly digest: string;
  readonly askedAt: number;
  readonly decideBy: number;
  readonly endsAt: number;
  /** End of the execution window, once approved. */
  readonly runBy: number | null;
  readonly consumedAt: number | null;
  readonly settledAt: number | null;
  /** True when an outcome is kept for identical repeats. */
  readonly outcome: boolean;
  /** Sealed: who asked. Base64. */
  readonly asker: string;
  /** Sealed: the votes so far. Base64, '' before the first. */
  readonly votes: string;
}

/**
 * A row as bytes: `mac.json`. The MAC covers the place, so a row that was edited or moved by somebody who can
 * write to the store file is not believed.
 */
export function encodeHeader(key: SymmetricKey, place: string, header: Header): Uint8Array {
  const json = JSON.stringify(header);
  return Buffer.from(`${rowMac(key, place, json).toString('base64url')}.${json}`);
}

/**
 * The header and the key that made it.
 * @throws InternalError `approval.row_forged` when no live key made this row in this place
 */
export function decodeHeader(
  keys: KeyPairOf<SymmetricKey>,
  place: string,
  value: Uint8Array,
): { readonly header: Header; readonly key: SymmetricKey } {
  const text = Buffer.from(value).toString('utf8');
  const dot = text.indexOf('.');
  const json = text.slice(dot + 1);
  const given = Buffer.from(text.slice(0, Math.max(0, dot)), 'base64url');
  const key = keys.find((key) => {
    const made = key && rowMac(key, place, json);
    return made !== undefined && made.length === given.length && timingSafeEqual(made, given);
  });
  if (!key) {
    throw new InternalError('approval.row_forged', 'an approval row was not made by this gateway; look at the store', {
      kind: 'outage',
    });
  }
  return { header: JSON.parse(json) as Header, key };
}

function rowMac(key: SymmetricKey, place: string, json: string): Buffer {
  return createHmac('sha256', key.secret).update(`gatewrit approval row\n${place}\n${json}`).digest();
}
