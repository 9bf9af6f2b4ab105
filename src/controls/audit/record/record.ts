import { hash } from 'node:crypto';
import { sha256Base64Url, sha256Into } from '../../../core/crypto/digest.ts';
import { SEAL_ALG, SEAL_OVERHEAD, type SealKey, sealInto } from '../../../core/crypto/envelope.ts';
import { randomInto } from '../../../core/ids.ts';
import { InternalError } from '../../../core/internal-error.ts';
import { type PartName, partAad, R_BYTES, RECORD_KINDS, type RecordKind, SCHEMA_VERSION } from '../format/envelope.ts';
import { type FrameSource, MAX_ENVELOPE_BYTES } from '../format/frame.ts';
import type { Plaintext } from './plaintext.ts';

/** Free bytes before a plaintext that is to be sealed. */
const ROOM_BYTES = 64;

const ID_CHARS = 36;
const DIGEST_CHARS = 43;

export interface PartPlan {
  readonly name: PartName;
  readonly kid: string;
  readonly key: SealKey;
  readonly plaintext: Plaintext;
}

export interface RecordPlan {
  readonly places: PartPlaces;
  readonly kind: RecordKind;
  readonly id: string;
  /** ms UTC */
  readonly time: number;
  readonly refs: readonly number[];
  readonly parts: readonly PartPlan[];
}

/** Where the parts of one log belong (`partAad`), without a string for each: only the id changes. */
export class PartPlaces {
  readonly #places: Readonly<Record<PartName, Buffer>>;
  readonly #idAt: number;

  constructor(origin: string) {
    const place = (name: PartName) => Buffer.from(partAad(origin, '-'.repeat(ID_CHARS), name));
    this.#places = { meta: place('meta'), payload: place('payload') };
    this.#idAt = Buffer.byteLength(partAad(origin, '', 'meta')) - '\nmeta'.length;
  }

  /** Good until the next call. */
  of(id: string, name: PartName): Buffer {
    const place = this.#places[name];
    place.write(id, this.#idAt, 'latin1');
    return place;
  }
}

const outer = Buffer.alloc(64 + 32, 0x5c);
/** Records are sealed one after the other: plaintexts of usual size need no memory of their own. */
const usualRoom = Buffer.allocUnsafeSlow(64 * 1024);

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
  sha256Into(room, outer, 64);
  for (let i = 0; i < R_BYTES; i++) room[ROOM_BYTES - R_BYTES + i] = room[i]! ^ 0x36;
  return hash('sha256', outer, 'base64url');
}

/** The same template in the pieces that stand between its values. */
const ID = '{"id":"';
const KINDS = Object.fromEntries(RECORD_KINDS.map((kind) => [kind, `","kind":"${kind}","parts":[`])) as Record<
  RecordKind,
  string
>;
const COMMIT = `{"alg":"${SEAL_ALG}","commit":"`;
const CT_LEN = '","ct_len":';
const CT_SHA256 = ',"ct_sha256":"';
const KID = '","kid":"';
const NAMES = { meta: '","name":"meta"}', payload: '","name":"payload"}' } as const satisfies Record<PartName, string>;
const REFS = '],"refs":[';
const TIME = '],"t_ms":';
const END = `,"v":${SCHEMA_VERSION}}`;
const PART_CHARS = COMMIT.length + DIGEST_CHARS + CT_LEN.length + CT_SHA256.length + DIGEST_CHARS + KID.length;

/**
 * A record that has its id and its length and is sealed where it will stand, when it is written: nothing of it is copied,
 * and records of one group are sealed one after the other, with everything they need at hand.
 */
export class Draft implements FrameSource {
  readonly envelopeLength: number;
  readonly partLengths: readonly number[];
  readonly #plan: RecordPlan;
  readonly #refs: string;
  readonly #time: string;

  /** @throws InternalError `audit.envelope` when it would be too large */
  constructor(plan: RecordPlan) {
    const { kind, refs, parts } = plan;
    this.#plan = plan;
    this.#refs = refs.length === 1 ? String(refs[0]) : refs.join(',');
    this.#time = String(plan.time);
    const lengths: number[] = [];
    let length = ID.length + ID_CHARS + KINDS[kind].length + parts.length - 1;
    for (const { name, kid, plaintext } of parts) {
      const sealed = SEAL_OVERHEAD + R_BYTES + plaintext.length;
      lengths.push(sealed);
      length += PART_CHARS + digitsOf(sealed) + kid.length + NAMES[name].length;
    }
    length += REFS.length + this.#refs.length + TIME.length + this.#time.length + END.length;
    if (length > MAX_ENVELOPE_BYTES)
      throw new InternalError('audit.envelope', `an envelope of ${length} bytes is too large`);
    this.envelopeLength = length;
    this.partLengths = lengths;
  }

  writeInto(into: Buffer, at: number): void {
    const { id, kind, parts, places } = this.#plan;
    let sealedAt = at + this.envelopeLength;
    let place = write(into, at, ID);
    place = write(into, place, id);
    place = write(into, place, KINDS[kind]);
    for (let i = 0; i < parts.length; i++) {
      const { name, kid, key, plaintext } = parts[i]!;
      const room = roomFor(plaintext);
      const committed = commit(room);
      const end = sealInto(into, sealedAt, key, room.subarray(ROOM_BYTES - R_BYTES), places.of(id, name));
      if (i > 0) place = write(into, place, ',');
      place = write(into, place, COMMIT);
      place = write(into, place, committed);
      place = write(into, place, CT_LEN);
      place = write(into, place, String(end - sealedAt));
      place = write(into, place, CT_SHA256);
      place = write(into, place, sha256Base64Url(into.subarray(sealedAt, end)));
      place = write(into, place, KID);
      place = write(into, place, kid);
      place = write(into, place, NAMES[name]);
      sealedAt = end;
    }
    place = write(into, place, REFS);
    place = write(into, place, this.#refs);
    place = write(into, place, TIME);
    place = write(into, place, this.#time);
    place = write(into, place, END);
    // What was promised is what is there, or the frame around it would be torn.
    if (place !== at + this.envelopeLength || sealedAt !== place + sum(this.partLengths))
      throw new InternalError('audit.envelope', 'a record did not come out as long as it was planned');
  }
}

function write(into: Buffer, at: number, text: string): number {
  return at + into.write(text, at, 'latin1');
}

/** Free bytes, then the plaintext; good until the next call. */
function roomFor(plaintext: Plaintext): Buffer {
  const length = ROOM_BYTES + plaintext.length;
  const room = length <= usualRoom.length ? usualRoom.subarray(0, length) : Buffer.allocUnsafe(length);
  // The room is used again and again: what is not written now is of another record.
  if (plaintext.writeInto(room, ROOM_BYTES) !== length)
    throw new InternalError('audit.plaintext', 'a part of a record did not come out as long as it was planned');
  return room;
}

function digitsOf(count: number): number {
  let digits = 1;
  for (let bound = 10; count >= bound; bound *= 10) digits++;
  return digits;
}

function sum(numbers: readonly number[]): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
