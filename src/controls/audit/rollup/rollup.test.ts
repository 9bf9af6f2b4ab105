import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { openSigningKeys } from '../../../core/crypto/keys.ts';
import { Frontier } from '../../../core/crypto/merkle.ts';
import { parseCheckpoint, splitNote } from '../../../core/crypto/signed-note.ts';
import { decodeBundle, TILE_WIDTH, tilePath } from '../../../core/crypto/tiles.ts';
import { openMemoryStore } from '../../../core/store/memory.ts';
import type { Audit } from '../audit.ts';
import { type Fixture, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { Placer, systemFiles } from '../journal/files.ts';
import { lockFile } from '../journal/writer-lock.ts';
import { tenantTag } from '../keys/keyring.ts';
import { CheckpointKeys } from '../tree/checkpoints.ts';
import { nodesOnDisk } from '../tree/tree.ts';
import { readVerifiers, verifyLog } from '../verifier/index.ts';
import { RollupTree } from './rollup-tree.ts';

const TENANT = 'shared';
const tag = tenantTag('test', TENANT).toString('hex');
let log: Fixture;
beforeEach(() => {
  log = fixture();
});
afterEach(() => log.remove());

const folder = () => join(log.home, 'audit/rollup', tag);
const checkpointOf = (path: string) => parseCheckpoint(splitNote(readFileSync(path, 'utf8'))!.text)!;
const findings = async () =>
  (await verifyLog(join(log.home, 'audit'), readVerifiers(join(log.home, 'keys/audit.pub')))).flatMap(
    (r) => r.findings,
  );

async function calls(audit: Audit, count: number): Promise<void> {
  for (let i = 0; i < count; i++)
    await runCall(audit, readyCall({ ...log.clock }, { tenant: TENANT }), { ...log.clock });
}

/** What the roll-up says, in order. */
function entries(): { replica: string; size: number }[] {
  const { size } = checkpointOf(join(folder(), 'checkpoint'));
  const list: Buffer[] = [];
  for (let index = 0; index * TILE_WIDTH < size; index++) {
    const width = Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
    const path = join(folder(), tilePath({ level: 'entries', index, width }));
    list.push(...decodeBundle(readFileSync(path))!);
  }
  return list.map((entry) => {
    const { origin, size: records } = parseCheckpoint(splitNote(entry.toString())!.text)!;
    return { replica: origin.split('/')[2]!, size: records };
  });
}

test('the checkpoints of all replicas of a tenant stand in one signed tree, which verifies', async () => {
  for (const [replica, count] of [
    ['node-1', 2],
    ['node-2', 3],
    ['node-1', 1],
  ] as const) {
    const audit = await log.open({ replica });
    await calls(audit, count);
    await audit.close();
  }
  assert.equal(checkpointOf(join(folder(), 'checkpoint')).origin, `test/${tag}`);
  assert.deepEqual(entries(), [
    { replica: 'node-1', size: 4 },
    { replica: 'node-2', size: 6 },
    { replica: 'node-1', size: 6 },
  ]);
  assert.deepEqual(await findings(), []);
});

test('one process writes it, and another takes over when that one ends', async () => {
  const first = await log.open({ replica: 'node-1' });
  await calls(first, 1);
  await first.checkpoint();
  for (let i = 0; i < 100 && !existsSync(folder()); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  const second = await log.open({ replica: 'node-2' });
  await calls(second, 1);
  await second.close();
  assert.deepEqual(
    entries().map(({ replica }) => replica),
    ['node-1'],
  );
  await first.close();
  assert.deepEqual(
    entries()
      .map(({ replica }) => replica)
      .sort(),
    ['node-1', 'node-2'],
  );
  assert.deepEqual(await findings(), []);
});

test('nothing is added when nothing has grown', async () => {
  const first = await log.open();
  await calls(first, 1);
  await first.close();
  for (let round = 0; round < 3; round++) await (await log.open()).close();
  assert.deepEqual(entries(), [{ replica: 'node-1', size: 2 }]);
});

test('what a killed writer placed and did not sign is thrown away, and the tree goes on', async () => {
  const first = await log.open();
  await calls(first, 1);
  await first.close();
  for (const [level, bytes] of [
    ['0', Buffer.alloc(64, 7)],
    ['entries', Buffer.from('\0\x01a\0\x01b')],
  ] as const)
    writeFileSync(join(folder(), 'tile', level, '000.p', '2'), bytes);
  // While another process holds the roll-up two replicas grow: what comes then brings in both at once.
  const held = lockFile(join(log.home, 'locks/audit-rollup.lock'), 'held');
  for (const replica of ['node-1', 'node-2']) {
    const audit = await log.open({ replica });
    await calls(audit, 2);
    await audit.close();
  }
  held.release();
  await (await log.open()).close();
  assert.deepEqual(
    entries().map(({ size }) => size),
    [2, 6, 4],
  );
  assert.deepEqual(await findings(), []);
  assert.ok(!existsSync(join(folder(), 'tile/0/000.p/2')));
});

test('a replica that went on from an older state is not rolled up, and a missing one is found', async () => {
  const kept = join(log.home, 'kept');
  for (const replica of ['node-1', 'node-2']) {
    const audit = await log.open({ replica });
    await calls(audit, 2);
    await audit.close();
  }
  cpSync(join(log.home, 'audit/node-2'), kept, { recursive: true });
  const grown = await log.open({ replica: 'node-2' });
  await calls(grown, 2);
  await grown.close();
  rmSync(join(log.home, 'audit/node-2'), { recursive: true });
  cpSync(kept, join(log.home, 'audit/node-2'), { recursive: true });
  const said: string[] = [];
  const tell = { info: () => undefined, warn: () => undefined, error: (line: string) => said.push(line) };
  const other = await log.open({ replica: 'node-1', log: tell });
  await calls(other, 1);
  await other.close();
  assert.deepEqual(said, ['a tree is not rolled up; run audit verify']);
  assert.deepEqual(
    entries().map(({ replica }) => replica),
    ['node-1', 'node-2', 'node-2', 'node-1'],
  );
  assert.match((await findings())[0]!.what, /cut back/);
  rmSync(join(log.home, 'audit/node-2'), { recursive: true });
  assert.match((await findings())[0]!.what, /not here/);
});

test('more than a tile of checkpoints verifies, whoever wrote how many of them', async () => {
  const audit = await log.open();
  await calls(audit, 130);
  await audit.close();
  rmSync(join(log.home, 'audit/rollup'), { recursive: true });
  const keyFolder = { folder: join(log.home, 'keys'), generate: false };
  const keys = new CheckpointKeys('test', openSigningKeys(keyFolder, 'checkpoint'));
  const work = join(log.home, 'work');
  mkdirSync(work);
  const placer = new Placer(systemFiles, work);
  const signing = { store: openMemoryStore(), keys, placer, utc: () => log.clock.utc };
  const origin = `test/${tag}/node-1`;
  const nodes = nodesOnDisk(join(log.home, 'audit/node-1/trees', tag), 260);
  const frontier = new Frontier();
  for (const end of [1, 100, 255, 256, 257, 260]) {
    const place = { folder: folder(), origin: `test/${tag}`, key: tag };
    const tree = await RollupTree.open(place, signing, new Set([origin]));
    assert.equal(tree.last(origin)?.size ?? 0, frontier.size);
    while (frontier.size < end) {
      frontier.append(nodes(0, frontier.size));
      const checkpoint = { origin, size: frontier.size, root: new Uint8Array(frontier.root()) };
      tree.append(Buffer.from(keys.sign(checkpoint)), checkpoint);
    }
    await tree.sign();
  }
  assert.equal(entries().length, 260);
  assert.deepEqual(await findings(), []);
});

test('a retired replica has a last leaf in every tree and never starts again', async () => {
  const audit = await log.open();
  await calls(audit, 2);
  await audit.close();
  const last = await log.open({ retire: true });
  assert.equal(await last.retire({ by: 'test' }), 2);
  await assert.rejects(calls(last, 1), /audit.unavailable/);
  await assert.rejects(last.record({ kind: 'settings', tenant: TENANT, meta: {} }), { code: 'audit.retired' });
  await last.close();
  await assert.rejects(log.open(), { code: 'audit.retired' });
  assert.equal(entries().at(-1)!.size, 5);
  assert.deepEqual(await findings(), []);
  const other = await log.open({ replica: 'node-2' });
  await calls(other, 1);
  await other.close();
  assert.deepEqual(await findings(), []);
});

test('no replica may be called as the roll-up is', async () => {
  await assert.rejects(log.open({ replica: 'rollup' }), /replica name/);
});
