import 'reflect-metadata';
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { X509CertificateGenerator } from '@peculiar/x509';
import { readSection } from '../../core/settings.ts';
import { openTransport } from './index.ts';
import { judgeLeaf } from './leaf.ts';
import type { KeyPair } from './server.ts';
import { transportSettings } from './settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatewrit-leaf-'));
after(() => rmSync(folder, { recursive: true }));
const NOW = { utc: Date.UTC(2026, 5, 1) };
const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const rsa = (modulusLength: number) => ({
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength,
  publicExponent: Uint8Array.of(1, 0, 1),
  hash: 'SHA-256',
});

async function made(
  name: string,
  until = Date.UTC(2090, 0, 1),
  algorithm: typeof EC | ReturnType<typeof rsa> = EC,
): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name,
    keys: keys as webcrypto.CryptoKeyPair,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.UTC(2026, 0, 1)),
    notAfter: new Date(until),
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', (keys as webcrypto.CryptoKeyPair).privateKey));
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.toString('base64')}\n-----END PRIVATE KEY-----\n`;
  return { certificate: certificate.toString('pem'), key };
}

test('a leaf is served only when it is current, ours, and of a key that is neither weak nor a sample', async () => {
  const good = await made('CN=mcp.example.com');
  const other = await made('CN=other');
  const refused = (pair: KeyPair, now = NOW) => judgeLeaf(pair, now).refused.join();
  assert.equal(refused(good), '');
  assert.match(refused(await made('CN=a', Date.UTC(2026, 4, 1))), /ended at 2026-05-01/);
  assert.match(refused(good, { utc: Date.UTC(2025, 0, 1) }), /begins at 2026-01-01/);
  assert.match(refused({ ...good, key: other.key }), /do not belong together/);
  assert.match(refused({ ...good, key: 'no key' }), /not an unencrypted private key/);
  assert.match(refused({ ...good, certificate: '' }), /not PEM/);
  assert.match(refused(await made('CN=a', undefined, rsa(1024))), /RSA of 1024 bits/);
  assert.equal(refused(await made('CN=a', undefined, rsa(2048))), '');
  assert.match(refused(await made('C=AU, O=Internet Widgits Pty Ltd')), /is a sample/);
  const ours = await made('CN=localhost, O=Gatewrit development');
  assert.match(refused(ours), /is a sample/);
  assert.deepEqual(judgeLeaf(ours, NOW, true).refused, [], 'on the machine it was made for');
  assert.deepEqual(judgeLeaf(await made('CN=a', NOW.utc + 5.5 * 86_400_000), NOW).soon, [
    'the certificate ends in 5 days',
  ]);
  assert.deepEqual(judgeLeaf(good, NOW).soon, []);
});

test('a new pair serves new connections while old ones go on; a bad one leaves the old in place', async () => {
  const [certificate, keyFile] = [join(folder, 'chain.pem'), join(folder, 'key.pem')];
  const write = (pair: KeyPair) => {
    writeFileSync(`${keyFile}.new`, pair.key, { mode: 0o600 });
    writeFileSync(certificate, pair.certificate);
    renameSync(`${keyFile}.new`, keyFile);
  };
  write(await made('CN=first'));
  const transport = openTransport({
    settings: readSection('transport', transportSettings, { tls: { certificate, key: `file:${keyFile}` } }),
    home: '/nowhere',
    resources: { resource: () => null, hosts: () => [] },
  });
  assert.deepEqual(transport.reload, { files: [certificate, keyFile], everySeconds: 10 });
  const server = createServer(transport.serverOptions(transport.leaf(NOW)), (_, res) => res.end('ok'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const sockets: TLSSocket[] = [];
  const dial = () =>
    new Promise<TLSSocket>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => resolve(socket));
      socket.once('error', reject);
      sockets.push(socket);
    });
  const answer = (socket: TLSSocket) =>
    new Promise<string>((resolve) => {
      socket.once('data', (chunk) => resolve(String(chunk).slice(0, 15)));
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    });
  const nameOf = (socket: TLSSocket) => socket.getPeerCertificate().subject.CN;
  try {
    const old = await dial();
    assert.equal(nameOf(old), 'first');
    write(await made('CN=second'));
    server.setSecureContext(transport.serverOptions(transport.leaf(NOW)));
    const fresh = await dial();
    assert.equal(nameOf(fresh), 'second');
    assert.equal(await answer(old), 'HTTP/1.1 200 OK');
    assert.equal(await answer(fresh), 'HTTP/1.1 200 OK');
    assert.equal(fresh.getProtocol(), 'TLSv1.3');

    write({ ...(await made('CN=third')), key: (await made('CN=fourth')).key });
    assert.throws(() => transport.leaf(NOW), /transport\.tls cannot be served: certificate and key do not belong/);
    assert.equal(nameOf(await dial()), 'second');
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});
