import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { retireKeys, rotateKeys } from '../../../core/crypto/key-exchange.ts';
import type { Audit } from '../audit.ts';
import { type Fixture, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { readVerifiers, verifyLog } from '../verifier/verify-log.ts';
import type { LockedBucket, ObjectVersion, VersionedBucket } from './bucket.ts';
import { SinkBroken } from './following.ts';
import { ObjectCopy } from './s3.ts';
import { BucketSource } from './s3-source.ts';
import { sinksSettings } from './settings.ts';

const PAGE = 7;

/** A bucket in memory that keeps versions, as S3 does; pages are short. */
class MemoryBucket implements LockedBucket, VersionedBucket {
  readonly objects: (ObjectVersion & { bytes: Buffer; retainUntil: number })[] = [];
  locked = true;
  failAfter = Number.POSITIVE_INFINITY;
  requests = 0;
  /** The answer to so many puts from now on gets lost. */
  loseAnswer = 0;
  #next = 1;

  write(name: string, bytes: Uint8Array, marker = false, retainUntil = 0): void {
    const version = `v${this.#next++}`;
    this.objects.unshift({
      name,
      version,
      marker,
      size: bytes.length,
      at: this.#next,
      bytes: Buffer.from(bytes),
      retainUntil,
    });
  }
  async put(name: string, bytes: Uint8Array, retainUntil: number): Promise<'stored' | 'exists'> {
    this.#count();
    if (this.#current(name)) return 'exists';
    this.write(name, bytes, false, retainUntil);
    if (this.loseAnswer > 0 && --this.loseAnswer === 0) throw new Error('the answer was lost');
    return 'stored';
  }
  async get(name: string): Promise<Buffer | null> {
    this.#count();
    return this.#current(name)?.bytes ?? null;
  }
  async *names(prefix: string, after = '') {
    const names = this.#names(prefix).filter((name) => this.#current(name) && name > after);
    for (let i = 0; i === 0 || i < names.length; i += PAGE) {
      this.#count();
      yield names.slice(i, i + PAGE).map((name) => ({ name, size: this.#current(name)!.size }));
    }
  }
  async folders(prefix: string): Promise<readonly string[]> {
    const rest = this.#names(prefix).map((name) => name.slice(prefix.length));
    return [...new Set(rest.filter((name) => name.includes('/')).map((name) => name.split('/')[0]!))];
  }
  async isLocked(): Promise<boolean> {
    return this.locked;
  }
  async *versions(prefix: string, flat: boolean) {
    const names = this.#names(prefix);
    const level = names.filter((name) => !flat || !name.slice(prefix.length).includes('/'));
    const folders = flat ? (await this.folders(prefix)).map((folder) => `${prefix}${folder}/`) : [];
    yield { versions: [], folders };
    for (let i = 0; i < level.length; i += PAGE) {
      const page = new Set(level.slice(i, i + PAGE));
      yield { versions: this.objects.filter(({ name }) => page.has(name)), folders: [] };
    }
  }
  async getVersion(name: string, version: string, from: number, to: number): Promise<Buffer> {
    return this.objects.find((one) => one.name === name && one.version === version)!.bytes.subarray(from, to);
  }
  close(): void {}
  #names(prefix: string): string[] {
    return [...new Set(this.objects.map(({ name }) => name))].filter((name) => name.startsWith(prefix)).sort();
  }
  #current(name: string) {
    const newest = this.objects.find((one) => one.name === name);
    return newest && !newest.marker ? newest : undefined;
  }
  #count(): void {
    if (++this.requests > this.failAfter) throw new Error('out of reach');
  }
}

describe('a copy of the log in a bucket that locks objects', () => {
  let f: Fixture;
  let bucket: MemoryBucket;
  const opened: Audit[] = [];
  const never = new AbortController().signal;

  beforeEach(() => {
    f = fixture();
    bucket = new MemoryBucket();
  });
  afterEach(async () => {
    for (const audit of opened.splice(0)) await audit.close();
    f.remove();
  });

  const open = async (settings: object = {}) => {
    const audit = await f.open({}, settings);
    opened.push(audit);
    return audit;
  };
  const calls = async (audit: Audit, count: number, tenant = 'acme') => {
    for (let i = 0; i < count; i++) await runCall(audit, readyCall({ ...f.clock }, { tenant }), { ...f.clock });
    await audit.checkpoint();
  };
  const verifiers = () => readVerifiers(join(f.home, 'keys/audit.pub'));
  const copy = () =>
    new ObjectCopy({
      bucket,
      where: 'the bucket',
      log: join(f.home, 'audit/node-1'),
      root: 'logs/prod/node-1/',
      retentionDays: 30,
      verifiers,
      utc: () => f.clock.utc,
    });
  const read = async () => {
    const source = new BucketSource('s3://bucket/logs/prod', bucket, 'logs/prod');
    const reports = await verifyLog(source, verifiers());
    const findings = source.findings();
    assert.equal(reports.flatMap((report) => report.findings).length, reports[0]!.findings.length + findings.length);
    return { report: reports[0]!, findings };
  };

  test('verifies straight from the bucket, byte for byte what the log has, locked as long as was set', async () => {
    const audit = await open({ segmentBytes: 64 * 1024 });
    const sink = copy();
    await calls(audit, 20, 'acme');
    await sink.carry(never);
    await calls(audit, 130, 'globex');
    await sink.carry(never);
    const { report, findings } = await read();
    assert.deepEqual([report.findings, findings], [[], []]);
    assert.equal(report.records, audit.stats().signed);
    assert.ok(report.segments > 1);
    assert.ok(bucket.objects.every(({ retainUntil }) => retainUntil === f.clock.utc + 30 * 86_400_000));
    const pieces = bucket.objects
      .filter(({ name }) => name.includes('/00000001.seg/'))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const segment = readFileSync(join(f.home, 'audit/node-1/segments/00000001.seg'));
    assert.ok(segment.equals(Buffer.concat(pieces.map(({ bytes }) => bytes))));
  });

  test('after a restart it asks the bucket where it was, whatever was interrupted, and writes no name twice', async () => {
    const audit = await open();
    await calls(audit, 130);
    for (let failAt = 1; ; failAt += 5) {
      bucket.requests = 0;
      bucket.failAfter = failAt;
      const done = await copy()
        .carry(never)
        .then(
          () => true,
          () => false,
        );
      if (done) break;
      await calls(audit, 1);
    }
    bucket.failAfter = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 12; i++) {
      await calls(audit, 1);
      await copy().carry(never);
    }
    assert.equal(new Set(bucket.objects.map(({ name }) => name)).size, bucket.objects.length);
    const { report, findings } = await read();
    assert.deepEqual([report.findings, findings], [[], []]);
    assert.equal((await copy().newest())?.size, audit.stats().signed);
  });

  test('an object that was stored although the answer was lost is found again, and what grew meanwhile follows it', async () => {
    const audit = await open();
    const sink = copy();
    await calls(audit, 2);
    await sink.carry(never);
    for (let lost = 1; lost <= 6; lost++) {
      await calls(audit, 2);
      bucket.loseAnswer = lost;
      await sink.carry(never).catch(() => undefined);
      bucket.loseAnswer = 0;
      await calls(audit, 2);
      await sink.carry(never);
    }
    const { report, findings } = await read();
    assert.deepEqual([report.findings, findings], [[], []]);
    assert.equal(report.records, audit.stats().signed);
  });

  test('a later version and a delete marker hide nothing: the first version is read, and each is reported by name', async () => {
    const audit = await open();
    await calls(audit, 5);
    await copy().carry(never);
    const piece = bucket.objects.find(({ name }) => name.includes('.seg/'))!;
    const tile = bucket.objects.find(({ name }) => name.includes('/tile/'))!;
    const checkpoint = bucket.objects.find(({ name }) => name.includes('/journal/checkpoint/'))!;
    bucket.write(piece.name, Buffer.from('forged'));
    bucket.write(tile.name, Buffer.alloc(0), true);
    bucket.write(checkpoint.name, Buffer.alloc(0), true);
    const { report, findings } = await read();
    assert.deepEqual(report.findings, []);
    const below = ({ name }: { name: string }) => name.slice('logs/prod/'.length);
    assert.deepEqual(findings.map(({ file }) => file).sort(), [below(piece), below(tile), below(checkpoint)].sort());
    assert.match(findings.map(({ what }) => what).join('\n'), /a later version, v\d+ of .*, overwrites it/);
    assert.match(findings.map(({ what }) => what).join('\n'), /a delete marker of .* hides it/);
  });

  test('a piece that is missing and objects that are not ours are reported', async () => {
    const audit = await open();
    const sink = copy();
    for (let i = 0; i < 3; i++) {
      await calls(audit, 2);
      await sink.carry(never);
    }
    const pieces = bucket.objects
      .filter(({ name }) => name.includes('.seg/'))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    assert.equal(pieces.length, 3);
    bucket.objects.splice(bucket.objects.indexOf(pieces[1]!), 1);
    bucket.write('logs/prod/node-1/journal/checkpoint/latest', Buffer.from('x'));
    bucket.write('logs/prod/node-1/segments/00000001.seg', Buffer.from('x'));
    const { report, findings } = await read();
    assert.ok(report.findings.length > 0, 'records are missing');
    for (const what of [/a piece is missing at byte \d+/, /does not belong/, /has the name of what lies in pieces/])
      assert.match(findings.map((finding) => finding.what).join('\n'), what);
  });

  test('a bucket that holds something else under a name of ours, or more than the log, is not used', async () => {
    const audit = await open();
    await calls(audit, 5);
    bucket.write('logs/prod/node-1/journal/tile/0/000.p/10', Buffer.from('something else'));
    await assert.rejects(copy().carry(never), SinkBroken);
    bucket.objects.length = 0;
    await copy().carry(never);
    bucket.write('logs/prod/node-1/journal/checkpoint/0000000000000999', Buffer.from('forged'));
    await assert.rejects(copy().carry(never), /is not a copy of this log/);
  });

  test('a bucket without Object Lock is refused in a sentence', async () => {
    bucket.locked = false;
    await assert.rejects(copy().checkLock(), { name: 'SettingsError', message: /has no Object Lock/ });
    const audit = await open();
    await calls(audit, 1);
    await assert.rejects(copy().carry(never), SinkBroken);
    assert.equal(bucket.objects.length, 0);
  });

  test('settings: retention has no default, and compliance mode on this machine must be meant', () => {
    const s3 = { kind: 's3', name: 'worm', bucket: 'logs' };
    const issues = (changes: object) =>
      sinksSettings.safeParse([{ ...s3, ...changes }]).error?.issues.map(({ message }) => message);
    assert.match(issues({})!.join(), /expected number/);
    assert.equal(issues({ retentionDays: 30 }), undefined);
    const here = { retentionDays: 1, endpoint: 'http://127.0.0.1:9000' };
    assert.match(issues(here)!.join(), /can never be removed/);
    assert.equal(issues({ ...here, compliance: true }), undefined);
    assert.equal(issues({ ...here, mode: 'GOVERNANCE' }), undefined);
    assert.match(issues({ retentionDays: 1, endpoint: 'http://s3.example.com' })!.join(), /https/);
    assert.match(issues({ retentionDays: 1, secretAccessKey: 'plain' })!.join(), /reference/);
    assert.match(issues({ retentionDays: 1, required: true, deadlineMs: 60_000 })!.join(), /twice everyMs/);
  });

  test('what a key signed that was retired since stays as it is, also where nothing grew, and shipping goes on', async () => {
    const audit = await open();
    await calls(audit, 2, 'acme');
    await calls(audit, 2, 'globex');
    await copy().carry(never);
    rotateKeys(join(f.home, 'keys'), 'checkpoint');
    await audit.takeOverKeys();
    retireKeys(join(f.home, 'keys'), 'checkpoint');
    await audit.takeOverKeys();
    // After a restart, with the newest checkpoint of the bucket signed by the key that is gone.
    const again = copy();
    await again.carry(never);
    await calls(audit, 2, 'acme');
    await again.carry(never);
    const signed = readFileSync(join(f.home, 'audit/node-1/journal/checkpoint'), 'utf8').split('\n')[1];
    assert.equal((await again.newest())?.size, Number(signed));
  });
});
