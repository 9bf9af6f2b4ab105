// Runs as its own process (certificates.ts starts it): @peculiar/x509 needs reflect-metadata, which changes globals.
import 'reflect-metadata';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

const DAY = 86_400_000;
const CA_DAYS = 1825;
const LEAF_DAYS = 90;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** One DER value; contents stay under 128 bytes here. */
const der = (tag: number, ...parts: Uint8Array[]) =>
  Buffer.concat([Buffer.of(tag, Buffer.concat(parts).length), ...parts]);

/** RFC 5280 4.2.1.10: DNS localhost, 127.0.0.0/8 and ::1 only, so that a stolen key can vouch for nothing else. */
const LOOPBACK_ONLY = der(
  0x30,
  der(
    0xa0,
    der(0x30, der(0x82, Buffer.from('localhost'))),
    der(0x30, der(0x87, Buffer.of(127, 0, 0, 0, 255, 0, 0, 0))),
    der(0x30, der(0x87, Buffer.alloc(15), Buffer.of(1), Buffer.alloc(16, 0xff))),
  ),
);

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('name the key folder');
mkdirSync(folder, { recursive: true, mode: 0o700 });
chmodSync(folder, 0o700);

x509.cryptoProvider.set(globalThis.crypto);
const now = Date.now();
const authority = (await openAuthority(folder)) ?? (await makeAuthority(folder));
await makeLeaf(folder, authority);

interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly privateKey: CryptoKey;
}

/** The authority made earlier, when a leaf can still live under it. */
async function openAuthority(keys: string): Promise<Authority | null> {
  const [pem, key] = [join(keys, 'ca.pem'), join(keys, 'ca.key')];
  if (!existsSync(pem) || !existsSync(key)) return null;
  try {
    const read = new X509Certificate(readFileSync(pem));
    const usable =
      read.ca &&
      read.checkIssued(read) &&
      read.checkPrivateKey(createPrivateKey(readFileSync(key))) &&
      read.validToDate.getTime() > now + (LEAF_DAYS + 1) * DAY;
    if (!usable) return null;
    const bytes = x509.PemConverter.decodeFirst(readFileSync(key, 'utf8'));
    const privateKey = await crypto.subtle.importKey('pkcs8', bytes, ALGORITHM, false, ['sign']);
    return { certificate: new x509.X509Certificate(read.raw), privateKey };
  } catch {
    return null; // Unreadable: a new one is made, and browsers have to be told again.
  }
}

async function makeAuthority(keys: string): Promise<Authority> {
  const pair = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=Gatewrit development CA ${randomSerial().slice(2, 10)}, O=Gatewrit development`,
    keys: pair,
    signingAlgorithm: ALGORITHM,
    serialNumber: randomSerial(),
    notBefore: new Date(now - DAY),
    notAfter: new Date(now + CA_DAYS * DAY),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.Extension('2.5.29.30', true, LOOPBACK_ONLY),
      await x509.SubjectKeyIdentifierExtension.create(pair.publicKey),
    ],
  });
  await writePair(keys, 'ca', certificate, pair.privateKey);
  return { certificate, privateKey: pair.privateKey };
}

async function makeLeaf(keys: string, { certificate: issuer, privateKey }: Authority): Promise<void> {
  const pair = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const leaf = await x509.X509CertificateGenerator.create({
    subject: 'CN=localhost',
    issuer: issuer.subject,
    publicKey: pair.publicKey,
    signingKey: privateKey,
    signingAlgorithm: ALGORITHM,
    serialNumber: randomSerial(),
    notBefore: new Date(now - DAY),
    notAfter: new Date(now + LEAF_DAYS * DAY),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(pair.publicKey),
    ],
  });
  await writePair(keys, 'tls', leaf, pair.privateKey);
}

async function writePair(keys: string, name: string, certificate: x509.X509Certificate, key: CryptoKey): Promise<void> {
  const bytes = await crypto.subtle.exportKey('pkcs8', key);
  place(join(keys, `${name}.key`), `${x509.PemConverter.encode(bytes, 'PRIVATE KEY')}\n`);
  place(join(keys, `${name}.pem`), `${certificate.toString('pem')}\n`);
}

/** Whole or not at all: a reader never sees half a key. */
function place(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** 127 random bits, positive and not zero (RFC 5280 4.1.2.2). */
function randomSerial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}
