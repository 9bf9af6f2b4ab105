import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { Audit } from '../../src/controls/audit/audit.ts';
import { type Fixture, fixture, readyCall, runCall } from '../../src/controls/audit/audit-kit.test.ts';
import { openS3Log } from '../../src/controls/audit/sinks/s3-source.ts';
import { readVerifiers, verifyLog } from '../../src/controls/audit/verifier/verify-log.ts';
import { goProgram } from './install.ts';
import { accepts, freePort, RunningServer } from './running.ts';

/** The S3 sink against a server with Object Lock that is not ours, and the verifier straight from its bucket. */
const server = goProgram('github.com/versity/versitygw/cmd/versitygw@v1.8.0');
const cli = join(import.meta.dirname, '../../bin/gatewrit.mjs');
const ACCESS = 'audit-of-this-test';
const SECRET = 'secret-of-this-test';
const DAY_MS = 86_400_000;

describe('the audit log in a bucket with Object Lock', { skip: server.missing ?? false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-worm-'));
  const environment = { ...process.env };
  let running: RunningServer;
  let client: S3Client;
  let endpoint: string;
  let f: Fixture;
  let bucket: string;
  let buckets = 0;
  const opened: Audit[] = [];

  before(async () => {
    const port = await freePort();
    endpoint = `http://127.0.0.1:${port}`;
    for (const part of ['data', 'versions']) mkdirSync(join(folder, part));
    running = new RunningServer(
      server.path,
      [
        '--quiet',
        '--port',
        `127.0.0.1:${port}`,
        'posix',
        '--versioning-dir',
        join(folder, 'versions'),
        join(folder, 'data'),
      ],
      { env: { ...process.env, ROOT_ACCESS_KEY: ACCESS, ROOT_SECRET_KEY: SECRET } },
    );
    await running.until(() => accepts(port));
    const credentials = { accessKeyId: ACCESS, secretAccessKey: SECRET };
    client = new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true, credentials });
    Object.assign(process.env, {
      AWS_ACCESS_KEY_ID: ACCESS,
      AWS_SECRET_ACCESS_KEY: SECRET,
      AWS_EC2_METADATA_DISABLED: 'true',
    });
  });
  after(async () => {
    client?.destroy();
    await running?.stop();
    process.env = environment;
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    f = fixture();
    f.clock.utc = Date.now();
    bucket = `worm-${++buckets}`;
    await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: true }));
  });
  afterEach(async () => {
    for (const audit of opened.splice(0)) await audit.close();
    f.remove();
  });

  const open = async (changes: object = {}) => {
    const sink = {
      kind: 's3',
      name: 'worm',
      required: true,
      deadlineMs: 1_000,
      bucket,
      prefix: 'logs/prod',
      endpoint,
      accessKeyId: 'env:AWS_ACCESS_KEY_ID',
      secretAccessKey: 'env:AWS_SECRET_ACCESS_KEY',
      retentionDays: 30,
      compliance: true,
      everyMs: 100,
      ...changes,
    };
    const audit = await f.open({}, { sinks: [sink] });
    opened.push(audit);
    return audit;
  };
  const calls = async (audit: Audit, count: number, tenant = 'acme') => {
    for (let i = 0; i < count; i++) await runCall(audit, readyCall({ ...f.clock }, { tenant }), { ...f.clock });
    await audit.checkpoint();
  };
  const shipped = async (audit: Audit) => {
    await audit.close();
    opened.length = 0;
  };
  const read = async () => {
    const source = await openS3Log(`s3://${bucket}/logs/prod`, { endpoint });
    const [report] = await verifyLog(source, readVerifiers(join(f.home, 'keys/audit.pub')));
    const findings = source.findings();
    source.close();
    return { report: report!, findings };
  };
  /** As an auditor does it. */
  const onCommandLine = async () => {
    const key = join(f.home, 'keys/audit.pub');
    const args = [cli, 'audit', 'verify', `s3://${bucket}/logs/prod`, '--endpoint', endpoint, '--key', key];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (chunk) => {
      said += chunk;
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    return { said, code };
  };
  const versions = async () => {
    const { Versions = [], DeleteMarkers = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    return { objects: Versions, markers: DeleteMarkers };
  };

  test('is shipped as it grows, locked in compliance mode, and verifies straight from the bucket', async () => {
    const audit = await open();
    await calls(audit, 10);
    await sleep(300);
    await calls(audit, 150, 'globex');
    await shipped(audit);
    const { report, findings } = await read();
    assert.deepEqual([report.findings, findings], [[], []]);
    assert.equal(report.records, 320);
    const { said, code } = await onCommandLine();
    assert.match(said, /GOOD/);
    assert.equal(code, 0);
    const { objects } = await versions();
    assert.ok(objects.length > 10);
    for (const { Key, VersionId } of objects) {
      const { Retention } = await client.send(new GetObjectRetentionCommand({ Bucket: bucket, Key, VersionId }));
      assert.equal(Retention!.Mode, 'COMPLIANCE');
      assert.ok(Math.abs(Retention!.RetainUntilDate!.getTime() - (f.clock.utc + 30 * DAY_MS)) < 60_000);
    }
  });

  test('no version can be deleted, and nothing can be written over unseen', async () => {
    const audit = await open();
    await calls(audit, 5);
    await shipped(audit);
    const { objects } = await versions();
    for (const { Key, VersionId } of objects) {
      const forced = { Bucket: bucket, Key, VersionId, BypassGovernanceRetention: true };
      await assert.rejects(client.send(new DeleteObjectCommand(forced)), { name: 'AccessDenied' }, Key);
    }
    const piece = objects.find(({ Key }) => Key!.includes('.seg/'))!;
    const overwrite = { Bucket: bucket, Key: piece.Key, Body: 'forged' };
    await assert.rejects(client.send(new PutObjectCommand({ ...overwrite, IfNoneMatch: '*' })), 'a free name only');
    await client.send(new PutObjectCommand(overwrite)).catch(() => undefined);
    const tile = objects.find(({ Key }) => Key!.includes('/tile/entries/'))!;
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: tile.Key }));
    const after = await versions();
    assert.equal(after.markers.length, 1);
    const { report, findings } = await read();
    assert.deepEqual(report.findings, [], 'the first versions are all there');
    const said = findings.map(({ file, what }) => `${file}: ${what}`).join('\n');
    assert.match(said, /tile\/entries\/.*: a delete marker of .* hides it/);
    const told = await onCommandLine();
    assert.match(told.said, /FINDING .*a delete marker of .* hides it[\s\S]*BAD/);
    assert.equal(told.code, 1);
    if (after.objects.length > objects.length) assert.match(said, /\.seg\/0+: a later version, .*, overwrites it/);
    else console.log('this server refuses to write a later version over a locked one');
  });

  test('goes on where it was after a restart, and a log older than its bucket does not start', async () => {
    const first = await open();
    await calls(first, 3);
    await shipped(first);
    const second = await open();
    await calls(second, 3);
    await shipped(second);
    const { report, findings } = await read();
    assert.deepEqual([report.findings, findings], [[], []]);
    rmSync(join(f.home, 'audit'), { recursive: true });
    const keys = { folder: join(f.home, 'keys'), generate: true };
    const other = fixture();
    other.clock.utc = Date.now();
    const sinks = [
      { kind: 's3', name: 'worm', bucket, prefix: 'logs/prod', endpoint, retentionDays: 30, compliance: true },
    ];
    await assert.rejects(other.open({ keys }, { sinks }), { code: 'audit.rolled_back' });
    other.remove();
  });

  test('a bucket without Object Lock is refused at the start', async () => {
    await client.send(new CreateBucketCommand({ Bucket: `plain-${bucket}` }));
    await assert.rejects(open({ bucket: `plain-${bucket}` }), { name: 'SettingsError', message: /has no Object Lock/ });
  });

  test('while the server is gone longer than the deadline calls are refused, and go on when it is back', async () => {
    const gone = await freePort();
    const audit = await open({ endpoint: `http://127.0.0.1:${gone}` });
    await calls(audit, 1);
    await sleep(200);
    const closed = async () => 'code' in (await audit.stages.intent.run(readyCall({ ...f.clock }), { ...f.clock }));
    assert.equal(await closed(), false);
    f.clock.mono += 2_000;
    assert.equal(await closed(), true);
    const back = createServer((socket) => {
      const up = connect(Number(new URL(endpoint).port), '127.0.0.1');
      socket.pipe(up).pipe(socket);
      for (const end of [socket, up]) end.on('error', () => undefined);
    }).listen(gone, '127.0.0.1');
    for (let i = 0; i < 100 && (await closed()); i++) {
      await audit.checkpoint();
      await sleep(100);
    }
    assert.equal(await closed(), false);
    await shipped(audit);
    back.close();
    const { report, findings } = await read();
    assert.deepEqual([report.findings, findings], [[], []]);
  });
});
