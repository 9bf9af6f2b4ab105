import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyPair } from './server.ts';

/** Organisations and names that generators put in when nobody said one: their keys are made in passing, or public. */
const SAMPLES =
  /\b(Internet Widgits|Default Company|snake ?oil|Acme Co|Example (Inc|Org|Corp)|Gatewrit development)\b/i;
const SOON_DAYS = 14;
const DAY = 86_400_000;

export interface LeafJudgement {
  /** Why this pair must not be served. Empty: it may. */
  readonly refused: readonly string[];
  /** What somebody should see to soon. */
  readonly soon: readonly string[];
  /** ms UTC; null when the certificate cannot be read. */
  readonly expiresAt: number | null;
}

/**
 * Judges a TLS leaf before it is served, at the start and at each reload.
 * @param development the pair made for this machine alone, whose authority would be a sample anywhere else
 */
export function judgeLeaf(pair: KeyPair, now: { readonly utc: number }, development = false): LeafJudgement {
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(pair.certificate);
  } catch {
    return { refused: ['the certificate is not PEM'], soon: [], expiresAt: null };
  }
  const [from, to] = [leaf.validFromDate.getTime(), leaf.validToDate.getTime()];
  const refused: string[] = [];
  if (now.utc >= to) refused.push(`the certificate ended at ${new Date(to).toISOString()}`);
  else if (now.utc < from) refused.push(`the certificate begins at ${new Date(from).toISOString()}`);
  const sample = development ? null : SAMPLES.exec(`${leaf.subject}\n${leaf.issuer}`);
  if (sample !== null) refused.push(`the certificate is a sample ("${sample[0]}")`);
  refused.push(...faultsOfKey(leaf, pair.key));
  const days = Math.floor((to - now.utc) / DAY);
  const soon =
    days < SOON_DAYS && now.utc < to ? [`the certificate ends in ${days} ${days === 1 ? 'day' : 'days'}`] : [];
  return { refused, soon, expiresAt: to };
}

function faultsOfKey(leaf: X509Certificate, pem: KeyPair['key']): string[] {
  try {
    const key = createPrivateKey(pem);
    if (!leaf.checkPrivateKey(key)) return ['certificate and key do not belong together'];
    const { modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
    if (key.asymmetricKeyType?.startsWith('rsa') && modulusLength < 2048)
      return [`the key is RSA of ${modulusLength} bits; at least 2048 are needed`];
    return [];
  } catch {
    return ['the key is not an unencrypted private key in PEM'];
  }
}
