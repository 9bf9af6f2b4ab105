import { createHmac, randomBytes } from 'node:crypto';
import { sha256 } from '../../../core/crypto/digest.ts';
import { deriveKey, type SealKey, seal, sealKey, unseal } from '../../../core/crypto/envelope.ts';
import type { KeyPairOf, SymmetricKey } from '../../../core/crypto/keys.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { ListedRow, Row, Store } from '../../../core/store/store.ts';
import { TAG_BYTES } from '../format/frame.ts';

/** Wrapped keys stand in this table: mutable, outside the log, outside WORM (audit.md 3.2). */
export const KEY_TABLE = 'audit_keys';
const TABLE = KEY_TABLE;
export const INDEX_ROW = 'deployment/index';
const CACHED_SUBJECTS = 10_000;
const PAGE_ROWS = 500;
/** Each is a write to the disk; between them calls have their turn. */
const ROWS_AT_ONCE = 4;
/** A key that another process erased is used here no longer than this, ms. */
const CACHED_FOR_MS = 60_000;

export interface SegmentKey {
  readonly kid: string;
  readonly key: SealKey;
  readonly secret: Buffer;
}

export class SubjectKey {
  readonly kid: string;
  /** Row of the key; says nothing of the subject to who lacks the index key. */
  readonly row: string;
  /** `row/kid`: how the sealed meta part names it, so that a reader with the keys finds it again. */
  readonly name: string;
  readonly key: SealKey;
  readonly until: number;
  #segment = '';
  #alias = '';

  constructor(fields: { kid: string; row: string; key: SealKey; until: number }) {
    this.kid = fields.kid;
    this.row = fields.row;
    this.name = `${fields.row}/${fields.kid}`;
    this.key = fields.key;
    this.until = fields.until;
  }

  /** The name of this key in envelopes of one segment: a lasting one would link all calls of a person in public. */
  alias(segment: SegmentKey): string {
    if (this.#segment !== segment.kid) {
      this.#segment = segment.kid;
      this.#alias = keyAlias(segment, this.kid);
    }
    return this.#alias;
  }
}

/** Every row of the key table, in pages. */
async function* pagesOf(store: Store, now: number): AsyncGenerator<readonly ListedRow[]> {
  for (let after: string | undefined; ; ) {
    const rows = await store.list(TABLE, { prefix: '', limit: PAGE_ROWS, ...(after ? { after } : {}), now });
    yield rows;
    after = rows.at(-1)?.key;
    if (rows.length < PAGE_ROWS) return;
  }
}

/** The KEK a stored key says it is wrapped under. */
function kekOf(row: Row): string {
  return String((JSON.parse(Buffer.from(row.value).toString()) as { kek?: unknown }).kek);
}

/** How many stored keys are wrapped under another KEK than this one. Needs no key. */
export async function countNotUnder(store: Store, kid: string, now: number): Promise<number> {
  let count = 0;
  for await (const rows of pagesOf(store, now)) for (const row of rows) if (kekOf(row) !== kid) count++;
  return count;
}

export function keyAlias(segment: SegmentKey, kid: string): string {
  return createHmac('sha256', segment.secret).update(`kid\n${kid}`).digest('base64url').slice(0, 22);
}

/** Names a tenant's tree without naming the tenant (who knows both names can recompute it). */
export function tenantTag(deployment: string, tenant: string): Buffer {
  const tag = Buffer.alloc(TAG_BYTES);
  sha256(`gatewrit tenant\0${deployment}\0${tenant}`).copy(tag);
  return tag;
}

/** KEK → tenant key → segment keys and subject keys, kept wrapped in the store. */
export class Keyring {
  readonly #store: Store;
  /** The current one first; behind it whatever may still be needed to unwrap. */
  #keks: readonly SymmetricKey[];
  #live: readonly SymmetricKey[];
  readonly #index: Buffer;
  readonly #wrapping = new Map<string, SealKey>();
  readonly #subjects = new Map<string, SubjectKey>();
  readonly #loading = new Map<string, Promise<SubjectKey | null>>();
  /** How often a subject was erased here: what was read before is not kept. */
  #erasures = 0;

  private constructor(store: Store, keks: readonly SymmetricKey[], index: Buffer) {
    this.#store = store;
    this.#keks = keks;
    this.#live = keks;
    this.#index = index;
  }

  /** The index key outlives every KEK: subjects must be found again to be erased. */
  static async open(store: Store, keks: KeyPairOf<SymmetricKey>, now: number): Promise<Keyring> {
    const list = keks.filter((kek) => kek !== undefined);
    const ring = new Keyring(store, list, Buffer.alloc(0));
    let row = await store.get(TABLE, INDEX_ROW, now);
    if (!row) {
      const fresh = ring.#wrap('', INDEX_ROW, 'index', randomBytes(32));
      await store.set(TABLE, INDEX_ROW, fresh, { expect: 0, expiresAt: null, now });
      row = await store.get(TABLE, INDEX_ROW, now);
    }
    if (!row) throw new InternalError('audit.keys', 'the key table does not keep what is written', { kind: 'outage' });
    return new Keyring(store, list, ring.#unwrap('', INDEX_ROW, row).secret);
  }

  get kek(): string {
    return this.#keks[0]!.kid;
  }

  /**
   * From now on keys are wrapped under the first of `keks`. Those of before still unwrap, until `rewrap` has left nothing
   * under them: another process may have wrapped under one a moment ago.
   */
  replaceKeks(keks: KeyPairOf<SymmetricKey>): void {
    const list = keks.filter((kek) => kek !== undefined);
    const before = this.#keks.filter(({ kid }) => !list.some((kek) => kek.kid === kid));
    this.#live = list;
    this.#keks = [...list, ...before];
    this.#wrapping.clear();
  }

  /**
   * Wraps every stored key anew under the current KEK. The index key comes last: while it stands under another, somebody
   * is not done. Then the KEKs that are no longer live are forgotten.
   * @param pause awaited after a few rows, so that calls go on beside; what it throws ends the run
   * @returns how many
   */
  async rewrap(utc: () => number, pause: () => Promise<void> = async () => undefined): Promise<number> {
    const live = this.#live;
    let count = 0;
    for (let pass = -1; pass !== 0; count += pass) pass = await this.#rewrapOnce(utc, pause);
    const index = await this.#store.get(TABLE, INDEX_ROW, utc());
    if (index && (await this.#rewrapRow({ key: INDEX_ROW, ...index }, utc()))) count++;
    if (live === this.#live) this.#keks = live;
    return count;
  }

  async #rewrapOnce(utc: () => number, pause: () => Promise<void>): Promise<number> {
    let count = 0;
    for await (const rows of pagesOf(this.#store, utc())) {
      await pause();
      for (const row of rows) {
        if (row.key === INDEX_ROW || !(await this.#rewrapRow(row, utc()))) continue;
        if (++count % ROWS_AT_ONCE === 0) await pause();
      }
    }
    return count;
  }

  /** False: it was under the current KEK already, or somebody else wrapped or erased it meanwhile. */
  async #rewrapRow(row: ListedRow, now: number): Promise<boolean> {
    if (kekOf(row) === this.kek) return false;
    const tag = row.key === INDEX_ROW ? '' : row.key.slice(0, row.key.indexOf('/'));
    const { kid, secret } = this.#unwrap(tag, row.key, row);
    const value = this.#wrap(tag, row.key, kid, secret);
    return (await this.#store.set(TABLE, row.key, value, { expect: row.version, expiresAt: null, now })) !== null;
  }

  /** A new key for the `meta` parts of one tenant in one segment, durable before it is used. */
  async newSegmentKey(tag: string, now: number): Promise<SegmentKey> {
    const kid = randomBytes(16).toString('base64url');
    const secret = randomBytes(32);
    const row = `${tag}/segment/${kid}`;
    const value = this.#wrap(tag, row, kid, secret);
    const version = await this.#store.set(TABLE, row, value, { expect: 0, expiresAt: null, now });
    if (version === null) throw new InternalError('audit.keys', 'a fresh key id was taken already');
    return { kid, key: sealKey(secret), secret };
  }

  async segmentKey(tag: string, kid: string, now: number): Promise<SegmentKey | null> {
    const row = `${tag}/segment/${kid}`;
    const found = await this.#store.get(TABLE, row, now);
    if (!found) return null;
    const { secret } = this.#unwrap(tag, row, found);
    return { kid, key: sealKey(secret), secret };
  }

  /** The key of a subject when it is at hand: no promise on the hot path. */
  cachedSubject(tag: string, subject: string, now: number): SubjectKey | null {
    const cacheKey = `${tag}/${subject}`;
    const key = this.#subjects.get(cacheKey);
    // Neither when it is old, nor when the clock was set back behind the time it was read at.
    if (!key || now >= key.until || now < key.until - CACHED_FOR_MS) return null;
    return key;
  }

  /** The key of a subject; null when there is none and none shall be made. */
  subject(tag: string, subject: string, now: number, create: boolean): Promise<SubjectKey | null> {
    const cacheKey = `${tag}/${subject}`;
    const flight = `${create}/${cacheKey}`;
    const running = this.#loading.get(flight);
    if (running) return running;
    const loading = this.#loadSubject(tag, subject, now, create).finally(() => this.#loading.delete(flight));
    this.#loading.set(flight, loading);
    return loading;
  }

  /** A subject key by its row, for reading records. */
  async subjectByRow(tag: string, row: string, kid: string, now: number): Promise<SealKey | null> {
    const found = await this.#store.get(TABLE, `${tag}/subject/${row}`, now);
    if (!found) return null;
    const unwrapped = this.#unwrap(tag, `${tag}/subject/${row}`, found);
    return unwrapped.kid === kid ? sealKey(unwrapped.secret) : null;
  }

  /** Deletes the key of a subject: whatever was sealed under it is gone. Returns its name (`row/kid`, as records bear it), or null when there was none. */
  async eraseSubject(tag: string, subject: string, now: number): Promise<string | null> {
    const row = `${tag}/subject/${this.subjectRow(tag, subject)}`;
    this.#erasures++;
    this.#subjects.delete(`${tag}/${subject}`);
    for (;;) {
      const found = await this.#store.get(TABLE, row, now);
      if (!found) {
        // Asked again because the first time could not scrub.
        await this.#store.delete(TABLE, row, { expect: 0, scrub: true });
        return null;
      }
      const { kid } = this.#unwrap(tag, row, found);
      if (await this.#store.delete(TABLE, row, { expect: found.version, scrub: true })) {
        // Whoever was reading the row meanwhile does not keep it.
        this.#erasures++;
        this.#subjects.delete(`${tag}/${subject}`);
        return `${row.slice(row.lastIndexOf('/') + 1)}/${kid}`;
      }
    }
  }

  /** A key for one purpose, from the index key: it stays the same when a KEK goes. 32 bytes. */
  derive(purpose: string): Buffer {
    return deriveKey(this.#index, purpose);
  }

  subjectRow(tag: string, subject: string): string {
    return createHmac('sha256', this.#index).update(`${tag}\n${subject}`).digest('base64url');
  }

  async #loadSubject(tag: string, subject: string, now: number, create: boolean): Promise<SubjectKey | null> {
    const row = this.subjectRow(tag, subject);
    const path = `${tag}/subject/${row}`;
    const erasures = this.#erasures;
    let found = await this.#store.get(TABLE, path, now);
    if (!found) {
      if (!create) return null;
      const value = this.#wrap(tag, path, randomBytes(16).toString('base64url'), randomBytes(32));
      await this.#store.set(TABLE, path, value, { expect: 0, expiresAt: null, now });
      found = await this.#store.get(TABLE, path, now);
      if (!found)
        throw new InternalError('audit.keys', 'the key of a subject was erased while made', { kind: 'outage' });
    }
    const { kid, secret } = this.#unwrap(tag, path, found);
    const key = new SubjectKey({ kid, row, key: sealKey(secret), until: now + CACHED_FOR_MS });
    if (this.#erasures !== erasures) return key;
    if (this.#subjects.size >= CACHED_SUBJECTS) this.#subjects.delete(this.#subjects.keys().next().value!);
    this.#subjects.delete(`${tag}/${subject}`);
    this.#subjects.set(`${tag}/${subject}`, key);
    return key;
  }

  #wrap(tag: string, row: string, kid: string, secret: Uint8Array): Buffer {
    const kek = this.#keks[0]!;
    const sealed = seal(this.#wrappingKey(kek, tag), secret, `wrap\n${row}\n${kid}`);
    return Buffer.from(JSON.stringify({ kek: kek.kid, kid, sealed: sealed.toString('base64url'), v: 1 }));
  }

  #unwrap(tag: string, row: string, stored: Row): { kek: string; kid: string; secret: Buffer } {
    const { kek: kekId, kid, sealed, v } = JSON.parse(Buffer.from(stored.value).toString()) as Record<string, unknown>;
    const kek = this.#keks.find((one) => one.kid === kekId);
    if (!kek || v !== 1)
      throw new InternalError('audit.keys', `a stored key is wrapped under KEK ${String(kekId)}, which is not here`, {
        kind: 'outage',
      });
    const secret = unseal(
      this.#wrappingKey(kek, tag),
      Buffer.from(String(sealed), 'base64url'),
      `wrap\n${row}\n${String(kid)}`,
    );
    if (!secret)
      throw new InternalError('audit.keys', 'a stored key does not unwrap: it was changed', { kind: 'outage' });
    return { kek: kek.kid, kid: String(kid), secret };
  }

  #wrappingKey(kek: SymmetricKey, tag: string): SealKey {
    const name = `${kek.kid}/${tag}`;
    let key = this.#wrapping.get(name);
    if (!key) {
      key = sealKey(deriveKey(kek.secret, `tenant\n${tag}`));
      this.#wrapping.set(name, key);
    }
    return key;
  }
}
