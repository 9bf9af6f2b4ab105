import { hash } from 'node:crypto';
import { sha256Base64Url, sha256Into } from '../../../core/crypto/digest.ts';
import { SEAL_ALG, SEAL_OVERHEAD, type SealKey, sealInto } from '../../../core/crypto/envelope.ts';
import { randomInto } from '../../../core/ids.ts';
import { InternalError } from '../../../core/internal-error.ts';
import {
  enclose,
  type PartName,
  partAad,
  partText,
  R_BYTES,
  type RecordKind,
  SCHEMA_VERSION,
} from '../format/envelope.ts';
import { type FrameSource, frameLength, MAX_ENVELOPE_BYTES, MAX_FRAME_BYTES } from '../format/frame.ts';
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

/** What an envelope says of its record beside its parts. */
export interface Heading {
  readonly kind: RecordKind;
  /** ms UTC */
  readonly time: number;
  readonly refs: readonly number[];
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

/** What the template of an envelope needs beside the values in it. */
const RECORD_CHARS = enclose('', '', '', '', '', SCHEMA_VERSION).length;
const PART_CHARS = partText(SEAL_ALG, '', 0, '', '', '').length - 1 + 2 * DIGEST_CHARS;

/**
 * A record that has its id and its length and is sealed where it will stand, when it is written: nothing of it is copied,
 * and records of one group are sealed one after the other, with everything they need at hand.
 */
export class Draft implements FrameSource {
  readonly envelopeLength: number;
  readonly partLengths: readonly number[];
  readonly #places: PartPlaces;
  readonly #id: string;
  readonly #kind: RecordKind;
  readonly #refs: string;
  readonly #time: string;
  readonly #parts: readonly PartPlan[];

  /** @throws InternalError `audit.envelope` or `audit.record_too_large` when it would be too large */
  constructor(places: PartPlaces, id: string, heading: Heading, parts: readonly PartPlan[]) {
    const { kind, time, refs } = heading;
    this.#places = places;
    this.#id = id;
    this.#kind = kind;
    this.#refs = refs.length === 0 ? '' : refs.length === 1 ? String(refs[0]) : refs.join(',');
    this.#time = String(time);
    this.#parts = parts;
    const lengths: number[] = [];
    let length = RECORD_CHARS + ID_CHARS + kind.length + parts.length - 1 + this.#refs.length + this.#time.length;
    for (const { name, kid, plaintext } of parts) {
      const sealed = SEAL_OVERHEAD + R_BYTES + plaintext.length;
      lengths.push(sealed);
      length += PART_CHARS + digitsOf(sealed) + kid.length + name.length;
    }
    if (length > MAX_ENVELOPE_BYTES)
      throw new InternalError('audit.envelope', `an envelope of ${length} bytes is too large`);
    this.envelopeLength = length;
    this.partLengths = lengths;
    // No reader takes such a record, nor anything behind it: written once, the log would never open again.
    const whole = frameLength(this);
    if (whole > MAX_FRAME_BYTES)
      throw new InternalError(
        'audit.record_too_large',
        `no record holds ${whole} bytes; the limit is ${MAX_FRAME_BYTES}`,
      );
  }

  writeInto(into: Buffer, at: number): void {
    const places = this.#places;
    const id = this.#id;
    const parts = this.#parts;
    let sealedAt = at + this.envelopeLength;
    let list = '';
    for (let i = 0; i < parts.length; i++) {
      const { name, kid, key, plaintext } = parts[i]!;
      const room = roomFor(plaintext);
      const committed = commit(room);
      const end = sealInto(into, sealedAt, key, room.subarray(ROOM_BYTES - R_BYTES), places.of(id, name));
      const digest = sha256Base64Url(into.subarray(sealedAt, end));
      if (i > 0) list += ',';
      list += partText(SEAL_ALG, committed, end - sealedAt, digest, kid, name);
      sealedAt = end;
    }
    // In one write: each of its own costs more than all the values together.
    const written = into.write(enclose(id, this.#kind, list, this.#refs, this.#time, SCHEMA_VERSION), at, 'latin1');
    // What was promised is what is there, or the frame around it would be torn.
    if (written !== this.envelopeLength || sealedAt !== at + written + sum(this.partLengths))
      throw new InternalError('audit.envelope', 'a record did not come out as long as it was planned');
  }
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
