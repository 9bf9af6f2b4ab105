import { type CryptoKey, compactVerify } from 'jose';
import { ALGORITHMS, type Algorithm } from './settings.ts';

/** A JWS in compact form, decoded once. Attacker-controlled until `signatureHolds` said yes. */
export interface Compact {
  readonly text: string;
  readonly alg: Algorithm;
  readonly kid: string | null;
  /** Header `typ` in lower case without `application/`, or null. */
  readonly typ: string | null;
  readonly payload: Buffer;
}

/**
 * Takes a token apart without trusting it. Members that bring or point to keys (jwk, jku, x5u, x5c) are never read;
 * no critical extension is understood, so any `crit` is refused (RFC 7515 4.1.11).
 * @returns the parts, or why this is no token we could verify
 */
export function readCompact(text: string): Compact | string {
  const parts = text.split('.', 4);
  if (parts.length !== 3) return 'not three parts';
  const [head, body, signature] = parts as [string, string, string];
  const headBytes = decodePart(head);
  const payload = decodePart(body);
  if (headBytes === null || payload === null || decodePart(signature) === null) return 'not canonical base64url';
  if (signature === '') return 'no signature';
  const header = readObject(headBytes);
  if (header === null) return 'header is not a JSON object';
  const { alg, kid, typ } = header;
  if (typeof alg !== 'string' || !(ALGORITHMS as readonly string[]).includes(alg)) return 'algorithm';
  if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64') || Object.hasOwn(header, 'zip'))
    return 'critical extension';
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > 256)) return 'kid';
  if (typ !== undefined && (typeof typ !== 'string' || typ.length > 64)) return 'typ';
  return {
    text,
    alg: alg as Algorithm,
    kid: kid ?? null,
    typ: typ === undefined ? null : typ.toLowerCase().replace(/^application\//, ''),
    payload,
  };
}

/** Bytes of one part. One text per value: padding, blanks and stray low bits would make two tokens of one. */
function decodePart(part: string): Buffer | null {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.toString('base64url') === part ? bytes : null;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A JSON object from bytes, or null. */
export function readObject(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null; // Not JSON, or not UTF-8: the caller refuses either way.
  }
}

/** Whether one of the keys made this signature. The algorithm is the key's own, never the token's say. */
export async function signatureHolds(token: Compact, keys: readonly CryptoKey[]): Promise<boolean> {
  for (const key of keys) {
    try {
      await compactVerify(token.text, key, { algorithms: [token.alg] });
      return true;
    } catch {
      // Any failure is "no": which one it was is an oracle for whoever made the token.
    }
  }
  return false;
}
