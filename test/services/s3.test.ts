import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { MAX_OBJECTS, type ObjectList } from '../../examples/internal-tools/objects/objects.ts';
import { type Answer, textOf } from '../../examples/quickstart/tour/gateway.ts';
import { Quickstart } from '../e2e/quickstart.ts';
import { goProgram } from './install.ts';
import { accepts, freePort, RunningServer } from './running.ts';

/** s3_list against an S3-compatible server that checks signatures, through a running gateway. */
const root = join(import.meta.dirname, '../..');
const server = goProgram('github.com/versity/versitygw/cmd/versitygw@v1.8.0');
const ACCESS = 'reader-of-this-test';
const SECRET = 'secret-of-this-test';
const KEYS = ['a.txt', 'reports-old.csv', 'reports/2026/q1.csv', 'reports/q2.csv', 'Übersicht & <b> 100%+1.txt'];

describe('s3_list against an S3-compatible server, through the gateway', { skip: server.missing ?? false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-s3-'));
  let port: number;
  let running: RunningServer;
  const gateways: Quickstart[] = [];

  before(async () => {
    port = await freePort();
    const env = { ...process.env, ROOT_ACCESS_KEY: ACCESS, ROOT_SECRET_KEY: SECRET };
    running = new RunningServer(server.path, ['--quiet', '--port', `127.0.0.1:${port}`, 'posix', folder], { env });
    await running.until(() => accepts(port));
    const client = new S3Client({
      region: 'us-east-1',
      endpoint: `http://127.0.0.1:${port}`,
      forcePathStyle: true,
      credentials: { accessKeyId: ACCESS, secretAccessKey: SECRET },
    });
    const fill = async (Bucket: string, keys: readonly string[]) => {
      await client.send(new CreateBucketCommand({ Bucket }));
      for (const Key of keys) await client.send(new PutObjectCommand({ Bucket, Key, Body: `content of ${Key}` }));
    };
    await fill('shop', KEYS);
    await fill('private', ['secret.txt']);
    await fill(
      'many',
      Array.from({ length: MAX_OBJECTS + 1 }, (_, i) => `k${String(i).padStart(4, '0')}`),
    );
    client.destroy();
  });
  after(async () => {
    for (const gateway of gateways) await gateway.close();
    await running?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A gateway whose tools look at one bucket. */
  async function lists(
    bucket: string,
    env: Record<string, string> = {},
  ): Promise<(prefix?: string) => Promise<Answer>> {
    const quickstart = await Quickstart.start({
      settings: {
        upstreams: {
          'internal-readonly': {
            stdio: {
              command: 'node',
              args: ['examples/internal-tools/readonly.ts'],
              cwd: root,
              env: {
                S3_BUCKET: bucket,
                S3_ENDPOINT: `http://127.0.0.1:${port}`,
                AWS_ACCESS_KEY_ID: ACCESS,
                AWS_SECRET_ACCESS_KEY: SECRET,
                AWS_EC2_METADATA_DISABLED: 'true',
                ...env,
              },
            },
          },
        },
      },
    });
    gateways.push(quickstart);
    const token = await quickstart.token('alice', ['s3:list']);
    return (prefix) => quickstart.gateway.call('readonly__s3_list', prefix === undefined ? {} : { prefix }, token);
  }

  test('lists keys with size and time, all of them or by prefix, and nothing of another bucket', async () => {
    const list = await lists('shop');
    const all = objectsOf(await list());
    assert.deepEqual(all.objects.map(({ key }) => key).sort(), [...KEYS].sort());
    assert.equal(all.truncated, false);
    assert.equal(all.objects.find(({ key }) => key === 'a.txt')!.size, 'content of a.txt'.length);
    assert.match(all.objects[0]!.modified, /^\d{4}-\d\d-\d\dT/);
    const keys = async (prefix: string) => objectsOf(await list(prefix)).objects.map(({ key }) => key);
    assert.deepEqual(await keys('reports/'), ['reports/2026/q1.csv', 'reports/q2.csv']);
    assert.deepEqual(await keys('Übersicht &'), [KEYS[4]]);
    for (const prefix of [
      '../',
      '../private/',
      '/',
      'private',
      'reports/../a',
      '%2e%2e/',
      '?list-type=1&prefix=',
      'a.txt\n',
    ])
      assert.deepEqual(await keys(prefix), [], prefix);
  });

  test('shows a bounded number and says that there are more', async () => {
    const list = await lists('many');
    const { objects, truncated } = objectsOf(await list());
    assert.equal(objects.length, MAX_OBJECTS);
    assert.equal(truncated, true);
  });

  test('a wrong secret, a bucket that is not there and a server that is gone are errors without address or account', async () => {
    const failing = [
      await lists('shop', { AWS_SECRET_ACCESS_KEY: 'wrong' }),
      await lists('no-such-bucket'),
      await lists('shop', { S3_ENDPOINT: `http://127.0.0.1:${await freePort()}` }),
    ];
    for (const list of failing) {
      const answer = await list('reports/');
      assert.equal(answer.json.result?.['isError'], true, answer.text);
      for (const leak of [ACCESS, SECRET, '127.0.0.1', 'ECONNREFUSED', 'node_modules', '    at '])
        assert.ok(!answer.text.includes(leak), `${leak} is in ${answer.text}`);
    }
  });
});

function objectsOf(answer: Answer): ObjectList {
  assert.notEqual(answer.json.result?.['isError'], true, answer.text.slice(0, 500));
  return JSON.parse(textOf(answer)) as ObjectList;
}
