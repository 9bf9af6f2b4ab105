import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { sha256 } from '../../../core/crypto/digest.ts';
import { type SealKey, unseal } from '../../../core/crypto/envelope.ts';
import type { KeyFolder } from '../../../core/crypto/keys.ts';
import { parseCheckpoint } from '../../../core/crypto/signed-note.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Store } from '../../../core/store/store.ts';
import { commitment, type Envelope, type PartName, parseEnvelope, partAad, R_BYTES } from '../format/envelope.ts';
import type { Frame } from '../format/frame.ts';
import { listSegments } from '../format/segments.ts';
import { kekSource } from '../keys/kek.ts';
import { Keyring, keyAlias, type SegmentKey } from '../keys/keyring.ts';
import { decodePayload } from '../record/payload.ts';
import { beginningOf, type FrameAt, frameAt, JournalCursor, type Place, segmentOf } from './cursor.ts';

/** A record as the operator with the keys sees it. */
export interface OpenRecord {
  readonly replica: string;
  /** Position in the journal, and leaf in the tenant's tree (what `refs` name). */
  readonly index: number;
  readonly leaf: number;
  readonly origin: string;
  /** RFC 6962 hash of the leaf, 32 bytes. */
  readonly leafHash: Buffer;
  readonly envelope: Envelope;
  /** Null when its key is gone or a byte was changed; `notes` says which. */
  readonly meta: Readonly<Record<string, unknown>> | null;
  readonly payload: ReadonlyMap<string, Buffer> | null;
  /** What a disclosure of this record hands out: r ‖ plaintext of each part that opened. */
  readonly openings: ReadonlyMap<PartName, Buffer>;
  readonly notes: readonly string[];
}

/** Where a record stands: what finds it again without a search. */
export interface RecordPlace {
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
  readonly leaf: number;
}

export interface FollowOptions {
  readonly payload?: boolean;
  readonly only?: (envelope: Envelope) => boolean;
}

export type FollowedRecord = OpenRecord & { readonly at: RecordPlace };

/** Followers run in the process that serves calls: after this many ms calls have their turn. */
const SLICE_MS = 2;
/** Places kept of each replica: as many followers may ask again and again without a search. */
const PLACES = 16;
const SEGMENT_KEYS = 1_000;

/** Reads records of a home with its keys. Works beside a running gateway; proves nothing: that is what verify does. */
export class LogReader {
  readonly #audit: string;
  readonly #deployment: string;
  readonly #keyring: Keyring;
  readonly #segments = new Map<string, SegmentKey | null>();
  readonly #places = new Map<string, Place[]>();

  private constructor(audit: string, deployment: string, keyring: Keyring) {
    this.#audit = audit;
    this.#deployment = deployment;
    this.#keyring = keyring;
  }

  static async open(options: { home: string; keys: KeyFolder; store: Store; deployment: string }): Promise<LogReader> {
    const keks = await kekSource({ keys: options.keys, store: options.store }).open(Date.now());
    const keyring = await Keyring.open(options.store, keks, Date.now());
    return LogReader.over({ ...options, keyring });
  }

  /** For a process that has the keys open already. */
  static over({ home, deployment, keyring }: { home: string; deployment: string; keyring: Keyring }): LogReader {
    return new LogReader(join(home, 'audit'), deployment, keyring);
  }

  get deployment(): string {
    return this.#deployment;
  }

  /** A key for what is derived from the log (an index, say). 32 bytes. */
  derive(purpose: string): Buffer {
    return this.#keyring.derive(purpose);
  }

  /** Names of the replicas that have a journal here. */
  replicas(): string[] {
    if (!existsSync(this.#audit)) return [];
    return readdirSync(this.#audit)
      .filter((name) => existsSync(this.#folder(name)))
      .sort();
  }

  /** How many records of a replica are signed, and therefore durable: what `follow` gives. */
  durable(replica: string): number {
    const path = join(this.#audit, replica, 'journal', 'checkpoint');
    if (!existsSync(path)) return 0;
    const note = readFileSync(path, 'utf8');
    return parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))?.size ?? 0;
  }

  /**
   * Every durable record of a replica from a journal index on, in order; ends at the end of what is signed now: ask again
   * later. `payload` is left closed unless asked for; what `only` does not want is read, but not opened. Constant memory; lets other work of the process go on between.
   * @throws InternalError `audit.unreadable` at a record that is not there whole: nothing is left out
   */
  async *follow(replica: string, from: number, options: FollowOptions = {}): AsyncGenerator<FollowedRecord> {
    const to = this.durable(replica);
    if (from >= to) return;
    const place = this.#placeBefore(replica, from);
    if (!place) throw unreadable(replica, from);
    const cursor = new JournalCursor(this.#folder(replica), place);
    let began = performance.now();
    try {
      while (cursor.index < to) {
        const at = cursor.next();
        if (!at) throw unreadable(replica, cursor.index);
        if (at.index >= from) {
          const frame = cursor.frame(at);
          const envelope = frame && parseEnvelope(frame.envelope);
          if (!envelope) throw unreadable(replica, at.index);
          if (options.only?.(envelope) !== false)
            yield { ...(await this.#open(replica, at, frame, envelope, options.payload === true)), at };
        }
        if (performance.now() - began > SLICE_MS) {
          await breathe();
          began = performance.now();
        }
      }
    } finally {
      this.#remember(replica, cursor.place());
      cursor.close();
    }
  }

  /** The record at a journal index of each replica, or of one. */
  async at(index: number, replica?: string): Promise<OpenRecord[]> {
    const records: OpenRecord[] = [];
    for (const name of replica === undefined ? this.replicas() : [replica]) {
      const place = this.#placeBefore(name, index);
      const cursor = place && new JournalCursor(this.#folder(name), place);
      if (!cursor) continue;
      try {
        let at = cursor.next();
        while (at && at.index < index) at = cursor.next();
        const record = at && (await this.#read(name, cursor, at, true));
        if (record) records.push(record);
      } finally {
        cursor.close();
      }
    }
    return records;
  }

  /** The record at a place that is known; null when another record, or none, stands there. */
  async atPlace(replica: string, index: number, place: RecordPlace): Promise<OpenRecord | null> {
    const frame = frameAt(this.#folder(replica), place);
    const envelope = frame?.index === index ? parseEnvelope(frame.envelope) : null;
    if (!frame || !envelope) return null;
    return this.#open(replica, { leaf: place.leaf, tag: frame.tag.toString('hex') }, frame, envelope, true);
  }

  /** Every record of a call (its correlation id), or the record with this id. Reads the whole log. */
  async about(id: string): Promise<OpenRecord[]> {
    const records: OpenRecord[] = [];
    for (const replica of this.replicas())
      for await (const record of this.#all(replica))
        if (record.envelope.id === id || record.meta?.['call'] === id) records.push(record);
    return records;
  }

  /** The last records by time, oldest first. Reads from the end. */
  async last(count: number): Promise<OpenRecord[]> {
    const records: OpenRecord[] = [];
    for (const replica of this.replicas()) {
      for (const at of this.#lastFrames(replica, count).reverse()) {
        const record = await this.atPlace(replica, at.index, at);
        if (record) records.push(record);
      }
    }
    // Stable: records of one replica stay in the order of its journal unless its clock went back.
    return records.sort((a, b) => a.envelope.t_ms - b.envelope.t_ms).slice(-count);
  }

  /** Frames of the last records of a replica, newest first. */
  #lastFrames(replica: string, count: number): FrameAt[] {
    let frames: FrameAt[] = [];
    for (const segment of listSegments(this.#folder(replica)).numbers.reverse()) {
      if (frames.length >= count) break;
      const begin = beginningOf(this.#folder(replica), segment);
      if (!begin) continue;
      const cursor = new JournalCursor(this.#folder(replica), begin);
      const ring: FrameAt[] = [];
      const wanted = count - frames.length;
      try {
        for (let at = cursor.next(); at?.segment === segment; at = cursor.next()) {
          ring.push(at);
          if (ring.length >= 2 * wanted) ring.splice(0, ring.length - wanted);
        }
      } finally {
        cursor.close();
      }
      frames = frames.concat(ring.slice(-wanted).reverse());
    }
    return frames;
  }

  /** Whatever is there whole, signed or not. */
  async *#all(replica: string): AsyncGenerator<OpenRecord> {
    for (const segment of listSegments(this.#folder(replica)).numbers) {
      const begin = beginningOf(this.#folder(replica), segment);
      if (!begin) continue;
      const cursor = new JournalCursor(this.#folder(replica), begin);
      try {
        for (let at = cursor.next(); at?.segment === segment; at = cursor.next()) {
          const record = await this.#read(replica, cursor, at, true);
          if (record) yield record;
        }
      } finally {
        cursor.close();
      }
    }
  }

  async #read(replica: string, cursor: JournalCursor, at: FrameAt, payload: boolean): Promise<OpenRecord | null> {
    const frame = cursor.frame(at);
    const envelope = frame && parseEnvelope(frame.envelope);
    return envelope ? this.#open(replica, at, frame, envelope, payload) : null;
  }

  async #open(
    replica: string,
    { leaf, tag }: Pick<FrameAt, 'leaf' | 'tag'>,
    frame: Frame,
    envelope: Envelope,
    withPayload: boolean,
  ): Promise<OpenRecord> {
    const { index, parts } = frame;
    const leafHash = sha256(frame.leaf);
    const origin = `${this.#deployment}/${tag}/${replica}`;
    const notes: string[] = [];
    const openings = new Map<PartName, Buffer>();
    const openPart = (name: PartName, key: SealKey | null): Buffer | null => {
      const at = envelope.parts.findIndex((part) => part.name === name);
      if (at < 0) return null;
      if (!key) {
        notes.push(`${name}: its key is gone`);
        return null;
      }
      const opening = unseal(key, parts[at] ?? Buffer.alloc(0), partAad(origin, envelope.id, name));
      if (opening && commitment(opening) === envelope.parts[at]!.commit) {
        openings.set(name, opening);
        return opening.subarray(R_BYTES);
      }
      notes.push(`${name}: it does not open: bytes were changed`);
      return null;
    };
    const kid = envelope.parts[0]?.kid ?? '';
    const segment = this.#segments.get(`${tag}/${kid}`) ?? (await this.#segmentKey(tag, kid));
    const meta = metaOf(openPart('meta', segment?.key ?? null), notes);
    const sealed = envelope.parts.find((part) => part.name === 'payload');
    let payload: Map<string, Buffer> | null = null;
    if (withPayload && sealed) {
      const [row, subjectKid] = String(meta?.['subject_key'] ?? '').split('/');
      if (segment && row && subjectKid && sealed.kid === keyAlias(segment, subjectKid)) {
        const plaintext = openPart('payload', await this.#keyring.subjectByRow(tag, row, subjectKid, Date.now()));
        payload = plaintext && itemsOf(plaintext, notes);
      } else notes.push('payload: whose key it is sealed under is not known');
    }
    return { replica, index, leaf, origin, leafHash, envelope, meta, payload, openings, notes };
  }

  async #segmentKey(tag: string, kid: string): Promise<SegmentKey | null> {
    const name = `${tag}/${kid}`;
    let key = this.#segments.get(name);
    if (key === undefined) {
      key = await this.#keyring.segmentKey(tag, kid, Date.now());
      if (this.#segments.size >= SEGMENT_KEYS) this.#segments.delete(this.#segments.keys().next().value!);
      this.#segments.set(name, key);
    }
    return key;
  }

  #placeBefore(replica: string, index: number): Place | null {
    let best: Place | null = null;
    for (const place of this.#places.get(replica) ?? [])
      if (place.index <= index && (!best || place.index > best.index)) best = place;
    return best ?? segmentOf(this.#folder(replica), index);
  }

  #remember(replica: string, place: Place): void {
    const places = (this.#places.get(replica) ?? []).filter((one) => one.index !== place.index);
    this.#places.set(replica, [place, ...places].slice(0, PLACES));
  }

  #folder(replica: string): string {
    return join(this.#audit, replica, 'segments');
  }
}

/** Sealed by us, but read with care: who has the keys of a test home may have written anything. */
function metaOf(opened: Buffer | null, notes: string[]): Readonly<Record<string, unknown>> | null {
  if (!opened) return null;
  try {
    const meta: unknown = JSON.parse(opened.toString());
    if (typeof meta === 'object' && meta !== null && !Array.isArray(meta)) return meta as Record<string, unknown>;
  } catch {
    // Said below: what is no JSON is no meta.
  }
  notes.push('meta: it opens, but is no JSON object');
  return null;
}

function itemsOf(plaintext: Buffer, notes: string[]): Map<string, Buffer> | null {
  try {
    return decodePayload(plaintext);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    notes.push('payload: it opens, but its items are cut');
    return null;
  }
}

function unreadable(replica: string, index: number): InternalError {
  return new InternalError(
    'audit.unreadable',
    `record ${index} of ${replica} is not there whole, or records before it are missing: run audit verify`,
    { kind: 'outage' },
  );
}
