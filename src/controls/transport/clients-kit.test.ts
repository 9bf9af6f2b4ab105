import 'reflect-metadata';
import { X509Certificate as ReadCertificate, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { sha256Base64Url } from '../../core/crypto/digest.ts';

/** Authorities and certificates of clients, made on the spot; holds no test of its own. */

export const DAY = 86_400_000;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
cryptoProvider.set(webcrypto as Crypto);
let serial = 0;

export interface MadeCertificate {
  /** PEM. */
  readonly cert: string;
  /** PKCS #8, PEM. */
  readonly key: string;
  /** As `cnf.x5t#S256` writes it (RFC 8705). */
  readonly thumbprint: string;
  readonly subject: string;
  readonly signingKey: webcrypto.CryptoKey;
}

export interface Wanted {
  readonly subject?: string;
  /** Ms from now; by default from eight days ago to tomorrow. */
  readonly from?: number;
  readonly until?: number;
  /** `serverAuth` or `clientAuth`; null: no such extension. */
  readonly use?: 'serverAuth' | 'clientAuth' | null;
}

/** An authority of its own key, or with `by` a certificate that one issued. */
export async function madeCertificate(
  by: MadeCertificate | null,
  { subject = by ? 'CN=alice' : 'CN=Clients', from = -8 * DAY, until = DAY, use = 'clientAuth' }: Wanted = {},
): Promise<MadeCertificate> {
  const pair = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const authority = [
    new BasicConstraintsExtension(true, 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
  ];
  const leaf = use === null ? [] : [new ExtendedKeyUsageExtension([ExtendedKeyUsage[use]])];
  const made = await X509CertificateGenerator.create({
    subject,
    issuer: by?.subject ?? subject,
    publicKey: pair.publicKey as CryptoKey,
    signingKey: (by?.signingKey ?? pair.privateKey) as CryptoKey,
    signingAlgorithm: ALGORITHM,
    serialNumber: (++serial).toString(16).padStart(4, '0'),
    notBefore: new Date(Date.now() + from),
    notAfter: new Date(Date.now() + until),
    extensions: by === null ? authority : leaf,
  });
  const cert = `${made.toString('pem')}\n`;
  return {
    cert,
    key: PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', pair.privateKey), 'PRIVATE KEY'),
    thumbprint: sha256Base64Url(new ReadCertificate(cert).raw),
    subject,
    signingKey: pair.privateKey,
  };
}

/**
 * What a client may present that does not hold, by what is wrong with it; the subject and the name of the authority are
 * those of a good one.
 */
export async function falseCertificates(authority: MadeCertificate): Promise<ReadonlyMap<string, MadeCertificate>> {
  const good = await madeCertificate(authority);
  const below = await madeCertificate(good);
  return new Map([
    ['another authority', await madeCertificate(await madeCertificate(null, { subject: 'CN=Others' }))],
    ['another authority of the same name', await madeCertificate(await madeCertificate(null))],
    ['its own authority', await madeCertificate(null, { subject: 'CN=alice' })],
    ['expired', await madeCertificate(authority, { until: -1_000 })],
    ['not valid yet', await madeCertificate(authority, { from: DAY / 2 })],
    ['of a server', await madeCertificate(authority, { use: 'serverAuth' })],
    ['issued by a client', { ...below, cert: below.cert + good.cert }],
  ]);
}
