import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { Agent, request } from 'undici';
import {
  type Audit,
  auditSettings,
  LogReader,
  openAudit,
  readVerifiers,
  retireKek,
  rotateKek,
  verifyLog,
} from '../../src/controls/audit/index.ts';
import { ensureDevelopmentCertificates } from '../../src/controls/authentication/development/certificates.ts';
import { sha256 } from '../../src/core/crypto/digest.ts';
import { openSqliteStore } from '../../src/core/store/sqlite.ts';
import type { Store } from '../../src/core/store/store.ts';
import { find, lastLines, skipped } from './install.ts';
import { freePort, RunningServer } from './running.ts';

/**
 * The KEK of the audit log wrapped by a real HashiCorp Vault: its core and its transit engine, in memory, over TLS. The
 * program around them (transit-server/) stands for `vault server -dev`, which only comes with every plugin there is.
 */
const VAULT = 'github.com/hashicorp/vault@v1.21.1';
const BUILD_MS = 20 * 60_000;
const source = join(import.meta.dirname, 'transit-server/main.go');
const folder = join(
  homedir(),
  '.cache/gatewrit-services',
  `transit-server-${sha256(readFileSync(source)).toString('hex').slice(0, 16)}`,
);
const program = join(folder, 'transit-server');
const missing = build();

function build(): string | null {
  if (existsSync(program)) return null;
  if (!find('go')) return skipped(VAULT, 'there is no Go toolchain on PATH');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  copyFileSync(source, join(folder, 'main.go'));
  const go = (...args: string[]) => execFileSync('go', args, { cwd: folder, timeout: BUILD_MS, stdio: 'pipe' });
  try {
    rmSync(join(folder, 'go.mod'), { force: true });
    go('mod', 'init', 'transitserver');
    go('get', VAULT);
    go('build', '-mod=mod', '-ldflags', '-s -w', '-o', 'transit-server', '.');
    return null;
  } catch (error) {
    return skipped(VAULT, `it could not be built: ${lastLines(error)}`);
  }
}

interface Started {
  readonly token: string;
  readonly unseal: string;
}

describe('the KEK wrapped by a real Vault', { skip: missing ?? false }, () => {
  const root = mkdtempSync(join(tmpdir(), 'gatewrit-kms-'));
  let server: RunningServer;
  let started: Started;
  let url: string;
  let ca: string;
  let agent: Agent;
  let home: string;
  let store: Store;
  let audit: Audit | null = null;
  const faults: unknown[] = [];

  const vault = async (method: 'GET' | 'POST' | 'PUT', path: string, body?: object) => {
    const answer = await request(new URL(`/v1/${path}`, url), {
      method,
      dispatcher: agent,
      headers: { 'x-vault-token': started.token },
      body: body ? JSON.stringify(body) : null,
    });
    const text = await answer.body.text();
    assert.ok(answer.statusCode < 300, `${path}: ${answer.statusCode} ${text}`);
    return text === '' ? {} : JSON.parse(text);
  };

  before(async () => {
    const made = await ensureDevelopmentCertificates(root);
    ca = made.ca;
    agent = new Agent({ connect: { ca: readFileSync(ca) } });
    const port = await freePort();
    url = `https://localhost:${port}`;
    server = new RunningServer(program, [made.cert, made.key, `127.0.0.1:${port}`]);
    await server.until(async () => {
      started = JSON.parse(/^\{.*\}$/m.exec(server.output)![0]) as Started;
    });
    await vault('POST', 'sys/mounts/transit', { type: 'transit' });
    for (const key of ['gatewrit', 'other']) await vault('POST', `transit/keys/${key}`, {});
    const policy = ['encrypt', 'decrypt'].map((act) => `path "transit/${act}/gatewrit" { capabilities = ["update"] }`);
    await vault('PUT', 'sys/policies/acl/gatewrit', { policy: policy.join('\n') });
    const made2 = await vault('POST', 'auth/token/create', { policies: ['gatewrit'], no_default_policy: true });
    process.env['KMS_TEST_TOKEN'] = made2.auth.client_token;
  });
  after(async () => {
    await agent?.destroy();
    await server?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  beforeEach(() => {
    home = mkdtempSync(join(root, 'home-'));
    store = openSqliteStore({ path: join(home, 'store', 'gatewrit.db') });
    faults.length = 0;
  });
  afterEach(async () => {
    await audit?.close();
    audit = null;
    await store.close();
  });

  const transit = (changes: object = {}) => ({
    transit: { url, key: 'gatewrit', token: 'env:KMS_TEST_TOKEN', ca, ...changes },
  });
  const open = async (kek: object | null = transit(), settings: object = {}) => {
    audit = await openAudit({
      settings: auditSettings.parse({ ...(kek ? { kek } : {}), ...settings }),
      home,
      keys: { folder: join(home, 'keys'), generate: true },
      store,
      deployment: 'kms',
      replica: 'node-0',
      onFatal: (error) => assert.fail(error),
      onKeyFault: (error) => faults.push(error),
    });
    return audit;
  };
  const say = (log: Audit, subject: string) =>
    log.record({ kind: 'operation', tenant: 'acme', subject, meta: {}, payload: Buffer.from(`${subject} said so`) });
  const records = async () => {
    const keys = { folder: join(home, 'keys'), generate: false };
    return (await LogReader.open({ home, keys, store, deployment: 'kms' })).last(100);
  };
  const wrapped = async () =>
    (
      JSON.parse(String(Buffer.from((await store.get('audit_keks', 'deployment/keks', Date.now()))!.value))) as {
        keks: { kid: string; wrapped: string }[];
      }
    ).keks;
  const where = () => ({ home, store, now: Date.now() });

  test('the log is written and read; the store holds only what Vault wrapped, and no key file is made', async () => {
    const log = await open();
    await say(log, 'alice');
    await log.close();
    audit = null;
    assert.deepEqual(await verifyFindings(), []);
    const [record] = (await records()).filter(({ envelope }) => envelope.kind === 'operation');
    assert.equal(String(record?.payload?.get('event')), 'alice said so');
    const [kek] = await wrapped();
    assert.match(kek!.wrapped, /^vault:v1:/);
    assert.ok(!existsSync(join(home, 'keys/audit-kek.jwks')));
    assert.ok(!readFileSync(join(home, 'keys/audit-kek.place.json'), 'utf8').includes(process.env['KMS_TEST_TOKEN']!));
  });

  test('while Vault is sealed the log goes on, new people and new segments too; a start is refused with a sentence', async () => {
    const log = await open(transit(), { segmentBytes: 65_536 });
    await say(log, 'alice');
    await vault('PUT', 'sys/seal');
    try {
      for (let i = 0; i < 300; i++) await say(log, `person ${i}`);
      await log.close();
      audit = null;
      await assert.rejects(
        () => open(),
        ({ code, message }: Error & { code: string }) =>
          code === 'audit.kms' &&
          /^the key management service at localhost:\d+ \(transit\/gatewrit\): decrypt was answered 503; /.test(
            message,
          ) &&
          !message.includes(process.env['KMS_TEST_TOKEN']!),
      );
    } finally {
      const key = Buffer.from(started.unseal, 'hex').toString('base64');
      await vault('PUT', 'sys/unseal', { key });
    }
    await open();
    assert.equal((await records()).filter(({ payload }) => payload !== null).length, 100);
  });

  test('both are rotated: the master key in Vault, and ours under it; the old version may then go', async () => {
    const log = await open();
    for (let i = 0; i < 20; i++) await say(log, `person ${i}`);
    await vault('POST', 'transit/keys/gatewrit/rotate', {});
    const before = (await wrapped())[0]!;
    const rotated = await rotateKek(where());
    assert.equal(rotated.other, before.kid);
    await assert.rejects(() => rotateKek(where()), /two KEKs are live/);
    await assert.rejects(() => retireKek(where()), /\d+ stored keys are not wrapped under/);
    await log.takeOverKeys();
    await retireKek(where());
    await log.takeOverKeys();
    assert.deepEqual(faults, []);
    const left = await wrapped();
    assert.deepEqual(
      left.map(({ kid, wrapped }) => [kid, wrapped.slice(0, 9)]),
      [[rotated.current, 'vault:v2:']],
    );
    await vault('POST', 'transit/keys/gatewrit/config', { min_decryption_version: 2 });
    await log.close();
    await open();
    for (const { notes } of await records()) assert.deepEqual(notes, []);
  });

  test('another key, another token, a changed row or a stranger at that address: no start, and no secret is said', async () => {
    await (await open()).close();
    audit = null;
    const refused = async (kek: object, what: RegExp) =>
      assert.rejects(
        () => open(kek),
        (error: Error & { code: string }) => {
          assert.match(error.message, what);
          assert.ok(!`${error.stack}`.includes(process.env['KMS_TEST_TOKEN']!));
          return true;
        },
      );
    await refused(transit({ key: 'other' }), /decrypt was answered 403/);
    process.env['KMS_WRONG_TOKEN'] = 'hvs.nobody';
    await refused(transit({ token: 'env:KMS_WRONG_TOKEN' }), /decrypt was answered 403/);
    await refused(transit({ token: 'env:KMS_NO_TOKEN' }), /env:KMS_NO_TOKEN is not set/);
    await refused(transit({ ca: undefined }), /it cannot be asked/);
    await refused(transit({ url: `https://localhost:${await freePort()}` }), /it cannot be asked/);
    assert.throws(() => auditSettings.parse({ kek: transit({ url: url.replace('https', 'http') }) }));

    // The name of a key is part of what Vault authenticates: a row that names another does not open.
    const row = (await store.get('audit_keks', 'deployment/keks', Date.now()))!;
    const { v, keks } = JSON.parse(String(Buffer.from(row.value)));
    const changed = Buffer.from(JSON.stringify({ v, keks: [{ ...keks[0], kid: 'AAAAAAAAAAAAAAAA' }] }));
    await store.set('audit_keks', 'deployment/keks', changed, {
      expect: row.version,
      expiresAt: null,
      now: Date.now(),
    });
    await refused(transit(), /decrypt was answered 400/);
  });

  test('a home moves from a key file to Vault: everything is wrapped anew, then the file may go', async () => {
    const log = await open(null);
    for (let i = 0; i < 5; i++) await say(log, `person ${i}`);
    await log.close();
    await (await open()).takeOverKeys();
    await audit!.close();
    rmSync(join(home, 'keys/audit-kek.jwks'));
    await say(await open(), 'person 1');
    for (const { notes } of await records()) assert.deepEqual(notes, []);
    assert.deepEqual(await verifyFindings(), []);
  });

  async function verifyFindings() {
    const reports = await verifyLog(join(home, 'audit'), readVerifiers(join(home, 'keys/audit.pub')));
    return reports.flatMap((report) => report.findings);
  }
});
