import { readFileSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { Now } from '../../../core/call.ts';
import { SettingsError } from '../../../core/internal-error.ts';
import { type KeySet, readKeySet } from '../key-set.ts';
import type { KeySource } from '../key-source.ts';
import type { Algorithm } from '../settings.ts';

/** How often the file is looked at, ms: a key taken out of it stops counting after this long at the latest. */
const LOOK_MS = 2000;
const MAX_BYTES = 256 * 1024;

/**
 * Keys from a JWK Set file, looked at again while running; a file that became unreadable or malformed keeps the old keys.
 * @throws SettingsError when at the start it is missing, malformed, without usable keys, or writable by others
 */
export async function openKeyFile(path: string, algorithms: readonly Algorithm[]): Promise<KeySource> {
  let set = await readAtStart(path, algorithms);
  let stamp = stampOf(statSync(path));
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<KeySet> | null = null;

  async function look(now: Now): Promise<KeySet> {
    lookedAt = now.mono;
    try {
      const found = await stat(path);
      if (stampOf(found) === stamp || found.size > MAX_BYTES || (found.mode & 0o022) !== 0) return set;
      const read = await readKeySet(await readFile(path), algorithms);
      stamp = stampOf(found);
      if (read.size > 0) set = read;
    } catch {
      // Half-written or gone: the old keys stay (architecture.md section 5, Reload), and we look again.
    }
    return set;
  }

  const current = (now: Now) => {
    if (now.mono < lookedAt + LOOK_MS) return looking ?? set;
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
      return lookedAt + LOOK_MS;
    },
    current,
    lookAgain: current,
    close: () => undefined,
  };
}

async function readAtStart(path: string, algorithms: readonly Algorithm[]): Promise<KeySet> {
  try {
    if ((statSync(path).mode & 0o022) !== 0) {
      throw new SettingsError(`${path} may be written by others, who could add keys; run: chmod go-w ${path}`);
    }
    const set = await readKeySet(readFileSync(path), algorithms);
    if (set.size > 0) return set;
  } catch (cause) {
    if (cause instanceof SettingsError) throw cause;
    throw new SettingsError(`authentication.issuers: ${path} is not a readable JWK Set`, cause);
  }
  throw new SettingsError(`authentication.issuers: ${path} holds no public key for ${algorithms.join(', ')}`);
}

function stampOf(found: { mtimeMs: number; size: number; ino: number }): string {
  return `${found.mtimeMs} ${found.size} ${found.ino}`;
}
