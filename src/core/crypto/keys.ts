import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  type webcrypto,
} from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { SettingsError } from '../internal-error.ts';
import { openSecret } from '../settings.ts';
import { sha256Base64Url } from './digest.ts';
import { notRandom } from './sample-secrets.ts';

/** The classes of keys (architecture.md section 5). The TLS leaf is PEM and lives with transport. */
export const KEY_CLASSES = [
  'operator',
  'audit-kek',
  'checkpoint',
  'state-seal',
  'redaction-token',
  'approval-mac',
  'upstream-credentials',
] as const;
export type KeyClass = (typeof KEY_CLASSES)[number];
/** Ed25519 pairs; all others are 32 random bytes. */
export const SIGNING_CLASSES: readonly KeyClass[] = ['operator', 'checkpoint'];

export interface SymmetricKey {
  readonly kid: string;
  /** 32 random bytes. */
  readonly secret: Uint8Array;
}

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** Current key first, then those still accepted; at most two live at a time. */
export type KeyPairOf<K> = readonly [current: K, previous?: K];

export interface KeyFolder {
  /** `<home>/keys`, 0700. */
  readonly folder: string;
  /** Only development generates what is missing; elsewhere a missing key is a start-up error. */
  readonly generate: boolean;
}

/**
 * Opens 32-byte keys of a class: a JWK Set with kty `oct`, in `reference` or in `<folder>/<class>.jwks`.
 * @throws SettingsError when missing outside development, readable by others, short or malformed
 */
export function openSymmetricKeys(keys: KeyFolder, name: KeyClass, reference?: string): KeyPairOf<SymmetricKey> {
  return live(
    name,
    readSet(keys, name, reference).map((jwk) => {
      const secret = Buffer.from(String(jwk['k'] ?? ''), 'base64url');
      if (jwk['kty'] !== 'oct' || secret.length !== 32)
        throw new SettingsError(`key ${name}: every key must be kty "oct" with 32 bytes`);
      refuseSample(name, secret);
      return { kid: String(jwk['kid'] ?? kidOf(secret)), secret };
    }),
  );
}

/**
 * Opens Ed25519 signing keys of a class: a JWK Set with kty `OKP`, in `reference` or in `<folder>/<class>.jwks`.
 * @throws SettingsError as openSymmetricKeys
 */
export function openSigningKeys(keys: KeyFolder, name: KeyClass, reference?: string): KeyPairOf<SigningKey> {
  return live(
    name,
    readSet(keys, name, reference).map((jwk) => {
      if (jwk['kty'] !== 'OKP' || jwk['crv'] !== 'Ed25519' || typeof jwk['d'] !== 'string') {
        throw new SettingsError(`key ${name}: every key must be a private Ed25519 JWK`);
      }
      refuseSample(name, Buffer.from(jwk['d'], 'base64url'));
      const privateKey = createPrivateKey({ key: jwk as webcrypto.JsonWebKey, format: 'jwk' });
      return {
        kid: String(jwk['kid'] ?? kidOf(Buffer.from(String(jwk['x']), 'base64url'))),
        privateKey,
        publicKey: createPublicKey(privateKey),
      };
    }),
  );
}

/** The JWK Set of a class in a key folder. */
export function keyFile(folder: string, name: KeyClass): string {
  return `${folder}/${name}.jwks`;
}

export interface Exchanged {
  readonly path: string;
  /** Key ids: signs or seals from now on; goes on to be accepted (rotate) or is gone (retire). */
  readonly current: string;
  readonly other: string;
}

/**
 * Puts a fresh key of a class first and keeps the one of before behind it. The file is replaced in one step.
 * @param path the JWK Set, when it is not `<folder>/<class>.jwks`
 * @throws SettingsError when there is none, or two are live already
 */
export function rotateKeys(folder: string, name: KeyClass, path: string = keyFile(folder, name)): Exchanged {
  const [before, previous] = openAt(folder, name, path);
  if (previous)
    throw new SettingsError(
      `key ${name}: two keys are live, ${before.kid} and ${previous.kid}; run gatewrit keys retire ${name} first`,
    );
  const fresh = makeKey(name);
  replaceFile(path, { keys: [fresh, ...readSet({ folder, generate: false }, name, `file:${path}`)] });
  return { path, current: fresh.kid, other: before.kid };
}

/** Takes the previous key of a class away. @throws SettingsError when only one is live */
export function retireKeys(folder: string, name: KeyClass, path: string = keyFile(folder, name)): Exchanged {
  const [current, previous] = openAt(folder, name, path);
  if (!previous) throw new SettingsError(`key ${name}: only one key is live, ${current.kid}; there is none to retire`);
  replaceFile(path, { keys: readSet({ folder, generate: false }, name, `file:${path}`).slice(0, 1) });
  return { path, current: current.kid, other: previous.kid };
}

function openAt(folder: string, name: KeyClass, path: string): KeyPairOf<{ readonly kid: string }> {
  const keys = { folder, generate: false };
  const open = SIGNING_CLASSES.includes(name) ? openSigningKeys : openSymmetricKeys;
  return open(keys, name, existsSync(path) ? `file:${path}` : undefined);
}

/** Whoever reads meanwhile, or after a power cut, finds the old set or the new one. */
function replaceFile(path: string, set: object): void {
  const fresh = `${path}.${randomBytes(6).toString('hex')}.new`;
  const file = openSync(fresh, 'wx', 0o600);
  try {
    writeFileSync(file, `${JSON.stringify(set, null, 2)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(fresh, path);
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/** A fresh private JWK of a class. */
function makeKey(name: KeyClass): { readonly kid: string } {
  if (!SIGNING_CLASSES.includes(name)) return makeSymmetricKey();
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return { ...jwk, kid: kidOf(Buffer.from(String(jwk.x), 'base64url')) };
}

export function makeSymmetricKey(): { readonly kty: 'oct'; readonly kid: string; readonly k: string } {
  const secret = randomBytes(32);
  return { kty: 'oct', kid: kidOf(secret), k: secret.toString('base64url') };
}

function readSet(keys: KeyFolder, name: KeyClass, reference: string | undefined): Record<string, unknown>[] {
  const path = keyFile(keys.folder, name);
  if (!reference && !existsSync(path)) {
    if (!keys.generate) {
      throw new SettingsError(
        `key ${name} is missing: run gatewrit keys init, or put a JWK Set at ${path} (mode 0600)`,
      );
    }
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, `${JSON.stringify({ keys: [makeKey(name)] }, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  }
  const text = openSecret(reference ?? `file:${path}`).toString('utf8');
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch (cause) {
    throw new SettingsError(`key ${name}: ${reference ?? path} is not a JWK Set`, cause);
  }
  const list = (set as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(list)) throw new SettingsError(`key ${name}: ${reference ?? path} is not a JWK Set`);
  return list as Record<string, unknown>[];
}

function live<K>(name: KeyClass, list: readonly K[]): KeyPairOf<K> {
  const [current, previous, ...more] = list;
  if (!current) throw new SettingsError(`key ${name}: the JWK Set is empty`);
  if (more.length > 0) throw new SettingsError(`key ${name}: at most two keys may be live, the current one first`);
  return previous ? [current, previous] : [current];
}

/** A key everybody has protects nothing, in development either. */
function refuseSample(name: KeyClass, bytes: Uint8Array): void {
  const why = notRandom(bytes);
  if (why !== null) throw new SettingsError(`key ${name} cannot be used: ${why}; make one with gatewrit keys init`);
}

/** A public name for a key: a digest, so that it says nothing of a secret. */
export function kidOf(bytes: Uint8Array): string {
  return sha256Base64Url(bytes).slice(0, 16);
}
