import { Agent, request } from 'undici';
import type { Now } from '../../../core/call.ts';
import { sha256Base64Url } from '../../../core/crypto/digest.ts';
import { type KeySet, readKeySet } from '../key-set.ts';
import type { KeySource } from '../key-source.ts';
import type { Algorithm, AuthenticationSettings } from '../settings.ts';

const MAX_KEY_SET_BYTES = 256 * 1024;

/** Gets the bytes behind a URL. MUST reject on any status but 200, on more than `maxBytes`, and after `timeoutMs` in all. */
export type FetchKeys = (url: string, bounds: { maxBytes: number; timeoutMs: number }) => Promise<Uint8Array>;

/**
 * Keys from an issuer's URL. Fetched when first needed, then again behind the calls after `refreshSeconds`; past
 * `boundSeconds` old keys are not used any more. One fetch at a time, never two within the cool-down.
 */
export function openKeyUrl(
  url: string,
  options: { algorithms: readonly Algorithm[]; bounds: AuthenticationSettings['jwks']; fetchKeys: FetchKeys },
): KeySource {
  const { algorithms, bounds, fetchKeys } = options;
  let set: KeySet | null = null;
  let digest = '';
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | null = null;

  const usable = (now: Now) => (now.mono < fetchedAt + bounds.boundSeconds * 1000 ? set : null);

  async function ask(now: Now): Promise<void> {
    try {
      const bytes = await fetchKeys(url, { maxBytes: MAX_KEY_SET_BYTES, timeoutMs: bounds.timeoutMs });
      const read = await readKeySet(bytes, algorithms);
      // An empty set is a sick issuer, not a wish to lock everybody out at once: old keys end at their bound.
      if (read.size === 0) return;
      const found = sha256Base64Url(bytes);
      // The same keys stay the same set, so that remembered tokens stand.
      if (found !== digest) set = read;
      digest = found;
      fetchedAt = now.mono;
    } catch {
      // Down, slow, too large or not a JWK Set: keys we have hold until their bound, then nobody gets in.
    }
  }

  function askOnce(now: Now): KeySet | null | Promise<KeySet | null> {
    if (asking === null) {
      if (now.mono < askedAt + bounds.cooldownSeconds * 1000) return usable(now);
      askedAt = now.mono;
      asking = ask(now).finally(() => {
        asking = null;
      });
    }
    // Each caller judges by its own clock: one that joins a fetch may have come after the bound.
    return asking.then(() => usable(now));
  }

  return {
    get latest() {
      return set;
    },
    get freshUntil() {
      return fetchedAt + bounds.refreshSeconds * 1000;
    },
    current(now) {
      const have = usable(now);
      if (have === null) return askOnce(now);
      // Behind the call: it goes on with keys that are still good.
      if (now.mono >= fetchedAt + bounds.refreshSeconds * 1000) void askOnce(now);
      return have;
    },
    lookAgain: askOnce,
    async close() {
      await asking;
    },
  };
}

/** The default `FetchKeys`, with undici: no redirects, no more bytes and no more time than allowed. Close it at the end. */
export function keyFetcher(): { fetchKeys: FetchKeys; close(): Promise<void> } {
  const agent = new Agent({ connections: 1, pipelining: 1, keepAliveTimeout: 1000, maxHeaderSize: 16 * 1024 });
  return {
    async fetchKeys(url, { maxBytes, timeoutMs }) {
      const signal = AbortSignal.timeout(timeoutMs);
      const answer = await request(url, {
        dispatcher: agent,
        signal,
        headers: { accept: 'application/jwk-set+json, application/json' },
      });
      // A body that is dropped reports that as an error event; without a listener it would end the process.
      answer.body.on('error', () => undefined);
      if (answer.statusCode !== 200) {
        answer.body.destroy();
        throw new Error(`status ${answer.statusCode}`);
      }
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > maxBytes) throw new Error(`more than ${maxBytes} bytes`);
        chunks.push(chunk);
      }
      return Buffer.concat(chunks);
    },
    close: () => agent.destroy(),
  };
}
