import { createHmac } from 'node:crypto';

/** What an envelope may say in clear of its record: nothing finer than this. */
export const RECORD_KINDS = [
  'intent',
  'outcome',
  'refusal',
  'refusals',
  'approval',
  'registry',
  'settings',
  'erasure',
  'keys',
  'operation',
  'recovery',
  'full',
  'retirement',
] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

export const SCHEMA_VERSION = 1;
/** r, the key of the commitment, stands before the plaintext inside the sealed part. */
export const R_BYTES = 32;
export const PART_NAMES = ['meta', 'payload'] as const;
export type PartName = (typeof PART_NAMES)[number];

/** The public envelope (audit.md 3.1): the leaf of the tree. Members stand in the order of RFC 8785. */
export interface Envelope {
  readonly id: string;
  readonly kind: RecordKind;
  readonly parts: readonly {
    readonly alg: string;
    /** HMAC-SHA-256(r, plaintext), base64url. */
    readonly commit: string;
    readonly ct_len: number;
    readonly ct_sha256: string;
    readonly kid: string;
    readonly name: PartName;
  }[];
  /** Earlier leaf indexes in the same tree. */
  readonly refs: readonly number[];
  readonly t_ms: number;
  readonly v: number;
}

export function partAad(origin: string, id: string, name: PartName): string {
  return `${origin}\n${SCHEMA_VERSION}\n${id}\n${name}`;
}

/** HMAC-SHA-256(r, plaintext) of an opened part (r ‖ plaintext), base64url. */
export function commitment(opening: Uint8Array): string {
  return createHmac('sha256', opening.subarray(0, R_BYTES)).update(opening.subarray(R_BYTES)).digest('base64url');
}

/**
 * The envelope's bytes: a template in the order of RFC 8785 stands for the canonicaliser, as every value in it is a
 * digest, a number or a word of ours (a test compares). What does not come out as it went in was no envelope of ours.
 */
export function envelopeText({ id, kind, parts, refs, t_ms, v }: Envelope): string {
  let list = '';
  for (const { alg, commit, ct_len, ct_sha256, kid, name } of parts) {
    const before = list === '' ? '' : `${list},`;
    list = before + partText(alg, commit, ct_len, ct_sha256, kid, name);
  }
  return enclose(id, kind, list, refs.join(','), String(t_ms), v);
}

/** The template in its two pieces, for who has the values but no object. */
export function partText(alg: string, commit: string, length: number, sha256: string, kid: string, name: string) {
  return `{"alg":"${alg}","commit":"${commit}","ct_len":${length},"ct_sha256":"${sha256}","kid":"${kid}","name":"${name}"}`;
}

export function enclose(id: string, kind: string, parts: string, refs: string, time: string, version: number) {
  return `{"id":"${id}","kind":"${kind}","parts":[${parts}],"refs":[${refs}],"t_ms":${time},"v":${version}}`;
}

/** Reads an attacker-controlled envelope; null when it is not of this form. Does not look at the ciphertexts. */
export function parseEnvelope(bytes: Buffer): Envelope | null {
  let raw: unknown;
  try {
    raw = JSON.parse(bytes.toString('utf8'));
  } catch {
    // What is no JSON is no envelope.
    return null;
  }
  const envelope = raw as Partial<Envelope> | null;
  const whole =
    typeof envelope === 'object' &&
    envelope !== null &&
    envelope.v === SCHEMA_VERSION &&
    typeof envelope.id === 'string' &&
    (RECORD_KINDS as readonly unknown[]).includes(envelope.kind) &&
    Number.isSafeInteger(envelope.t_ms) &&
    isListOf(envelope.refs, (ref) => Number.isSafeInteger(ref) && (ref as number) >= 0) &&
    isListOf(envelope.parts, isPart);
  return whole ? (envelope as Envelope) : null;
}

function isPart(value: unknown): boolean {
  const part = value as Envelope['parts'][number] | null;
  return (
    typeof part === 'object' &&
    part !== null &&
    (PART_NAMES as readonly unknown[]).includes(part.name) &&
    [part.alg, part.commit, part.ct_sha256, part.kid].every((text) => typeof text === 'string') &&
    Number.isSafeInteger(part.ct_len)
  );
}

function isListOf(value: unknown, good: (member: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(good);
}
