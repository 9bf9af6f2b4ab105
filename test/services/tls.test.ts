import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Quickstart } from '../e2e/quickstart.ts';
import { debian } from './install.ts';

/** What independent tools say of the TLS of every listener: testssl.sh, and openssl asking for what is not offered. */
const missing = debian('testssl', 'testssl.sh') ?? debian('openssl', 'openssl');
const LISTENERS = ['mcp', 'admin', 'issuer'] as const;
const OLD = ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1', 'TLS1_2'];

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

describe('TLS of a running gateway', { skip: missing ?? false }, () => {
  let quickstart: Quickstart;
  before(async () => {
    quickstart = await Quickstart.start();
  });
  after(() => quickstart?.close());

  for (const listener of LISTENERS) {
    test(`testssl.sh: ${listener} offers TLS 1.3 alone, with a chain that leads to the development CA`, async () => {
      const findings = await scan(new URL(quickstart.gateway.ready[listener]).host);
      const of = (id: string) => findings.find((finding) => finding.id === id)?.finding ?? 'nothing';
      for (const id of OLD) assert.equal(of(id), 'not offered', id);
      assert.match(of('TLS1_3'), /^offered/);
      assert.match(of('cert_chain_of_trust'), /^passed/);
      assert.match(of('cert_trust'), /^Ok via SAN/);
      assert.equal(of('cert_expirationStatus').startsWith('expired'), false);
      // The development leaf lives 90 days, without revocation: both are said of it, nothing else may be.
      const bad = findings.filter(({ severity }) => ['HIGH', 'CRITICAL', 'MEDIUM'].includes(severity));
      assert.deepEqual(
        bad.map(({ id }) => id).filter((id) => id !== 'cert_revocation'),
        [],
      );
    });

    test(`openssl: ${listener} refuses TLS 1.2 and speaks TLS 1.3`, async () => {
      const { host } = new URL(quickstart.gateway.ready[listener]);
      const old = await handshake(host, '-tls1_2');
      assert.notEqual(old.code, 0);
      assert.match(old.output, /alert protocol version/);
      const now = await handshake(host, '-tls1_3');
      assert.equal(now.code, 0, now.output);
      assert.match(now.output, /Verify return code: 0 \(ok\)/);
    });
  }

  function handshake(host: string, version: string): Promise<{ code: number; output: string }> {
    const args = ['s_client', '-connect', host, '-servername', 'localhost', '-CAfile', quickstart.gateway.ready.ca];
    return run('openssl', [...args, '-verify_hostname', 'localhost', '-verify_return_error', version], 30_000);
  }

  async function scan(host: string): Promise<Finding[]> {
    const file = join(quickstart.gateway.home, `testssl-${host.replace(':', '-')}.json`);
    const quiet = ['--quiet', '--color', '0', '--warnings', 'off', '--nodns', 'none', '--ip', '127.0.0.1'];
    const what = ['--add-ca', quickstart.gateway.ready.ca, '--jsonfile', file, '-p', '-S', '-U', host];
    const { output } = await run('testssl', [...quiet, ...what], 240_000);
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as Finding[];
    } catch (cause) {
      throw new Error(`testssl.sh wrote no findings:\n${output.slice(-2_000)}`, { cause });
    }
  }
});

function run(command: string, args: readonly string[], timeout: number): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(command, [...args], { timeout, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr }),
    );
    child.stdin!.end();
  });
}
