import { createHmac, hash } from 'node:crypto';
import type { RecordKind } from '../format/envelope.ts';
import type { FollowedRecord, OpenRecord, RecordPlace } from '../reader/read.ts';

/** What records can be found by, besides time and kind. In the index stand tokens of these, never a value. */
export const TOKEN_COLUMNS = [
  'subject',
  'issuer',
  'client',
  'tenant',
  'server',
  'target',
  'code',
  'call',
  'approval',
  'address',
] as const;
export type TokenColumn = (typeof TOKEN_COLUMNS)[number];
export type Tokens = Readonly<Record<TokenColumn, Buffer | null>>;

const TOKEN_BYTES = 16;
const DAY_MS = 86_400_000;
const REMEMBERED_TOKENS = 10_000;

/** One record in the index. */
export interface IndexRow extends RecordPlace, Tokens {
  /** Journal index. */
  readonly idx: number;
  /** Tag of the tenant's tree, hex. */
  readonly tree: string;
  readonly leafHash: Buffer;
  readonly kind: RecordKind;
  readonly time: number;
}

export function dayOf(time: number): number {
  return Math.floor(time / DAY_MS);
}

export function dayName(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

/** Turns values into tokens: the same for the same value of the same column, to who has the index key. */
export class Tokenizer {
  readonly #key: Buffer;
  /** Most values come again and again. */
  readonly #known = new Map<string, Buffer>();

  /** @param key 32 bytes */
  constructor(key: Buffer) {
    this.#key = key;
  }

  token(column: TokenColumn, value: string): Buffer {
    const text = `${column}\n${value}`;
    let token = this.#known.get(text);
    if (!token) {
      token = createHmac('sha256', this.#key).update(text).digest().subarray(0, TOKEN_BYTES);
      if (this.#known.size >= REMEMBERED_TOKENS) this.#known.clear();
      this.#known.set(text, token);
    }
    return token;
  }

  /** HMAC over what the index says of itself. */
  mac(text: string): Buffer {
    return createHmac('sha256', this.#key).update(`mac\n${text}`).digest();
  }

  rowOf(record: FollowedRecord): IndexRow {
    const { index, origin, leafHash, envelope, at } = record;
    const { segment, offset, length, leaf } = at;
    const place = { segment, offset, length, leaf };
    const tree = origin.split('/').at(-2) ?? '';
    return { idx: index, ...place, tree, leafHash, kind: envelope.kind, time: envelope.t_ms, ...this.tokensOf(record) };
  }

  tokensOf({ envelope, meta }: Pick<OpenRecord, 'envelope' | 'meta'>): Tokens {
    const token = (column: TokenColumn, value: unknown) =>
      typeof value === 'string' && value !== '' ? this.token(column, value) : null;
    const by = meta?.['by'] as Readonly<Record<string, unknown>> | string | undefined;
    const who = typeof by === 'object' && by !== null ? by : null;
    const target = meta?.['target'];
    const slash = typeof target === 'string' ? target.indexOf('/') : -1;
    return {
      subject: token('subject', meta?.['subject'] ?? who?.['subject'] ?? by),
      issuer: token('issuer', meta?.['issuer'] ?? who?.['issuer']),
      client: token('client', meta?.['client']),
      tenant: token('tenant', meta?.['tenant'] ?? (meta ? 'system' : null)),
      server: token('server', slash > 0 ? (target as string).slice(0, slash) : meta?.['server']),
      target: token('target', target),
      code: token('code', meta?.['code']),
      call: token('call', meta?.['call']),
      approval: token('approval', meta?.['approval'] ?? (envelope.kind === 'approval' ? meta?.['id'] : null)),
      address: token('address', meta?.['address']),
    };
  }
}

/** Everything a row says, the way `index-file.ts` has SQLite write it too: one more separator is another text. */
export function rowText(row: IndexRow): string {
  const { idx, segment, offset, length, tree, leaf, leafHash, kind, time } = row;
  let text = `${idx}|${segment}|${offset}|${length}|${tree}|${leaf}|${hexOf(leafHash)}|${kind}|${time}`;
  for (const column of TOKEN_COLUMNS) text += `|${hexOf(row[column])}`;
  return text;
}

function hexOf(bytes: Buffer | null): string {
  return bytes ? bytes.toString('hex').toUpperCase() : '';
}

/** What the rows of one UTC day add up to. `leaves` follows from the log alone: h = SHA-256(h ‖ leaf hash), h₀ = 32 zero bytes. */
export interface DaySum {
  readonly rows: number;
  readonly leaves: Buffer;
  /** Over everything the rows say: h = SHA-256(h ‖ text of the row), hex. */
  readonly sum: string;
}

export const EMPTY_DAY: DaySum = { rows: 0, leaves: Buffer.alloc(32), sum: '' };

export function addToDay({ rows, leaves, sum }: DaySum, row: IndexRow): DaySum {
  return { rows: rows + 1, leaves: chained(leaves, row.leafHash), sum: chainedText(sum, rowText(row)) };
}

export function chainedText(head: string, text: string): string {
  return hash('sha256', head + text, 'hex');
}

function chained(head: Buffer, next: Buffer): Buffer {
  return hash('sha256', Buffer.concat([head, next]), 'buffer');
}
