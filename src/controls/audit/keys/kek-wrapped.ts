import { randomBytes } from 'node:crypto';
import { type KeyPairOf, kidOf, type SymmetricKey } from '../../../core/crypto/keys.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Store } from '../../../core/store/store.ts';
import type { Kms } from './kms.ts';

/** KEKs that a KMS wraps: one row, outside the log; `audit_keys` holds what they wrap in turn. */
const WRAPPED_TABLE = 'audit_keks';
const ROW = 'deployment/keks';

interface WrappedKek {
  readonly kid: string;
  /** As the KMS gave it; names the version of its master key. */
  readonly wrapped: string;
  /** ms UTC */
  readonly made: number;
}

export interface WrappedKeks {
  /** The current one first; one or two. */
  readonly keks: readonly WrappedKek[];
  readonly version: number;
}

/** @throws InternalError `audit.keys` when the row is not one of ours */
export async function readWrapped(store: Store, now: number): Promise<WrappedKeks | null> {
  const row = await store.get(WRAPPED_TABLE, ROW, now);
  if (!row) return null;
  const { v, keks } = JSON.parse(Buffer.from(row.value).toString()) as { v?: unknown; keks?: WrappedKek[] };
  if (v === 1 && Array.isArray(keks) && (keks.length === 1 || keks.length === 2)) return { keks, version: row.version };
  throw new InternalError('audit.keys', 'the wrapped KEKs in the store cannot be read', { kind: 'outage' });
}

/** The first start with a KMS: a fresh KEK, wrapped before it is used. Of two replicas one is first. */
export async function wrapFirst(store: Store, kms: Kms, now: number): Promise<WrappedKeks> {
  await write(store, [await freshKek(kms, now)], 0, now);
  const wrapped = await readWrapped(store, now);
  if (wrapped) return wrapped;
  throw new InternalError('audit.keys', 'the store does not keep what is written', { kind: 'outage' });
}

/** Puts a fresh KEK first. Null: two are live already, or somebody else was first. */
export async function rotateWrapped(store: Store, kms: Kms, before: WrappedKeks, now: number): Promise<string | null> {
  if (before.keks.length > 1) return null;
  const fresh = await freshKek(kms, now);
  return (await write(store, [fresh, ...before.keks], before.version, now)) ? fresh.kid : null;
}

/** Takes the previous KEK away, every copy of it. */
export async function retireWrapped(store: Store, before: WrappedKeks, now: number): Promise<boolean> {
  const kept = await write(store, before.keks.slice(0, 1), before.version, now);
  if (kept) await store.delete(WRAPPED_TABLE, ROW, { expect: 0, scrub: true });
  return kept;
}

/** @throws InternalError `audit.kms`, `audit.keys` when what comes back is not the key of that name */
export async function unwrapKeks(keks: readonly WrappedKek[], kms: Kms): Promise<KeyPairOf<SymmetricKey>> {
  const open = async ({ kid, wrapped }: WrappedKek): Promise<SymmetricKey> => {
    const secret = await kms.unwrap(wrapped, contextOf(kid));
    if (secret.length === 32 && kidOf(secret) === kid) return { kid, secret };
    throw new InternalError('audit.keys', `the KMS unwraps KEK ${kid} to another key`, { kind: 'outage' });
  };
  const [current, previous] = keks as readonly [WrappedKek, WrappedKek?];
  return previous ? [await open(current), await open(previous)] : [await open(current)];
}

async function freshKek(kms: Kms, now: number): Promise<WrappedKek> {
  const secret = randomBytes(32);
  const kid = kidOf(secret);
  return { kid, wrapped: await kms.wrap(secret, contextOf(kid)), made: now };
}

async function write(store: Store, keks: readonly WrappedKek[], expect: number, now: number): Promise<boolean> {
  const value = Buffer.from(JSON.stringify({ v: 1, keks }));
  return (await store.set(WRAPPED_TABLE, ROW, value, { expect, expiresAt: null, now })) !== null;
}

const contextOf = (kid: string) => `gatewrit audit-kek\n${kid}`;
