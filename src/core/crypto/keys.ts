import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  type webcrypto,
} from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
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

/** A fresh private JWK of a class. */
export function makeKey(name: KeyClass): { readonly kid: string } {
  if (!SIGNING_CLASSES.includes(name)) return makeSymmetricKey();
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return { ...jwk, kid: kidOf(Buffer.from(String(jwk.x), 'base64url')) };
}

export function makeSymmetricKey(): { readonly kty: 'oct'; readonly kid: string; readonly k: string } {
  const secret = randomBytes(32);
  return { kty: 'oct', kid: kidOf(secret), k: secret.toString('base64url') };
}

/** The private JWKs of a class as they stand. @throws SettingsError missing outside development, readable by others, no JWK Set */
export function readSet(keys: KeyFolder, name: KeyClass, reference: string | undefined): Record<string, unknown>[] {
  const path = keyFile(keys.folder, name);
  if (!reference && !existsSync(path)) {
    if (!keys.generate) {
      throw new SettingsError(
        `key ${name} is missing: run gatewrit keys init, or put a JWK Set at ${path} (mode 0600)`,
      );
    }
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    createFile(path, `${JSON.stringify({ keys: [makeKey(name)] }, null, 2)}\n`);
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

/** On the disk before anything is signed or sealed under it; one that did not become whole does not stay. */
function createFile(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } catch (error) {
    rmSync(path);
    throw error;
  } finally {
    closeSync(file);
  }
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
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
