import type { KeyObject } from 'node:crypto';
import { CompactSign, compactVerify } from 'jose';
import { sha256Base64Url } from '../../core/crypto/digest.ts';
import { canonicalJson } from '../../core/crypto/jcs.ts';
import type { SigningKey } from '../../core/crypto/keys.ts';
import { type Fault, type FaultCode, MAX_MANIFEST_BYTES, type Manifest, readManifest } from './manifest.ts';
import { parseStrict } from './strict-json.ts';

export const MANIFEST_TYPE = 'gatewrit-manifest+jws';
const ALGORITHM = 'EdDSA';

/** Whose signature counts: operator public keys by kid. Nothing a manifest says can add to it. */
export type TrustStore = ReadonlyMap<string, KeyObject>;

export interface VerifiedManifest {
  readonly manifest: Manifest;
  /** SHA-256 (base64url) of the signed payload. */
  readonly digest: string;
  readonly kid: string;
}

/**
 * Signs a manifest as it was written: the payload is its RFC 8785 form, byte for byte.
 * @param raw the parsed tree that `readManifest` gave back, not the typed manifest (which has defaults filled in)
 * @returns compact JWS
 */
export async function signManifest(raw: unknown, key: SigningKey): Promise<string> {
  const payload = new TextEncoder().encode(canonicalJson(raw));
  // Alphabetical members, so that the header is canonical too and verification can insist on it.
  return await new CompactSign(payload)
    .setProtectedHeader({ alg: ALGORITHM, kid: key.kid, typ: MANIFEST_TYPE })
    .sign(key.privateKey);
}

export interface Expectation {
  readonly trust: TrustStore;
  /** Server the manifest must speak of (its file name); null when any will do. */
  readonly server: string | null;
  /** ms UTC. */
  readonly now: number;
}

/**
 * Verifies a compact JWS (attacker-controlled text) and collects every reason against it. Key and algorithm come from
 * us: the header may only name a kid of the trust store; `jwk`, `jku`, `x5c`, `crit`, `b64` and all other members are refused.
 */
export async function verifyManifest(
  token: string,
  expect: Expectation,
): Promise<VerifiedManifest | { readonly faults: readonly Fault[] }> {
  const faults: Fault[] = [];
  const refuse = (code: FaultCode, text: string) => {
    faults.push({ code, text });
  };
  const parts = token.trim().split('.');
  if (token.length > MAX_MANIFEST_BYTES * 1.4 || parts.length !== 3 || !parts.every(isBase64Url)) {
    return { faults: [{ code: 'malformed', text: 'not one compact JWS of at most 4 MiB' }] };
  }
  const [head, body] = parts as [string, string, string];
  const kid = checkHeader(Buffer.from(head, 'base64url'), expect.trust, refuse);
  const key = kid === null ? undefined : expect.trust.get(kid);
  if (key) {
    await compactVerify(parts.join('.'), key, { algorithms: [ALGORITHM] }).catch(() =>
      refuse('signature', 'the signature does not fit this text and key'),
    );
  }
  const payload = Buffer.from(body, 'base64url');
  const manifest = checkPayload(payload, expect, refuse);
  if (faults.length > 0 || !manifest || kid === null) return { faults };
  return { manifest, digest: sha256Base64Url(payload), kid };
}

function isBase64Url(part: string): boolean {
  return /^[A-Za-z0-9_-]+$/.test(part) && Buffer.from(part, 'base64url').toString('base64url') === part;
}

function checkHeader(bytes: Buffer, trust: TrustStore, refuse: (code: FaultCode, text: string) => void): string | null {
  const parsed = parseStrict(bytes);
  const header = typeof parsed === 'object' ? (parsed.value as Record<string, unknown>) : null;
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    refuse('header', 'the protected header is not one JSON object without repeated members');
    return null;
  }
  const { alg, kid, typ } = header;
  const members = Object.keys(header).sort().join();
  if (members !== 'alg,kid,typ') refuse('header', 'the protected header must hold alg, kid and typ and nothing else');
  if (alg !== ALGORITHM) refuse('algorithm', `alg must be ${ALGORITHM}`);
  if (typ !== MANIFEST_TYPE) refuse('type', `typ must be ${MANIFEST_TYPE}`);
  if (typeof kid !== 'string' || !trust.has(kid)) {
    refuse('unknown_key', 'kid names no key of the trust store');
    return null;
  }
  return kid;
}

function checkPayload(
  bytes: Buffer,
  expect: Expectation,
  refuse: (code: FaultCode, text: string) => void,
): Manifest | null {
  const read = readManifest(bytes);
  if ('faults' in read) {
    for (const fault of read.faults) refuse(fault.code, fault.text);
    return null;
  }
  const { manifest, raw } = read;
  if (!bytes.equals(canonicalBytes(raw))) refuse('not_canonical', 'the payload is not in canonical form (RFC 8785)');
  if (manifest.expires !== undefined && Date.parse(manifest.expires) <= expect.now)
    refuse('expired', `it expired at ${manifest.expires}`);
  if (expect.server !== null && manifest.server !== expect.server) {
    refuse('other_subject', `it speaks of server ${manifest.server}, not of ${expect.server}`);
  }
  return manifest;
}

function canonicalBytes(value: unknown): Uint8Array {
  try {
    return Buffer.from(canonicalJson(value));
  } catch {
    // A value without canonical form (a lone surrogate) cannot have been signed by us; no bytes equal none.
    return Buffer.alloc(0);
  }
}
