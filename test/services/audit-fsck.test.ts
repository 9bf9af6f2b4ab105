import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fixture, readyCall, runCall } from '../../src/controls/audit/audit-kit.test.ts';
import { goProgram } from './install.ts';
import { Forgery } from './judge/forgery.ts';
import { inFolder, type LogFiles, readFiles, type WrittenLog, writeLog } from './judge/written-log.ts';

/**
 * The trees of tenants before `fsck` of transparency-dev/tessera, which reads any tlog-tiles log over HTTP: it knows
 * nothing of segments, sealed parts and the journal (whose tree has no entries).
 */
const { path: fsck, missing } = goProgram('github.com/transparency-dev/tessera/cmd/fsck@v1.0.4');

const REFUSED = /Invalid|failed/;

interface Checked {
  readonly good: boolean;
  readonly said: string;
  readonly requests: number;
}

/** Serves one tree the way any web server would, and lets fsck read it. Its exit status says nothing, its words do. */
async function check(files: LogFiles, tree: string, key: string, origin: string): Promise<Checked> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    const bytes = files.get(`${tree}${request.url}`);
    response.writeHead(bytes ? 200 : 404).end(bytes ?? '');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  try {
    return await inFolder(async (folder) => {
      const publicKey = join(folder, 'key');
      writeFileSync(publicKey, readFileSync(key, 'utf8').trim());
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      const args = ['-ui=false', '-v=1', '-storage_url', url, '-public_key', publicKey, '-origin', origin];
      const child = spawn(fsck, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
      let said = '';
      const hear = (chunk: Buffer) => {
        said += chunk;
        // With one tile refused, fsck 1.0.4 goes on waiting for the rest of its work.
        if (REFUSED.test(said)) child.kill();
      };
      for (const stream of [child.stdout, child.stderr]) stream.on('data', hear);
      await new Promise((resolve) => child.once('close', resolve));
      return { good: !REFUSED.test(said) && said.includes("Successfully fsck'd log"), said: said.trim(), requests };
    });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe('the trees of tenants before fsck of tessera', { skip: missing ?? false }, () => {
  let log: WrittenLog;
  let files: LogFiles;
  let trees: string[];
  const originOf = (tree: string) => files.get(`${tree}/checkpoint`)!.toString().split('\n')[0]!;
  before(async () => {
    log = await writeLog({ calls: 1_200, tenants: 2, segmentBytes: 2 ** 20, together: 64, signedEvery: 200 });
    files = readFiles(log.replica);
    trees = [...new Set([...files.keys()].map((path) => /^trees\/[0-9a-f]+/.exec(path)?.[0] ?? ''))].filter(Boolean);
  });
  after(() => log?.remove());

  test('each tree is a tlog-tiles log that fsck accepts', async (t) => {
    assert.ok(trees.length >= 2);
    for (const tree of trees) {
      const { good, said, requests } = await check(files, tree, log.key, originOf(tree));
      assert.ok(good, said);
      assert.ok(requests > 2, `${requests} requests`);
      t.diagnostic(`${originOf(tree)}: ${requests} files read`);
    }
  });

  test('the tree of a log that was closed and opened again is one as well', async () => {
    const again = fixture();
    try {
      for (const calls of [100, 300]) {
        const audit = await again.open();
        const one = () => runCall(audit, readyCall(again.clock, { tenant: 'tenant-0' }), again.clock);
        for (let done = 0; done < calls; done += 20) await Promise.all(Array.from({ length: 20 }, one));
        await audit.close();
      }
      const grown = readFiles(join(again.home, 'audit/node-1'));
      const checkpoint = [...grown.keys()].filter((path) => /^trees\/.*\/checkpoint$/.test(path));
      for (const path of checkpoint) {
        const origin = grown.get(path)!.toString().split('\n')[0]!;
        const tree = path.slice(0, -'/checkpoint'.length);
        const { good, said } = await check(grown, tree, join(again.home, 'keys/audit.pub'), origin);
        assert.ok(good, said);
      }
    } finally {
      again.remove();
    }
  });

  for (const [what, pattern] of [
    ['a leaf tile', /\/tile\/0\/001$/],
    ['an upper tile', /\/tile\/1\//],
    ['a bundle', /\/tile\/entries\/002$/],
    ['a partial bundle', /\/tile\/entries\/.*\.p\//],
    ['the checkpoint', /\/checkpoint$/],
  ] as const) {
    test(`one flipped bit in ${what} is refused`, async () => {
      const tree = trees.find((name) => [...files.keys()].some((path) => path.startsWith(name) && pattern.test(path)))!;
      const forgery = new Forgery(files);
      // Also what an older checkpoint needed: the newest is among them.
      for (const path of forgery.all(new RegExp(`^${tree}.*${pattern.source}`))) forgery.flip(path, 0.5);
      const { good, said } = await check(forgery.files, tree, log.key, originOf(tree));
      assert.equal(good, false, said);
      assert.match(said, REFUSED);
    });
  }

  test('a tree of another origin, and a bundle that is missing, are refused', async () => {
    const [one = '', other = ''] = trees;
    assert.equal((await check(files, one, log.key, originOf(other))).good, false);
    const forgery = new Forgery(files);
    forgery.remove(/\/tile\/entries\/001$/);
    const tree = trees.find((name) => files.has(`${name}/tile/entries/001`))!;
    assert.equal((await check(forgery.files, tree, log.key, originOf(tree))).good, false);
  });
});
