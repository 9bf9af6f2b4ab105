import type { Now } from '../core/call.ts';
import { sha256Base64Url } from '../core/crypto/digest.ts';
import type { Store } from '../core/store/store.ts';
import { CARRIERS, type Carrier } from './wire.ts';

/** A server was found to be legacy, over this carrier, at this time (ms UTC). A modern one is asked at every start anyway. */
export interface Verdict {
  readonly carrier: Carrier;
  readonly at: number;
}

/** Remembers the verdict on one server over restarts; without it each start asks a legacy server what it cannot know. */
export interface Verdicts {
  read(now: Now): Promise<Verdict | null>;
  write(verdict: Verdict | null, now: Now): Promise<void>;
}

/** A stale "legacy" never corrects itself, because an upgraded server still answers `initialize` (protocol.md 1.1). */
export const VERDICT_LIFE_MS = 24 * 3600 * 1000;

const TABLE = 'upstream_eras';

/** @param place where the server is reached: at another place it is another server */
export function storedVerdicts(store: Store, server: string, place: readonly string[]): Verdicts {
  const key = `default/${server}/${sha256Base64Url(JSON.stringify(place))}`;
  return {
    async read({ utc }) {
      const row = await store.get(TABLE, key, utc);
      const read = row && (JSON.parse(Buffer.from(row.value).toString()) as Partial<Verdict>);
      if (!read || typeof read.at !== 'number' || !CARRIERS.includes(read.carrier!)) return null;
      return read.at <= utc && utc - read.at < VERDICT_LIFE_MS ? (read as Verdict) : null;
    },
    async write(verdict, { utc }) {
      const expect = (await store.get(TABLE, key, utc))?.version ?? 0;
      if (verdict === null) return void (expect > 0 && (await store.delete(TABLE, key, { expect })));
      const value = Buffer.from(JSON.stringify(verdict));
      // Somebody else was first: his verdict is as good.
      await store.set(TABLE, key, value, { expect, expiresAt: verdict.at + VERDICT_LIFE_MS, now: utc });
    },
  };
}

/** For whoever has no state: every start asks. */
export const NO_VERDICTS: Verdicts = { read: async () => null, write: async () => {} };
