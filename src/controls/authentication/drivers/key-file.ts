import { readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { Now } from '../../../core/call.ts';
import { SettingsError } from '../../../core/internal-error.ts';
import { type KeySet, readKeySet } from '../key-set.ts';
import type { KeySource } from '../key-source.ts';
import type { Algorithm, AuthenticationSettings } from '../settings.ts';

/** How often the file is looked at, ms: a key taken out of it stops counting after this long at the latest. */
const LOOK_MS = 2000;
const MAX_BYTES = 256 * 1024;

/**
 * Keys from a JWK Set file, looked at again while running. A good file without keys lets nobody in. One that is gone, torn,
 * or that others may write keeps the keys it had for `boundSeconds`, as those of a URL; then nobody gets in.
 * @throws SettingsError when at the start it is missing, malformed, without usable keys, or writable by others
 */
export async function openKeyFile(
  path: string,
  algorithms: readonly Algorithm[],
  { boundSeconds }: Pick<AuthenticationSettings['jwks'], 'boundSeconds'>,
): Promise<KeySource> {
  let { set, stamp } = await readAtStart(path, algorithms);
  let lookedAt = Number.NEGATIVE_INFINITY;
  /** When the file last stood there as it should; null before the first look. */
  let goodAt: number | null = null;
  let looking: Promise<KeySet | null> | null = null;

  const endsAt = () => (goodAt === null ? Number.POSITIVE_INFINITY : goodAt + boundSeconds * 1000);
  const usable = (now: Now) => (now.mono < endsAt() ? set : null);

  async function look(now: Now): Promise<KeySet | null> {
    lookedAt = now.mono;
    goodAt ??= now.mono;
    try {
      const found = await stat(path);
      if (found.size > MAX_BYTES || (found.mode & 0o022) !== 0) return usable(now);
      if (stampOf(found) !== stamp) {
        set = await readKeySet(await readFile(path), algorithms);
        stamp = stampOf(found);
      }
      goodAt = now.mono;
    } catch {
      // Half-written or gone: the old keys stay for a while (architecture.md section 5, Reload), and we look again.
    }
    return usable(now);
  }

  const current = (now: Now) => {
    if (now.mono < lookedAt + LOOK_MS) return looking ?? usable(now);
    looking ??= look(now).finally(() => {
      looking = null;
    });
    return looking;
  };
  return {
    get latest() {
      return set;
    },
    get freshUntil() {
      return Math.min(lookedAt + LOOK_MS, endsAt());
    },
    current,
    lookAgain: current,
    close: () => undefined,
  };
}

async function readAtStart(
  path: string,
  algorithms: readonly Algorithm[],
): Promise<{ readonly set: KeySet; readonly stamp: string }> {
  try {
    // How it looked before it was read: one that is replaced meanwhile is seen to have changed.
    const found = statSync(path);
    if ((found.mode & 0o022) !== 0) {
      throw new SettingsError(`${path} may be written by others, who could add keys; run: chmod go-w ${path}`);
    }
    const set = await readKeySet(readFileSync(path), algorithms);
    if (set.size > 0) return { set, stamp: stampOf(found) };
  } catch (cause) {
    if (cause instanceof SettingsError) throw cause;
    throw new SettingsError(`authentication.issuers: ${path} is not a readable JWK Set`, cause);
  }
  throw new SettingsError(`authentication.issuers: ${path} holds no public key for ${algorithms.join(', ')}`);
}

function stampOf(found: { mtimeMs: number; size: number; ino: number }): string {
  return `${found.mtimeMs} ${found.size} ${found.ino}`;
}
