import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  futimesSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { SettingsError } from '../internal-error.ts';
import {
  type KeyClass,
  type KeyPairOf,
  keyFile,
  makeKey,
  openSigningKeys,
  openSymmetricKeys,
  readSet,
  SIGNING_CLASSES,
} from './keys.ts';

export interface Exchanged {
  readonly path: string;
  /** Key ids: the one that signs or seals from now on, and the one that is accepted beside it or is gone (retire). */
  readonly current: string;
  readonly other: string;
  /** The other one was prepared and never used. */
  readonly unused: boolean;
}

/**
 * Puts a fresh key of a class behind the current one, where it is accepted and not used yet: who has to know it, a witness
 * or another replica, is told of it before anything bears it. `rotateKeys` then puts it first.
 * @param path the JWK Set, when it is not `<folder>/<class>.jwks`
 * @throws SettingsError when there is none, or two are live already
 */
export function prepareKeys(folder: string, name: KeyClass, path: string = keyFile(folder, name)): Exchanged {
  const [current, other] = openAt(folder, name, path);
  if (other) throw twoLive(name, current.kid, other.kid, preparedKey(folder, name, path) !== null);
  const fresh = makeKey(name);
  replaceFile(path, { keys: [...jwksAt(folder, name, path), { ...fresh, prepared: true }] }, statSync(path).mtime);
  return { path, current: current.kid, other: fresh.kid, unused: true };
}

/**
 * Puts the prepared key of a class first, or a fresh one where none is prepared, and keeps the one of before behind it. The
 * file is replaced in one step.
 * @param path the JWK Set, when it is not `<folder>/<class>.jwks`
 * @throws SettingsError when there is none, or two are live already and neither was prepared
 */
export function rotateKeys(folder: string, name: KeyClass, path: string = keyFile(folder, name)): Exchanged {
  const [before, other] = openAt(folder, name, path);
  const prepared = preparedKey(folder, name, path);
  if (other && prepared === null) throw twoLive(name, before.kid, other.kid, false);
  const [current, next] = jwksAt(folder, name, path);
  const fresh = makeKey(name);
  // A member that is undefined is not written.
  replaceFile(path, { keys: [next ? { ...next, prepared: undefined } : fresh, current] });
  return { path, current: prepared ?? fresh.kid, other: before.kid, unused: false };
}

/** Takes the previous key of a class away, or a prepared one. @throws SettingsError when only one is live */
export function retireKeys(folder: string, name: KeyClass, path: string = keyFile(folder, name)): Exchanged {
  const [current, previous] = openAt(folder, name, path);
  if (!previous) throw new SettingsError(`key ${name}: only one key is live, ${current.kid}; there is none to retire`);
  const unused = preparedKey(folder, name, path) !== null;
  replaceFile(path, { keys: jwksAt(folder, name, path).slice(0, 1) }, statSync(path).mtime);
  return { path, current: current.kid, other: previous.kid, unused };
}

/** Name of the key that is prepared; null: none is. @throws SettingsError as the openers of keys */
export function preparedKey(folder: string, name: KeyClass, path: string = keyFile(folder, name)): string | null {
  return jwksAt(folder, name, path)[1]?.['prepared'] === true ? (openAt(folder, name, path)[1]?.kid ?? null) : null;
}

function twoLive(name: KeyClass, current: string, other: string, prepared: boolean): SettingsError {
  const next = prepared
    ? `${other} is prepared: run gatewrit keys rotate ${name}, or gatewrit keys retire ${name} to drop it`
    : `run gatewrit keys retire ${name} first`;
  return new SettingsError(`key ${name}: two keys are live, ${current} and ${other}; ${next}`);
}

function openAt(folder: string, name: KeyClass, path: string): KeyPairOf<{ readonly kid: string }> {
  const keys = { folder, generate: false };
  const open = SIGNING_CLASSES.includes(name) ? openSigningKeys : openSymmetricKeys;
  return open(keys, name, existsSync(path) ? `file:${path}` : undefined);
}

function jwksAt(folder: string, name: KeyClass, path: string) {
  return readSet({ folder, generate: false }, name, `file:${path}`);
}

/**
 * Whoever reads meanwhile, or after a power cut, finds the old set or the new one.
 * @param since when the current key was made: the time of the file tells its age, and a key does not get younger when another
 *   comes or goes behind it
 */
function replaceFile(path: string, set: object, since?: Date): void {
  const fresh = `${path}.${randomBytes(6).toString('hex')}.new`;
  const file = openSync(fresh, 'wx', 0o600);
  try {
    writeFileSync(file, `${JSON.stringify(set, null, 2)}\n`);
    if (since) futimesSync(file, since, since);
    fsyncSync(file);
  } catch (error) {
    // Half a set, and keys in it that the whole one may not name for long.
    rmSync(fresh);
    throw error;
  } finally {
    closeSync(file);
  }
  renameSync(fresh, path);
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}
