import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DAY, madeCertificate } from '../controls/transport/clients-kit.test.ts';
import { InternalError } from '../core/internal-error.ts';
import { certificateDemand, certificateFiles, readClientCertificate } from './client-certificate.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatewrit-client-'));
after(() => rmSync(folder, { recursive: true }));
const authority = await madeCertificate(null);
const alice = await madeCertificate(authority);
const mallory = await madeCertificate(authority, { subject: 'CN=mallory' });
const kept = (name: string, text: string, mode = 0o600) => {
  writeFileSync(join(folder, name), text, { mode });
  return join(folder, name);
};

test('the pair comes from options, else from the environment, never from both; one without the other is wrong use', () => {
  const env = { GATEWRIT_CLIENT_CERT: 'ec', GATEWRIT_CLIENT_KEY: 'ek' };
  assert.equal(certificateFiles({}, {}), null);
  assert.equal(certificateFiles({}, { GATEWRIT_CLIENT_CERT: '', GATEWRIT_CLIENT_KEY: '' }), null);
  assert.deepEqual(certificateFiles({}, env), { cert: 'ec', key: 'ek' });
  assert.deepEqual(certificateFiles({ 'client-cert': 'c', 'client-key': 'k' }, env), { cert: 'c', key: 'k' });
  const halves = [{ 'client-cert': 'c' }, { 'client-key': 'k' }, { 'client-cert': 'c', 'client-key': '' }];
  for (const half of halves) assert.match(String(certificateFiles(half, env)), /go together/);
  for (const name of ['GATEWRIT_CLIENT_CERT', 'GATEWRIT_CLIENT_KEY'])
    assert.match(String(certificateFiles({}, { [name]: 'x' })), /go together/);
});

test('a pair that is missing, open to others, of two people, ended or no PEM is a sentence that tells nothing of the key', () => {
  const cert = kept('alice.pem', alice.cert);
  const key = kept('alice.key', alice.key);
  const now = { utc: Date.now() };
  assert.equal(readClientCertificate(null, now), undefined);
  assert.equal(String(readClientCertificate({ cert, key }, now)?.cert), alice.cert);
  const faults: [string, string, RegExp, number?][] = [
    [join(folder, 'none'), key, /none cannot be read/],
    [cert, join(folder, 'none'), /none cannot be read/],
    [cert, kept('open.key', alice.key, 0o640), /may be read by others .*chmod 600/],
    [cert, kept('empty.key', ''), /is empty/],
    [cert, kept('other.key', mallory.key), /do not belong together/],
    [cert, kept('bad.key', 'secret words'), /not an unencrypted private key/],
    [kept('bad.pem', 'words'), key, /the certificate is not PEM/],
    [cert, key, /the certificate ended at/, 2 * DAY],
  ];
  for (const [first, second, says, later = 0] of faults) {
    const look = () => readClientCertificate({ cert: first, key: second }, { utc: now.utc + later });
    assert.throws(look, (error) => {
      assert.ok(error instanceof InternalError && error.kind === 'outage');
      assert.match(error.message, says);
      assert.doesNotMatch(error.message, /secret words|PRIVATE KEY-/);
      return true;
    });
  }
});

test('an alert says what the gateway wants, however deep; an end without one only guesses; other faults say nothing of it', () => {
  const broken = (code: string) => Object.assign(new Error('x'), { code });
  const required = broken('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
  assert.match(
    certificateDemand(new TypeError('fetch failed', { cause: required }), false)!,
    /demands .*--client-cert/,
  );
  assert.match(certificateDemand(broken('ECONNRESET'), false)!, /^the gateway ended the connection; if it demands/);
  assert.match(certificateDemand(broken('UND_ERR_SOCKET'), true)!, /may not accept this client certificate/);
  assert.match(certificateDemand(broken('ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'), true)!, /refused this client certificate/);
  for (const code of ['ECONNREFUSED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'UND_ERR_HEADERS_TIMEOUT'])
    assert.equal(certificateDemand(broken(code), false), null);
});
