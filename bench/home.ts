import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { type DevelopmentCertificates, ensureDevelopmentCertificates } from '../src/controls/authentication/index.ts';
import { writeDefaultPolicy } from '../src/controls/authorization/index.ts';
import { signManifest } from '../src/controls/registry/index.ts';
import { openSigningKeys, openSymmetricKeys } from '../src/core/crypto/keys.ts';
import { MANIFEST, SCOPE, SERVER } from './tool.ts';

/** Public base URL of every measured system: nobody resolves it, it is what Host and the tokens' audience say. */
export const PUBLIC_URL = 'https://localhost';
export const ADMIN_URL = 'https://localhost:8444';
export const ISSUER = 'https://issuer.bench.test';

/** What all systems of one run share: an issuer's public keys, tokens it signed, a TLS pair. */
export interface Surroundings {
  readonly jwks: string;
  readonly tokens: readonly string[];
  readonly certificates: DevelopmentCertificates;
}

/** Callers of different name; each has one token for the whole run, as a client with an hour-long token would. */
const CALLERS = 8;

/** Makes an ES256 issuer, one token of about 600 bytes for each caller, and a certificate for localhost. */
export async function makeSurroundings(folder: string): Promise<Surroundings> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = 'bench-1';
  const jwks = join(folder, 'issuer.jwks');
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' };
  writeFileSync(jwks, JSON.stringify({ keys: [jwk] }), { mode: 0o600 });
  const groups = ['engineering', 'data-platform', 'on-call-europe'];
  const sign = (caller: number) =>
    new SignJWT({ scope: `${SCOPE} everything:use s3:list`, client_id: 'https://client.bench.test/metadata', groups })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
      .setIssuer(ISSUER)
      .setSubject(`caller-${caller}@bench.test`)
      .setAudience(`${PUBLIC_URL}/mcp`)
      .setIssuedAt()
      .setExpirationTime('1h')
      .setJti(`01234567-89ab-cdef-0123-00000000000${caller}`)
      .sign(privateKey);
  const tokens = await Promise.all(Array.from({ length: CALLERS }, (_, caller) => sign(caller)));
  return { jwks, tokens, certificates: await ensureDevelopmentCertificates(folder) };
}

/** Makes the home of one gateway: keys of every class, the default policy with the bench's scope, a signed manifest. */
export async function makeHome(home: string): Promise<void> {
  const keys = { folder: join(home, 'keys'), generate: true };
  mkdirSync(join(home, 'registry'), { recursive: true, mode: 0o700 });
  for (const name of ['audit-kek', 'state-seal', 'redaction-token', 'approval-mac'] as const)
    openSymmetricKeys(keys, name);
  openSigningKeys(keys, 'checkpoint');
  const operator = openSigningKeys(keys, 'operator')[0];
  await writeDefaultPolicy(join(home, 'policy'), { quickstart: true });
  const scope = `  ${SCOPE}:\n    title: Echo\n    description: Call the echo tool of the bench.\n    risk: low\n`;
  appendFileSync(join(home, 'policy', 'scopes.yaml'), scope);
  writeFileSync(join(home, 'registry', `${SERVER}.jws`), `${await signManifest(MANIFEST, operator)}\n`, {
    mode: 0o600,
  });
}
