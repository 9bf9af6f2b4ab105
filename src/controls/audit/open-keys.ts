import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KeyFolder, keyFile, openSigningKeys } from '../../core/crypto/keys.ts';
import type { Store } from '../../core/store/store.ts';
import type { Placer } from './journal/files.ts';
import { type KekSource, keepPlace, kekSource, markOf } from './keys/kek.ts';
import { Keyring } from './keys/keyring.ts';
import type { AuditSettings } from './settings.ts';
import { CheckpointKeys } from './tree/checkpoints.ts';

export interface OpenedKeys {
  /** What trees are signed with. */
  readonly checkpoint: CheckpointKeys;
  /** What records are sealed with. */
  readonly keyring: Keyring;
  readonly source: KekSource;
  /** How the places of both looked when they were opened. */
  readonly marks: { readonly kek: string; readonly checkpoint: string };
  /** Two KEKs are live: stored keys may still be wrapped under the old one. */
  readonly twoLive: boolean;
}

/**
 * The keys of the log as they are now; commands learn where the KEK is.
 * @throws SettingsError; InternalError `audit.kms`
 */
export async function openKeys(
  deployment: string,
  keys: KeyFolder,
  { store, settings, utc }: { readonly store: Store; readonly settings: AuditSettings; readonly utc: () => number },
): Promise<OpenedKeys> {
  const checkpoint = new CheckpointKeys(deployment, openSigningKeys(keys, 'checkpoint'));
  const source = kekSource({ keys, store, settings: settings.kek ?? null });
  const keks = await source.open(utc());
  const keyring = await Keyring.open(store, keks, utc());
  keepPlace(keys.folder, settings.kek);
  const marks = { kek: await source.mark(utc()), checkpoint: markOf(keyFile(keys.folder, 'checkpoint')) };
  return { checkpoint, keyring, source, marks, twoLive: keks[1] !== undefined };
}

/** `audit.pub` names who signs, before anything is signed by him. */
export async function printVerifiers(keys: KeyFolder, checkpoint: CheckpointKeys, placer: Placer): Promise<void> {
  const printed = join(keys.folder, 'audit.pub');
  if (existsSync(printed) && readFileSync(printed, 'utf8') === checkpoint.lines) return;
  await placer.place([[printed, Buffer.from(checkpoint.lines)]]);
}
