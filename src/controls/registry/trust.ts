import { createPublicKey, type KeyObject, type webcrypto } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { type KeyFolder, openSigningKeys } from '../../core/crypto/keys.ts';
import { SettingsError } from '../../core/internal-error.ts';
import type { TrustStore } from './signature.ts';

/**
 * Opens the trust store. With `files` (JWK Sets of public Ed25519 keys) the gateway needs no private operator key, and
 * only those count; without, the operator keys under the home do.
 * @param more.mayBeEmpty whether a good file may hold no key: one that was emptied while running takes all trust back
 * @throws SettingsError when a file is missing, malformed, empty, or two keys share a kid
 */
export function openTrust(keys: KeyFolder, files: readonly string[], more = { mayBeEmpty: false }): TrustStore {
  const trust = new Map<string, KeyObject>();
  const add = (kid: string, key: KeyObject, from: string) => {
    if (trust.has(kid))
      throw new SettingsError(`${from}: two trusted keys share the kid "${kid}"; give one another name`);
    trust.set(kid, key);
  };
  for (const file of files) for (const { kid, key } of readPublicKeys(file, more)) add(kid, key, file);
  if (files.length === 0) {
    for (const key of openSigningKeys(keys, 'operator')) if (key) add(key.kid, key.publicKey, 'operator.jwks');
  }
  return trust;
}

/** Public Ed25519 keys of a JWK Set; private members, if any, are not read. */
export function readPublicKeys(
  file: string,
  { mayBeEmpty } = { mayBeEmpty: false },
): { kid: string; key: KeyObject }[] {
  if (!existsSync(file)) throw new SettingsError(`${file} does not exist; export it with: gatewrit manifest keygen`);
  let list: unknown;
  try {
    list = (JSON.parse(readFileSync(file, 'utf8')) as { keys?: unknown } | null)?.keys;
  } catch (cause) {
    throw new SettingsError(`${file} is not a JWK Set`, cause);
  }
  if (!Array.isArray(list) || (list.length === 0 && !mayBeEmpty))
    throw new SettingsError(`${file} is not a JWK Set with at least one key`);
  return list.map((jwk: Record<string, unknown>) => {
    if (
      jwk['kty'] !== 'OKP' ||
      jwk['crv'] !== 'Ed25519' ||
      typeof jwk['x'] !== 'string' ||
      typeof jwk['kid'] !== 'string'
    ) {
      throw new SettingsError(`${file}: every key must be an Ed25519 JWK with a kid`);
    }
    const key = { kty: 'OKP', crv: 'Ed25519', x: jwk['x'] } as webcrypto.JsonWebKey;
    return { kid: jwk['kid'], key: createPublicKey({ key, format: 'jwk' }) };
  });
}
