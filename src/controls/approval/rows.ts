import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import { InternalError } from '../../core/internal-error.ts';
import type { ListedRow, Store } from '../../core/store/store.ts';
import { idPlace, requesterPrefix, tenantPrefix } from './binding.ts';
import type { Asker, Vote } from './entitled.ts';
import { eventOf } from './events.ts';
import { decodeHeader, encodeHeader, type Header } from './header.ts';
import type { Records, Vault } from './ports.ts';
import { REPLAY_WINDOW_MS } from './settings.ts';
import { abandoned } from './states.ts';
import type { Card } from './view.ts';

/** Headers, by the look-up key of a repeat. One row per look-up key: a second request cannot stand beside the first. */
const HEADERS = 'approval';
/** Where the header of an id is, then the sealed request. */
const REQUESTS = 'approval_request';
/** The sealed outcome, for identical repeats. */
const OUTCOMES = 'approval_outcome';
/** How long a row is kept after it is over, so that a caller who comes back late is told what became of it. */
const KEEP_MS = 60 * 60_000;

/** What is kept sealed of a request until it runs. */
export interface SealedRequest {
  readonly card: Card;
  /** The bytes that will be executed, and no others. */
  readonly arguments: Uint8Array;
}

/** A header as it was read: `version` is what a change is made over, `key` what its places were made with. */
export interface Held {
  readonly place: string;
  readonly key: SymmetricKey;
  readonly version: number;
  readonly header: Header;
}

/** Reads and writes requests. What it returns was made by a live key; what it cannot believe or reach it throws. */
export class ApprovalRows {
  readonly #store: Store;
  readonly #vault: Vault;
  readonly #records: Records;
  readonly #mac: KeyPairOf<SymmetricKey>;

  constructor(ports: { store: Store; vault: Vault; records: Records; mac: KeyPairOf<SymmetricKey> }) {
    this.#store = ports.store;
    this.#vault = ports.vault;
    this.#records = ports.records;
    this.#mac = ports.mac;
  }

  /** The row at the place that the current key gives, or, while keys are exchanged, at that of the previous one. */
  async find(placeUnder: (key: SymmetricKey) => string, now: number): Promise<Held | null> {
    for (const key of this.#mac) {
      if (!key) continue;
      const held = await this.read(placeUnder(key), now);
      if (held) return held;
    }
    return null;
  }

  get currentKey(): SymmetricKey {
    return this.#mac[0];
  }

  async read(place: string, now: number): Promise<Held | null> {
    const row = await this.#store.get(HEADERS, place, now);
    if (!row) return null;
    const held = { place, version: row.version, ...decodeHeader(this.#mac, place, row.value) };
    return abandoned(held.header, now) ? this.#finish(held, now) : held;
  }

  async findById(tenant: string, id: string, now: number): Promise<Held | null> {
    for (const key of this.#mac) {
      const row = key && (await this.#store.get(REQUESTS, idPlace(key, tenant, id), now));
      if (!key || !row) continue;
      const held = await this.read(splitRequest(row.value).place, now);
      // A newer request for the same call may stand at that place; this id is then over.
      return held && held.header.id === id && held.header.tenant === tenant ? held : null;
    }
    return null;
  }

  /**
   * All rows of a tenant, or of all tenants where none is named; pages are read until the end.
   * @param unbelieved told of each row that no live key made; one of these must not hide the others
   */
  async *each(tenant: string | null, now: number, unbelieved: (cause: unknown) => void): AsyncGenerator<Held> {
    for await (const row of this.#under(tenant === null ? '' : tenantPrefix(tenant), now)) {
      const held = this.#believed(row, unbelieved);
      if (held) yield held;
    }
  }

  async countPending(tenant: string, subject: string, now: number): Promise<number> {
    let count = 0;
    for (const key of this.#mac) {
      if (!key) continue;
      for await (const row of this.#under(requesterPrefix(key, tenant, subject), now)) {
        const { header } = this.#heldOf(row);
        if (header.state === 'pending' && now < header.decideBy) count++;
      }
    }
    return count;
  }

  async *#under(prefix: string, now: number): AsyncGenerator<ListedRow> {
    const limit = 100;
    for (let after: string | undefined; ; ) {
      const page = await this.#store.list(HEADERS, { prefix, limit, now, ...(after === undefined ? {} : { after }) });
      yield* page;
      if (page.length < limit) return;
      after = page.at(-1)!.key;
    }
  }

  #heldOf({ key, version, value }: ListedRow): Held {
    return { place: key, version, ...decodeHeader(this.#mac, key, value) };
  }

  #believed(row: ListedRow, unbelieved: (cause: unknown) => void): Held | null {
    try {
      return this.#heldOf(row);
    } catch (cause) {
      unbelieved(cause);
      return null;
    }
  }

  /**
   * Puts a new request where none is, or in place of one that is over. Null: somebody else was first.
   * @param place of one that replaces nothing. Another stands where the old one stood, under the key of that place, so that
   *   one compare-and-set replaces it and no two stand side by side while keys are exchanged.
   * @throws when it cannot be stored and recorded; then there is none
   */
  async create(
    place: string,
    over: Held | null,
    header: Omit<Header, 'asker' | 'was' | 'since'>,
    sealed: { asker: Asker; request: SealedRequest; now: number; meta: Readonly<Record<string, unknown>> },
  ): Promise<Held | null> {
    const { now } = sealed;
    const { key, version, ...at } = over ?? { place, key: this.currentKey, version: 0 };
    const expiresAt = header.endsAt + KEEP_MS;
    const request = await this.#seal(header, 'request', encodeRequest(sealed.request));
    const requestPlace = idPlace(key, header.tenant, header.id);
    const value = Buffer.concat([Buffer.from(`${at.place}\n`), request]);
    const stored = await this.#store.set(REQUESTS, requestPlace, value, { expect: 0, expiresAt, now });
    if (stored === null) throw new InternalError('approval.id_taken', 'a random id came twice');
    const asker = await this.#sealJson(header, 'asker', sealed.asker);
    const fresh: Header = { ...header, asker, was: 'new', since: now };
    const held = await this.#write({ place: at.place, key, version, header: fresh }, now);
    if (!held) {
      await this.#store.delete(REQUESTS, requestPlace, { expect: stored });
      return null;
    }
    return this.#record(held, over, now, sealed.meta);
  }

  /**
   * Takes an edge: written, then recorded, then in effect. Null: somebody else was first.
   * @throws when it cannot be recorded; the state before is then put back
   */
  async advance(held: Held, change: Partial<Header>, now: number): Promise<Held | null> {
    const header = { ...held.header, ...change, was: held.header.state, since: now };
    const written = await this.#write({ ...held, header }, now);
    return written && this.#record(written, held, now, {});
  }

  /** A change that is no edge: that the caller was told, what a record says already. Null: somebody else was first. */
  async amend(held: Held, change: Partial<Header>, now: number): Promise<Held | null> {
    return this.#write({ ...held, header: { ...held.header, ...change } }, now);
  }

  /** @throws when the record is not durable */
  async record(header: Header, more: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await this.#records.record(eventOf(header, await this.votes(header), more));
  }

  async request({ header, key }: Held, now: number): Promise<SealedRequest | null> {
    const row = await this.#store.get(REQUESTS, idPlace(key, header.tenant, header.id), now);
    const opened = row && (await this.#open(header, 'request', splitRequest(row.value).sealed));
    return opened ? decodeRequest(opened) : null;
  }

  async asker(header: Header): Promise<Asker | null> {
    return this.#openJson<Asker>(header, 'asker', header.asker);
  }

  /** Empty before the first, and when they cannot be opened: votes nobody can read carry nothing. */
  async votes(header: Header): Promise<readonly Vote[]> {
    return (header.votes === '' ? null : await this.#openJson<Vote[]>(header, 'votes', header.votes)) ?? [];
  }

  async sealVotes(header: Header, votes: readonly Vote[]): Promise<string> {
    return this.#sealJson(header, 'votes', votes);
  }

  async keepOutcome({ header, key }: Held, outcome: Uint8Array, now: number): Promise<void> {
    const value = await this.#seal(header, 'outcome', outcome);
    const expiresAt = now + REPLAY_WINDOW_MS + 1;
    const place = idPlace(key, header.tenant, header.id);
    const stored = await this.#store.set(OUTCOMES, place, value, { expect: 0, expiresAt, now });
    if (stored === null) throw new InternalError('approval.settled_twice', 'an approval has one outcome');
  }

  async outcome({ header, key }: Held, now: number): Promise<Uint8Array | null> {
    const row = await this.#store.get(OUTCOMES, idPlace(key, header.tenant, header.id), now);
    return row && this.#open(header, 'outcome', row.value);
  }

  async #record(written: Held, before: Held | null, now: number, more: object): Promise<Held | null> {
    try {
      await this.record(written.header, { ...more });
    } catch (cause) {
      // When even this fails the edge stays without effect until it is old enough to be finished; the first cause tells more.
      await this.#undo(written, before, now).catch(() => undefined);
      throw cause;
    }
    return this.#write({ ...written, header: { ...written.header, was: null } }, now);
  }

  async #undo(written: Held, before: Held | null, now: number): Promise<void> {
    if (before) await this.#write({ ...before, version: written.version }, now);
    else await this.#store.delete(HEADERS, written.place, { expect: written.version });
  }

  /** An edge that a process left between its two writes: the person meant it, so it is recorded and takes effect. */
  async #finish(held: Held, now: number): Promise<Held> {
    await this.record(held.header, { finished: true });
    const header = { ...held.header, was: null };
    return (await this.#write({ ...held, header }, now)) ?? held;
  }

  async #write(next: Held, now: number): Promise<Held | null> {
    const value = encodeHeader(next.key, next.place, next.header);
    const expiresAt = Math.max(next.header.endsAt, now) + KEEP_MS;
    const version = await this.#store.set(HEADERS, next.place, value, { expect: next.version, expiresAt, now });
    return version === null ? null : { ...next, version };
  }

  async #seal(header: Pick<Header, 'tenant' | 'subject' | 'id'>, part: string, plain: Uint8Array) {
    return this.#vault.seal(header.tenant, header.subject, plain, aadOf(header, part));
  }

  async #open(header: Header, part: string, sealed: Uint8Array): Promise<Uint8Array | null> {
    return this.#vault.open(header.tenant, header.subject, sealed, aadOf(header, part));
  }

  async #sealJson(header: Pick<Header, 'tenant' | 'subject' | 'id'>, part: string, value: unknown): Promise<string> {
    return Buffer.from(await this.#seal(header, part, Buffer.from(JSON.stringify(value)))).toString('base64');
  }

  async #openJson<T>(header: Header, part: string, sealed: string): Promise<T | null> {
    const opened = await this.#open(header, part, Buffer.from(sealed, 'base64'));
    return opened && (JSON.parse(Buffer.from(opened).toString('utf8')) as T);
  }
}

function aadOf(header: Pick<Header, 'tenant' | 'id'>, part: string): string {
  return `gatewrit approval ${part}\n${header.tenant}\n${header.id}`;
}

function splitRequest(value: Uint8Array): { place: string; sealed: Uint8Array } {
  const end = value.indexOf(0x0a);
  return { place: Buffer.from(value.subarray(0, end)).toString('utf8'), sealed: value.subarray(end + 1) };
}

function encodeRequest(request: SealedRequest): Uint8Array {
  return Buffer.concat([Buffer.from(`${JSON.stringify(request.card)}\n`), request.arguments]);
}

function decodeRequest(plain: Uint8Array): SealedRequest {
  const end = plain.indexOf(0x0a);
  const card = JSON.parse(Buffer.from(plain.subarray(0, end)).toString('utf8')) as Card;
  return { card, arguments: plain.slice(end + 1) };
}
