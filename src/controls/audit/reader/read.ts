import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type SealKey, unseal } from '../../../core/crypto/envelope.ts';
import { type KeyFolder, openSymmetricKeys } from '../../../core/crypto/keys.ts';
import type { Store } from '../../../core/store/store.ts';
import { commitment, type Envelope, parseEnvelope, partAad, R_BYTES } from '../format/envelope.ts';
import type { Frame } from '../format/frame.ts';
import { listSegments, SegmentReader } from '../format/segments.ts';
import { Keyring, keyAlias, type SegmentKey } from '../keys/keyring.ts';
import { decodePayload } from '../record/payload.ts';

/** A record as the operator with the keys sees it. */
export interface OpenRecord {
  readonly replica: string;
  /** Position in the journal, and leaf in the tenant's tree (what `refs` name). */
  readonly index: number;
  readonly leaf: number;
  readonly origin: string;
  readonly envelope: Envelope;
  /** Null when its key is gone or a byte was changed; `notes` says which. */
  readonly meta: Readonly<Record<string, unknown>> | null;
  readonly payload: ReadonlyMap<string, Buffer> | null;
  readonly notes: readonly string[];
}

interface Found {
  readonly replica: string;
  readonly leaf: number;
  readonly tag: string;
  readonly envelope: Envelope;
  readonly index: number;
  readonly parts: readonly Buffer[];
}

/** Reads records of a home with its keys. Works beside a running gateway; proves nothing: that is what verify does. */
export class LogReader {
  readonly #audit: string;
  readonly #deployment: string;
  readonly #keyring: Keyring;
  readonly #segments = new Map<string, SegmentKey | null>();

  private constructor(audit: string, deployment: string, keyring: Keyring) {
    this.#audit = audit;
    this.#deployment = deployment;
    this.#keyring = keyring;
  }

  static async open(options: { home: string; keys: KeyFolder; store: Store; deployment: string }): Promise<LogReader> {
    const keyring = await Keyring.open(options.store, openSymmetricKeys(options.keys, 'audit-kek'), Date.now());
    return new LogReader(join(options.home, 'audit'), options.deployment, keyring);
  }

  /** The record at a journal index of each replica. */
  async at(index: number): Promise<OpenRecord[]> {
    const records: OpenRecord[] = [];
    for (const found of this.#scan()) if (found.index === index) records.push(await this.#open(copyOf(found)));
    return records;
  }

  /** Every record of a call (its correlation id), or the record with this id. */
  async about(id: string): Promise<OpenRecord[]> {
    const records: OpenRecord[] = [];
    for (const found of this.#scan()) {
      const record = await this.#open(copyOf(found));
      if (record.envelope.id === id || record.meta?.['call'] === id) records.push(record);
    }
    return records;
  }

  /** The last records, oldest first. */
  async last(count: number): Promise<OpenRecord[]> {
    let tail: Found[] = [];
    for (const found of this.#scan()) {
      tail.push(copyOf(found));
      if (tail.length >= 2 * count) tail = tail.slice(-count);
    }
    return Promise.all(tail.slice(-count).map((found) => this.#open(found)));
  }

  *#scan(): Generator<Found> {
    for (const replica of existsSync(this.#audit) ? readdirSync(this.#audit).sort() : []) {
      const folder = join(this.#audit, replica, 'segments');
      for (const number of listSegments(folder).numbers) {
        const reader = new SegmentReader(folder, number);
        try {
          const counts = new Map(Object.entries(reader.header()?.header.trees ?? {}));
          for (let frame = reader.next(); frame; frame = reader.next()) {
            const tag = frame.tag.toString('hex');
            const leaf = counts.get(tag) ?? 0;
            counts.set(tag, leaf + 1);
            const envelope = parseEnvelope(frame.envelope);
            if (envelope) yield { replica, leaf, tag, envelope, index: frame.index, parts: frame.parts };
          }
        } finally {
          reader.close();
        }
      }
    }
  }

  async #open({ replica, leaf, tag, envelope, index, parts }: Found): Promise<OpenRecord> {
    const origin = `${this.#deployment}/${tag}/${replica}`;
    const notes: string[] = [];
    const openPart = (name: 'meta' | 'payload', key: SealKey | null): Buffer | null => {
      const at = envelope.parts.findIndex((part) => part.name === name);
      if (at < 0) return null;
      if (!key) {
        notes.push(`${name}: its key is gone`);
        return null;
      }
      const opening = unseal(key, parts[at] ?? Buffer.alloc(0), partAad(origin, envelope.id, name));
      if (opening && commitment(opening) === envelope.parts[at]!.commit) return opening.subarray(R_BYTES);
      notes.push(`${name}: it does not open: bytes were changed`);
      return null;
    };
    const segment = await this.#segmentKey(tag, envelope.parts[0]?.kid ?? '');
    const opened = openPart('meta', segment?.key ?? null);
    const meta = opened ? (JSON.parse(opened.toString()) as Record<string, unknown>) : null;
    const [row, kid] = String(meta?.['subject_key'] ?? '').split('/');
    const sealed = envelope.parts.find((part) => part.name === 'payload');
    let payload: Map<string, Buffer> | null = null;
    if (sealed && segment && row && kid && sealed.kid === keyAlias(segment, kid)) {
      const plaintext = openPart('payload', await this.#keyring.subjectByRow(tag, row, kid, Date.now()));
      payload = plaintext ? decodePayload(plaintext) : null;
    }
    return { replica, index, leaf, origin, envelope, meta, payload, notes };
  }

  async #segmentKey(tag: string, kid: string): Promise<SegmentKey | null> {
    const name = `${tag}/${kid}`;
    let key = this.#segments.get(name);
    if (key === undefined) {
      key = await this.#keyring.segmentKey(tag, kid, Date.now());
      this.#segments.set(name, key);
    }
    return key;
  }
}

/** The window of the segment reader moves on: what is kept is copied. */
function copyOf<F extends Pick<Frame, 'parts'>>(found: F): F {
  return { ...found, parts: found.parts.map((part) => Buffer.from(part)) };
}
