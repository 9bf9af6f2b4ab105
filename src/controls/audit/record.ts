import { createHmac, hash } from 'node:crypto';
import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { SEAL_ALG, SEAL_OVERHEAD, type SealKey, sealInto } from '../../core/crypto/envelope.ts';
import { randomInto } from '../../core/ids.ts';
import { InternalError } from '../../core/internal-error.ts';
import { MAX_ENVELOPE_BYTES } from './frame.ts';

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
] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

export const SCHEMA_VERSION = 1;
/** r, the key of the commitment, stands before the plaintext inside the sealed part. */
export const R_BYTES = 32;
/** Free bytes before a plaintext that is to be sealed. */
export const ROOM_BYTES = 64;

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

export interface PartPlan {
  readonly name: PartName;
  readonly kid: string;
  readonly key: SealKey;
  /** 64 free bytes, then the plaintext. */
  readonly room: Buffer;
}

export interface RecordPlan {
  readonly origin: string;
  readonly kind: RecordKind;
  readonly id: string;
  /** ms UTC */
  readonly time: number;
  readonly refs: readonly number[];
  readonly parts: readonly PartPlan[];
}

export function partAad(origin: string, id: string, name: PartName): string {
  return `${origin}\n${SCHEMA_VERSION}\n${id}\n${name}`;
}

/** HMAC-SHA-256(r, plaintext) of an opened part (r ‖ plaintext), base64url. */
export function commitment(opening: Uint8Array): string {
  return createHmac('sha256', opening.subarray(0, R_BYTES)).update(opening.subarray(R_BYTES)).digest('base64url');
}

const outer = Buffer.alloc(64 + 32, 0x5c);
/** Records are sealed one after the other and copied into the journal at once: those of usual size need no memory. */
const rooms = Buffer.allocUnsafeSlow(16 * 1024);
const ciphertexts = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * Fills the room before a plaintext with fresh r and gives the commitment. The room first holds the padded block that
 * HMAC hashes before the plaintext (RFC 2104), then r: no copy of the plaintext, no Hmac object.
 */
function commit(room: Buffer): string {
  randomInto(room, 0, R_BYTES);
  for (let i = 0; i < R_BYTES; i++) {
    const byte = room[i]!;
    room[i] = byte ^ 0x36;
    room[R_BYTES + i] = 0x36;
    outer[i] = byte ^ 0x5c;
  }
  outer.write(hash('sha256', room, 'latin1'), 64, 32, 'latin1');
  for (let i = 0; i < R_BYTES; i++) room[ROOM_BYTES - R_BYTES + i] = room[i]! ^ 0x36;
  return hash('sha256', outer, 'base64url');
}

/** Free bytes, then the text; good until the next call. */
export function roomFor(text: string): Buffer {
  const most = ROOM_BYTES + 3 * text.length;
  const room = most <= rooms.length ? rooms : Buffer.allocUnsafe(most);
  return room.subarray(0, ROOM_BYTES + room.write(text, ROOM_BYTES, 'utf8'));
}

/**
 * The envelope's bytes: a template in the order of RFC 8785 stands for the canonicaliser, as every value in it is a
 * digest, a number or a word of ours (a test compares). What does not come out as it went in was no envelope of ours.
 */
export function envelopeText({ id, kind, parts, refs, t_ms, v }: Envelope): string {
  let list = '';
  for (const { alg, commit, ct_len, ct_sha256, kid, name } of parts) {
    list +=
      `${list === '' ? '' : ','}{"alg":"${alg}","commit":"${commit}","ct_len":${ct_len},` +
      `"ct_sha256":"${ct_sha256}","kid":"${kid}","name":"${name}"}`;
  }
  return `{"id":"${id}","kind":"${kind}","parts":[${list}],"refs":[${refs.join(',')}],"t_ms":${t_ms},"v":${v}}`;
}

/** Seals the parts of a record and writes its envelope. The parts are good until the next call. */
export function sealRecord(plan: RecordPlan): { envelope: Buffer; parts: Buffer[] } {
  const { id, kind, refs, origin } = plan;
  const sealed: Buffer[] = [];
  const parts: Envelope['parts'][number][] = [];
  let most = 0;
  for (const { room } of plan.parts) most += SEAL_OVERHEAD + room.length;
  const into = most <= ciphertexts.length ? ciphertexts : Buffer.allocUnsafe(most);
  let at = 0;
  for (const { name, kid, key, room } of plan.parts) {
    const committed = commit(room);
    const end = sealInto(into, at, key, room.subarray(ROOM_BYTES - R_BYTES), partAad(origin, id, name));
    const ciphertext = into.subarray(at, end);
    at = end;
    sealed.push(ciphertext);
    const ct_sha256 = sha256Base64Url(ciphertext);
    parts.push({ alg: SEAL_ALG, commit: committed, ct_len: ciphertext.length, ct_sha256, kid, name });
  }
  const envelope = Buffer.from(envelopeText({ id, kind, parts, refs, t_ms: plan.time, v: SCHEMA_VERSION }), 'latin1');
  if (envelope.length > MAX_ENVELOPE_BYTES)
    throw new InternalError('audit.envelope', `an envelope of ${envelope.length} bytes is too large`);
  return { envelope, parts: sealed };
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
