import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { auditSettings, openAudit } from '../../../controls/audit/index.ts';
import { witnessLine } from '../../../core/crypto/cosignature.ts';
import { principalKey } from '../../../core/principal-key.ts';
import { openSqliteStore } from '../../../core/store/sqlite.ts';
import { auditCommand } from './main.ts';

const home = mkdtempSync(join(tmpdir(), 'gatewrit-cli-audit-'));

async function run(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const io = { stdout: (text: string) => void out.push(text), stderr: (text: string) => void err.push(text) };
  const code = await auditCommand.run(argv, io);
  return { code, out: out.join(''), err: err.join('') };
}

before(async () => {
  const store = openSqliteStore({ path: join(home, 'store/gatewrit.db') });
  const audit = await openAudit({
    settings: auditSettings.parse({}),
    home,
    keys: { folder: join(home, 'keys'), generate: true },
    store,
    deployment: 'test',
    replica: 'node-0',
    onFatal: (error) => assert.fail(error),
  });
  await audit.record({ kind: 'registry', tenant: 'default', meta: { call: 'c-1', event: 'quarantined\u001b[31m' } });
  await audit.record({ kind: 'settings', tenant: 'default', meta: { event: 'reloaded' } });
  await audit.close();
  await store.close();
});
after(() => rmSync(home, { recursive: true }));

test('verify says GOOD with exit 0, in words and as JSON, and finds the key beside the log', async () => {
  const words = await run('verify', join(home, 'audit'));
  assert.equal(words.code, 0, words.err);
  assert.match(words.out, /GOOD/);
  const json = await run('verify', join(home, 'audit'), '--json', '--home', home);
  assert.equal(json.code, 0);
  const said = JSON.parse(json.out);
  assert.equal(said.ok, true);
  assert.equal(said.replicas[0].records, 2);
});

test('verify of a copy with one flipped byte ends with 1 and names the record', async () => {
  const copy = join(home, 'copied/log');
  cpSync(join(home, 'audit'), copy, { recursive: true });
  const path = join(copy, 'node-0/segments/00000001.seg');
  const bytes = readFileSync(path);
  bytes[bytes.length - 20]! ^= 4;
  writeFileSync(path, bytes);
  const said = await run('verify', copy, '--key', join(home, 'keys/audit.pub'));
  assert.equal(said.code, 1);
  assert.match(said.out, /FINDING segments\/00000001\.seg record 1: /);
});

test('verify against a checkpoint kept elsewhere shows a log that was rolled back whole', async () => {
  const kept = join(home, 'kept.checkpoint');
  cpSync(join(home, 'audit/node-0/journal/checkpoint'), kept);
  const since = ['--since-checkpoint', kept, '--key', join(home, 'keys/audit.pub')];
  assert.equal((await run('verify', join(home, 'audit'), ...since)).code, 0);
  // A log that begins anew under the same name and key, as a restored backup of the first hour would.
  const store = openSqliteStore({ path: join(home, 'anew/store/gatewrit.db') });
  cpSync(join(home, 'keys'), join(home, 'anew/keys'), { recursive: true });
  const audit = await openAudit({
    settings: auditSettings.parse({}),
    home: join(home, 'anew'),
    keys: { folder: join(home, 'anew/keys'), generate: false },
    store,
    deployment: 'test',
    replica: 'node-0',
    onFatal: (error) => assert.fail(error),
  });
  await audit.record({ kind: 'settings', tenant: 'default', meta: { event: 'reloaded' } });
  await audit.close();
  await store.close();
  assert.equal((await run('verify', join(home, 'anew/audit'))).code, 0, 'good in itself');
  const said = await run('verify', join(home, 'anew/audit'), ...since);
  assert.equal(said.code, 1);
  assert.match(said.out, /FINDING .*kept\.checkpoint.*: the log was cut back or rewritten/);
  writeFileSync(kept, 'no checkpoint');
  assert.equal((await run('verify', join(home, 'audit'), ...since)).code, 3);
});

test('verify reads a log from a web server with the public key of the home, and says what it could not look for', async () => {
  const server = createServer((request, response) => {
    const path = join(home, decodeURIComponent(request.url!));
    if (existsSync(path)) response.end(readFileSync(path));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const said = await run('verify', `${address}/audit`, '--replica', 'node-0', '--home', home);
    assert.equal(said.code, 0, said.err);
    assert.match(said.out, /not covered: files that do not belong to the log.*GOOD/s);
    assert.equal((await run('verify', `${address}/audit/node-0`, '--home', home)).code, 0);
    assert.equal((await run('verify', `${address}/audit`, '--home', home)).code, 3);
    assert.equal((await run('verify', `${address}/none`, '--home', home)).code, 3);
    assert.equal((await run('verify', 'gopher://x/audit', '--home', home)).code, 3);
  } finally {
    server.close();
  }
});

test('verify with a witness’s key that never cosigned ends with 1; a key that is none with 3', async () => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const file = join(home, 'witness.pub');
  writeFileSync(file, `${witnessLine('witness.example', publicKey)}\n`);
  const said = await run('verify', join(home, 'audit'), '--witness', file);
  assert.equal(said.code, 1);
  assert.match(said.out, /none of the given witnesses has cosigned this tree/);
  assert.equal((await run('verify', join(home, 'audit'), '--witness', join(home, 'keys/audit.pub'))).code, 3);
});

test('wrong use is 2; no log, no key, or a key from inside the log is 3', async () => {
  assert.equal((await run()).code, 2);
  assert.equal((await run('verify', 'a', 'b')).code, 2);
  assert.equal((await run('verify', '--nonsense')).code, 2);
  assert.equal((await run('show')).code, 2);
  assert.equal((await run('verify', join(home, 'nothing'), '--home', home)).code, 3);
  assert.equal((await run('verify', join(home, 'audit'), '--key', join(home, 'none.pub'))).code, 3);
  cpSync(join(home, 'keys/audit.pub'), join(home, 'copied/inside/keys/audit.pub'), { recursive: true });
  assert.equal((await run('verify', join(home, 'copied/inside'), '--home', join(home, 'copied/inside'))).code, 3);
  assert.equal((await run('show', '0', '--home', join(home, 'nothing'))).code, 3);
  const home3 = await run('verify', home);
  assert.equal(home3.code, 3);
  assert.match(home3.err, /is a home, and its log one folder further: --home /);
});

test('show opens a record by index or by call, and list the last ones; control characters stay visible', async () => {
  const byIndex = await run('show', '0', '--home', home);
  assert.equal(byIndex.code, 0, byIndex.err);
  assert.match(byIndex.out, /registry/);
  assert.match(byIndex.out, /quarantined/);
  assert.ok(!byIndex.out.includes('\u001b'));
  const byCall = await run('show', 'c-1', '--home', home, '--json');
  assert.equal(JSON.parse(byCall.out).meta.call, 'c-1');
  assert.equal((await run('show', '99', '--home', home)).code, 1);
  const list = await run('list', '--home', home, '--limit', '1', '--json');
  assert.equal(JSON.parse(list.out).index, 1);
});

test('help has an example', async () => {
  const help = await run('--help');
  assert.equal(help.code, 0);
  assert.match(help.out, /example\n {2}gatewrit audit verify/);
});

test('a replica of which nothing is signed yet is not called good along with one that is', async () => {
  const mixed = mkdtempSync(join(tmpdir(), 'gatewrit-cli-audit-'));
  cpSync(join(home, 'audit'), join(mixed, 'audit'), { recursive: true });
  cpSync(join(home, 'keys'), join(mixed, 'keys'), { recursive: true });
  const store = openSqliteStore({ path: join(mixed, 'store/gatewrit.db') });
  const audit = await openAudit({
    settings: auditSettings.parse({ checkpointMs: 60_000 }),
    home: mixed,
    keys: { folder: join(mixed, 'keys'), generate: false },
    store,
    deployment: 'test',
    replica: 'node-1',
    onFatal: (error) => assert.fail(error),
  });
  await audit.record({ kind: 'settings', tenant: 'default', meta: { event: 'reloaded' } });
  const said = await run('verify', join(mixed, 'audit'));
  await audit.close();
  await store.close();
  rmSync(mixed, { recursive: true });
  assert.match(said.out, /GOOD but for node-1, where NOTHING IS SIGNED YET/);
});

test('somebody is erased from a home whose first replica was retired; the record stands in the log of the next', async () => {
  const other = mkdtempSync(join(tmpdir(), 'gatewrit-cli-erase-'));
  try {
    const store = openSqliteStore({ path: join(other, 'store/gatewrit.db') });
    for (const replica of ['node-0', 'node-1']) {
      const audit = await openAudit({
        settings: auditSettings.parse({}),
        home: other,
        keys: { folder: join(other, 'keys'), generate: true },
        store,
        deployment: 'test',
        replica,
        onFatal: (error) => assert.fail(error),
      });
      const subject = principalKey('default', 'https://issuer', 'alice');
      await audit.record({ kind: 'operation', tenant: 'default', subject, meta: {}, payload: Buffer.from('said') });
      await audit.close();
    }
    await store.close();
    assert.equal((await run('retire', '--replica', 'node-0', '--reason', 'replaced', '--home', other)).code, 0);
    const erased = await run('erase', '--subject', 'https://issuer alice', '--basis', 'asked', '--home', other);
    assert.equal(erased.code, 0, erased.err);
    const [said] = (await run('list', '--limit', '1', '--json', '--home', other)).out.split('\n');
    assert.deepEqual([JSON.parse(said!).replica, JSON.parse(said!).envelope.kind], ['node-1', 'erasure']);
  } finally {
    rmSync(other, { recursive: true });
  }
});
