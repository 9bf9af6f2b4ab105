import { createPrivateKey, generateKeyPairSync, type KeyObject, sign, type webcrypto } from 'node:crypto';
import type { CallWith, Now } from '../../core/call.ts';

/** What the tests of this folder sign and send with; holds no test of its own. Everything is done by node:crypto, not by jose. */

export const RESOURCE = 'https://localhost:8443/mcp';
export const ISSUER = 'https://issuer.example';
export const START: Now = { utc: 1_800_000_000_000, mono: 1_000_000 };
export const seconds = START.utc / 1000;

export const later = (ms: number): Now => ({ utc: START.utc + ms, mono: START.mono + ms });
export const b64 = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export interface TestKey {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly jwk: Record<string, unknown>;
}

export function makeKey(alg: string, kid: string): TestKey {
  const pair =
    alg === 'ES256' || alg === 'ES384'
      ? generateKeyPairSync('ec', { namedCurve: alg === 'ES256' ? 'P-256' : 'P-384' })
      : alg === 'EdDSA'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { publicKey, privateKey } = pair;
  return { alg, kid, privateKey, publicKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' } };
}

export const jwks = (...keys: TestKey[]): Buffer => Buffer.from(JSON.stringify({ keys: keys.map((key) => key.jwk) }));

export function signatureOf(alg: string, key: KeyObject, input: string): string {
  const data = Buffer.from(input);
  if (alg === 'EdDSA') return sign(null, data, key).toString('base64url');
  if (alg.startsWith('ES'))
    return sign(`sha${alg.slice(2)}`, data, { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
  const pss = alg.startsWith('PS') ? { padding: 6, saltLength: Number(alg.slice(2)) / 8 } : {};
  return sign(`sha${alg.slice(2)}`, data, { key, ...pss }).toString('base64url');
}

export const goodClaims = (): Record<string, unknown> => ({
  iss: ISSUER,
  sub: 'alice',
  aud: RESOURCE,
  iat: seconds,
  exp: seconds + 300,
  scope: 'jira:read s3:list',
  client_id: 'cli',
});

/** A token as its issuer would sign it, with members of header and payload replaced (undefined: left out). */
export function makeToken(
  key: TestKey,
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): string {
  const head = { alg: key.alg, typ: 'at+jwt', kid: key.kid, ...header };
  const input = `${b64(head)}.${b64({ ...goodClaims(), ...claims })}`;
  return `${input}.${signatureOf(String(head.alg ?? key.alg), key.privateKey, input)}`;
}

export const bearer = (token: string): string[] => ['Authorization', `Bearer ${token}`];

/** The least a call needs to be authenticated. */
export function callWith(
  rawHeaders: readonly string[],
  more: { resource?: string; certificate?: string; query?: string } = {},
): CallWith<'endpoint' | 'door'> {
  return {
    head: {
      method: 'POST',
      path: '/mcp',
      query: more.query ?? '',
      headers: {},
      rawHeaders,
      address: '192.0.2.7',
      certificate: more.certificate ?? null,
    },
    endpoint: { server: null, resource: more.resource ?? RESOURCE, admin: false },
    door: { address: '192.0.2.7' },
  } as unknown as CallWith<'endpoint' | 'door'>;
}

export const privateKeyOf = (jwk: object): KeyObject =>
  createPrivateKey({ key: jwk as webcrypto.JsonWebKey, format: 'jwk' });
