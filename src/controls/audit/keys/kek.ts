import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type KeyFolder,
  type KeyPairOf,
  keyFile,
  openSymmetricKeys,
  type SymmetricKey,
} from '../../../core/crypto/keys.ts';
import { SettingsError } from '../../../core/internal-error.ts';
import { readSection } from '../../../core/settings.ts';
import type { Store } from '../../../core/store/store.ts';
import { readWrapped, unwrapKeks, wrapFirst } from './kek-wrapped.ts';
import type { Kms } from './kms.ts';
import { type KekSettings, kekSettings } from './settings.ts';
import { transitKms } from './transit.ts';

/** Where the KEKs of a home come from. */
export interface KekSource {
  /** In words for people; no secret. */
  readonly place: string;
  /** The JWK Set, where the KEKs stand in a file. */
  readonly file: string | null;
  readonly kms: Kms | null;
  /** The live KEKs. @throws SettingsError; InternalError `audit.kms` */
  open(now: number): Promise<KeyPairOf<SymmetricKey>>;
  /** Another value whenever `open` may give others: cheap, asked every other second. */
  mark(now: number): string | Promise<string>;
}

export interface KekOptions {
  readonly keys: KeyFolder;
  readonly store: Store;
  /** Left out: as the last start of the gateway said, for commands that know the home alone. */
  readonly settings?: KekSettings | null;
}

/** Says to commands where the last start found the KEK; references only, never a key. */
const PLACE_FILE = 'audit-kek.place.json';

export function kekSource({ keys, store, settings }: KekOptions): KekSource {
  const kek = settings === undefined ? keptKek(keys.folder) : settings;
  if (typeof kek === 'object' && kek !== null)
    return wrappedSource(keys, store, transitKms(kek.transit), kek.transit.url);
  const reference = kek ?? undefined;
  const file = reference === undefined ? keyFile(keys.folder, 'audit-kek') : fileOf(reference);
  return {
    place: reference ?? file!,
    file,
    kms: null,
    open: async () => openSymmetricKeys(keys, 'audit-kek', reference),
    mark: () => markOf(file),
  };
}

/** Keeps for commands where the KEK is. */
export function keepPlace(folder: string, settings: KekSettings): void {
  const path = join(folder, PLACE_FILE);
  if (settings === undefined) rmSync(path, { force: true });
  else writeFileSync(path, `${JSON.stringify({ kek: settings })}\n`, { mode: 0o600 });
}

/** The setting as the last start kept it. */
export function keptKek(folder: string): KekSettings {
  const path = join(folder, PLACE_FILE);
  if (!existsSync(path)) return undefined;
  try {
    return readSection(path, kekSettings, (JSON.parse(readFileSync(path, 'utf8')) as { kek?: unknown }).kek);
  } catch (cause) {
    throw new SettingsError(`${path} cannot be read; start the gateway once to have it written anew`, cause);
  }
}

/** Behind what the KMS wraps come the keys of a file that is still there: that is how a home moves to a KMS. */
function wrappedSource(keys: KeyFolder, store: Store, kms: Kms, url: string): KekSource {
  const file = keyFile(keys.folder, 'audit-kek');
  return {
    place: `wrapped by the KMS at ${new URL(url).host}`,
    file: null,
    kms,
    async open(now) {
      const wrapped = (await readWrapped(store, now)) ?? (await wrapFirst(store, kms, now));
      const [current, previous] = await unwrapKeks(wrapped.keks, kms);
      const before = previous ?? (existsSync(file) ? openSymmetricKeys(keys, 'audit-kek')[0] : undefined);
      return before ? [current, before] : [current];
    },
    async mark(now) {
      return `${(await readWrapped(store, now))?.version ?? 0} ${markOf(file)}`;
    },
  };
}

const fileOf = (reference: string) => (reference.startsWith('file:') ? reference.slice(5) : null);

/** How a file looks from outside. `ctime` too: an exchange keeps the age of the current key, and an inode may be used again. */
export function markOf(file: string | null): string {
  if (file === null) return '';
  const found = statSync(file, { throwIfNoEntry: false });
  return found ? `${found.ino} ${found.mtimeMs} ${found.ctimeMs} ${found.size}` : '';
}
