import { deriveKey, seal, sealKey, unseal } from '../../core/crypto/envelope.ts';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import type { Store } from '../../core/store/store.ts';
import type { Registration } from './client.ts';
import type { Tokens } from './tokens.ts';

/** Where credentials of one upstream outlive the process. */
export interface CredentialStore {
  get(key: string): Promise<string | null>;
  /** Null takes it away. */
  put(key: string, value: string | null): Promise<void>;
}

/** What stands under `held`: a token, for which endpoint and from which issuer. */
export interface Held {
  readonly endpoint: string;
  readonly issuer: string;
  readonly resource: string;
  /** Scopes that were asked for, all in all. */
  readonly scopes: readonly string[];
  readonly tokens: Tokens;
}

/** What stands under `wanted`: scopes an upstream asked for when no person was there to grant them. */
export interface Wanted {
  readonly endpoint: string;
  readonly scopes: readonly string[];
}

export const HELD = 'held';
export const WANTED = 'wanted';
/** Credentials are bound to the issuer that gave them (protocol.md 1.12). */
export function registrationKey(issuer: string): string {
  return `client ${issuer}`;
}

/** Reads what was kept. A value of another shape is as good as none: whoever needs it asks anew. */
export async function readKept<T extends Held | Wanted | Registration>(
  store: CredentialStore,
  key: string,
  is: (value: T) => boolean,
): Promise<T | null> {
  const text = await store.get(key);
  if (text === null) return null;
  const value = JSON.parse(text) as T;
  return is(value) ? value : null;
}

const TABLE = 'upstream_credentials';

/**
 * Credentials in the store of the home, sealed: whoever reads its files reads none. A value sealed under a key that is
 * gone counts as absent.
 */
export function sealedCredentials(
  store: Store,
  keys: KeyPairOf<SymmetricKey>,
  upstream: string,
  utc: () => number,
): CredentialStore {
  const opened = keys.map((key) => sealKey(deriveKey(key!.secret, 'upstream credentials 1')));
  // Keys begin with the tenant; these are the gateway’s own.
  const rowOf = (key: string) => `system/${upstream}/${key}`;
  return {
    async get(key) {
      const row = await store.get(TABLE, rowOf(key), utc());
      if (row === null) return null;
      for (const one of opened) {
        const plain = unseal(one, row.value, rowOf(key));
        if (plain) return plain.toString('utf8');
      }
      return null;
    },
    async put(key, value) {
      // The last one wins: two processes that renewed at the same time hold two good tokens.
      for (;;) {
        const row = await store.get(TABLE, rowOf(key), utc());
        const expect = row?.version ?? 0;
        if (value === null) {
          if (row === null || (await store.delete(TABLE, rowOf(key), { expect }))) return;
          continue;
        }
        const sealed = seal(opened[0]!, Buffer.from(value), rowOf(key));
        if ((await store.set(TABLE, rowOf(key), sealed, { expect, expiresAt: null, now: utc() })) !== null) return;
      }
    },
  };
}

/** For embedding and tests: gone at the end. */
export function credentialsInMemory(): CredentialStore {
  const rows = new Map<string, string>();
  return {
    get: async (key) => rows.get(key) ?? null,
    put: async (key, value) => {
      if (value === null) rows.delete(key);
      else rows.set(key, value);
    },
  };
}
