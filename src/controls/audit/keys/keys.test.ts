import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type SealKey, unseal } from '../../../core/crypto/envelope.ts';
import { prepareKeys, retireKeys, rotateKeys } from '../../../core/crypto/key-exchange.ts';
import { openSymmetricKeys } from '../../../core/crypto/keys.ts';
import { memoryRows, openMemoryStore } from '../../../core/store/memory.ts';
import { ensureDevelopmentCertificates } from '../../authentication/index.ts';
import type { Audit } from '../audit.ts';
import { CANARIES, type Fixture, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { partAad } from '../format/envelope.ts';
import { SegmentReader } from '../format/segments.ts';
import { systemFiles } from '../journal/files.ts';
import { LogReader } from '../reader/read.ts';
import { readVerifiers, verifyLog } from '../verifier/verify-log.ts';
import { retireKek, rotateKek, stillNeeded } from './exchange.ts';
import { keepPlace, kekSource } from './kek.ts';
import { countNotUnder, Keyring, tenantTag } from './keyring.ts';

let log: Fixture;
let audit: Audit;
beforeEach(async () => {
  log = fixture();
  audit = await log.open();
});
afterEach(async () => {
  await audit.close();
  log.remove();
});

const folder = () => join(log.home, 'keys');
const call = (changes: Parameters<typeof readyCall>[1] = {}) =>
  runCall(audit, readyCall(log.clock, changes), log.clock);
const count = () => countNotUnder(log.store, currentKek(), log.clock.utc);
const currentKek = () => openSymmetricKeys({ folder: folder(), generate: false }, 'audit-kek')[0].kid;

async function records() {
  const keys = { folder: folder(), generate: false };
  const reader = await LogReader.open({ home: log.home, keys, store: log.store, deployment: 'test' });
  return reader.last(1_000);
}

async function verified() {
  const reports = await verifyLog(join(log.home, 'audit'), readVerifiers(join(folder(), 'audit.pub')));
  return reports.flatMap((report) => report.findings);
}

async function keyRecords() {
  return (await records()).filter(({ envelope }) => envelope.kind === 'keys').map(({ meta }) => meta);
}

test('a new KEK is taken over while the log runs: every stored key is wrapped anew, and both events are records', async () => {
  for (let i = 0; i < 20; i++) await call({ subject: `person-${i}` });
  const before = currentKek();
  const { current, other } = rotateKeys(folder(), 'audit-kek');
  assert.equal(other, before);
  assert.equal(statSync(join(folder(), 'audit-kek.jwks')).mode & 0o777, 0o600);
  assert.throws(() => rotateKeys(folder(), 'audit-kek'), /two keys are live/);
  const stored = await count();
  assert.ok(stored > 20);
  assert.match(
    (await stillNeeded('audit-kek', { home: log.home, store: log.store, now: log.clock.utc }))!,
    new RegExp(`${stored} stored keys`),
  );

  await audit.takeOverKeys();
  assert.equal(await count(), 0);
  assert.deepEqual(await keyRecords(), [
    { class: 'audit-kek', event: 'rotated', from: before, tenant: 'system', to: current },
    { class: 'audit-kek', event: 'rewrapped', rewrapped: stored, tenant: 'system', to: current },
  ]);

  assert.equal(await stillNeeded('audit-kek', { home: log.home, store: log.store, now: log.clock.utc }), null);
  retireKeys(folder(), 'audit-kek');
  await audit.takeOverKeys();
  await call({ subject: 'person-1' });
  await audit.close();
  audit = await log.open();
  for (const record of await records()) assert.deepEqual(record.notes, []);
  assert.deepEqual(await verified(), []);
});

test('a prepared KEK wraps nothing yet; what the first process wraps under it, the second can open already', async () => {
  await call();
  const before = currentKek();
  const { current, other } = prepareKeys(folder(), 'audit-kek');
  assert.equal(current, before);
  await audit.takeOverKeys();
  await call({ subject: 'somebody-new' });
  assert.equal(await count(), 0, 'all is wrapped under the current one');
  // This process does not look at the files again before the other has wrapped its keys anew.
  rotateKeys(folder(), 'audit-kek');
  const keks = openSymmetricKeys({ folder: folder(), generate: false }, 'audit-kek');
  const another = await Keyring.open(log.store, keks, log.clock.utc);
  await another.rewrap(
    () => log.clock.utc,
    async () => undefined,
  );
  assert.equal(currentKek(), other);
  assert.equal(await count(), 0);
  log.clock.utc += 61_000;
  await call({ subject: 'somebody-new' });
});

test('a KEK that another process still wrapped under a moment ago is not lost when it is retired at once', async () => {
  await call();
  const old = JSON.parse(readFileSync(join(folder(), 'audit-kek.jwks'), 'utf8')).keys;
  rotateKeys(folder(), 'audit-kek');
  // This process has not looked yet and wraps a new subject's key under the old one; the old one is then taken away.
  await call({ subject: 'late' });
  const [fresh] = JSON.parse(readFileSync(join(folder(), 'audit-kek.jwks'), 'utf8')).keys;
  writeFileSync(join(folder(), 'audit-kek.jwks'), JSON.stringify({ keys: [fresh] }));
  await audit.takeOverKeys();
  assert.equal(await count(), 0);
  assert.ok(old.length === 1);
  for (const record of await records()) assert.deepEqual(record.notes, []);
});

test('a key file that cannot be read changes nothing: the old keys stay, and it is said', async () => {
  const faults: unknown[] = [];
  await audit.close();
  audit = await log.open({ onKeyFault: (error) => faults.push(error) });
  for (const name of ['audit-kek', 'checkpoint'])
    writeFileSync(join(folder(), `${name}.jwks`), '{"keys": [{"kty": "oct", "k": "c2hvcnQ"}]}', { mode: 0o600 });
  await audit.takeOverKeys();
  assert.equal(faults.length, 2);
  await audit.takeOverKeys();
  assert.equal(faults.length, 2, 'not again before it changes');
  await call();
  await audit.checkpoint();
  assert.deepEqual(await verified(), []);
});

test('a new checkpoint key signs every tree anew; audit.pub names both, and the old one may go only then', async () => {
  await call();
  await audit.checkpoint();
  const { current, other } = rotateKeys(folder(), 'checkpoint');
  const where = { home: log.home, store: log.store, now: log.clock.utc };
  assert.match((await stillNeeded('checkpoint', where))!, /4 checkpoints/);
  await audit.takeOverKeys();
  assert.equal(readVerifiers(join(folder(), 'audit.pub')).length, 2);
  assert.equal(await stillNeeded('checkpoint', where), null);
  assert.deepEqual(await keyRecords(), [
    { class: 'checkpoint', event: 'rotated', from: other, tenant: 'system', to: current },
  ]);
  assert.deepEqual(await verified(), []);

  retireKeys(folder(), 'checkpoint');
  await audit.takeOverKeys();
  assert.equal(readVerifiers(join(folder(), 'audit.pub')).length, 1);
  await call();
  await audit.checkpoint();
  assert.deepEqual(await verified(), []);
  await audit.close();
  audit = await log.open();
  assert.deepEqual(log.fatal, []);
});

test('a checkpoint key is taken over while trees are being placed: neither audit.pub nor a tile is the other', async () => {
  for (let i = 0; i < 20; i++) await call({ tenant: `tenant-${i}` });
  rotateKeys(folder(), 'checkpoint');
  await Promise.all([audit.checkpoint(), audit.takeOverKeys()]);
  assert.deepEqual(log.fatal, []);
  assert.equal(readVerifiers(join(folder(), 'audit.pub')).length, 2);
  assert.deepEqual(await verified(), []);
});

test('audit.pub is printed within its folder, which may be on another disk than the log', async () => {
  await audit.close();
  rmSync(join(folder(), 'audit.pub'));
  const ways: string[] = [];
  const rename = ((from: string, to: string, done: (error: Error | null) => void) => {
    if (to.endsWith('audit.pub')) ways.push(dirname(from));
    systemFiles.rename(from, to, done);
  }) as typeof systemFiles.rename;
  audit = await log.open({ files: { ...systemFiles, rename } });
  assert.deepEqual(ways, [folder()]);
});

test('nothing is signed by a key that could not be printed into audit.pub', async () => {
  await audit.close();
  const rename = ((from: string, to: string, done: (error: Error | null) => void) => {
    if (to.endsWith('audit.pub')) done(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'rename' }));
    else systemFiles.rename(from, to, done);
  }) as typeof systemFiles.rename;
  const faults: unknown[] = [];
  audit = await log.open({ files: { ...systemFiles, rename }, onKeyFault: (error) => faults.push(error) });
  rotateKeys(folder(), 'checkpoint');
  await audit.takeOverKeys();
  assert.equal(faults.length, 1);
  await call();
  await audit.checkpoint();
  assert.deepEqual(await verified(), []);
});

test('a tree whose first record found no room is not signed by a new key: the next start takes the tenant on', async () => {
  await audit.close();
  let isFull = true;
  const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' });
  const write = ((...args: Parameters<typeof systemFiles.write>) => {
    if (isFull) (args.at(-1) as unknown as (error: Error) => void)(full);
    else systemFiles.write(...args);
  }) as typeof systemFiles.write;
  audit = await log.open({ files: { ...systemFiles, write } });
  await assert.rejects(() => call({ tenant: 'newcomer' }), /no room|disk is full/);
  isFull = false;
  rotateKeys(folder(), 'checkpoint');
  await audit.takeOverKeys();
  await audit.close();
  audit = await log.open();
  await call({ tenant: 'newcomer' });
  await audit.checkpoint();
  assert.deepEqual(await verified(), []);
});

test('the trees of a retired replica, which no start signs anew, are named when a checkpoint key is to go', async () => {
  const ended = await log.open({ replica: 'node-0' });
  await ended.retire({ by: 'operator', reason: 'replaced' });
  await ended.close();
  rotateKeys(folder(), 'checkpoint');
  await audit.takeOverKeys();
  await audit.close();
  audit = await log.open();
  const where = { home: log.home, store: log.store, now: log.clock.utc };
  assert.match((await stillNeeded('checkpoint', where))!, / yet \(node-0\); .* gatewrit audit retire --replica/);

  const again = await log.open({ replica: 'node-0', retire: true });
  await again.retire({ by: 'operator', reason: 'a new checkpoint key' });
  await again.close();
  assert.equal(await stillNeeded('checkpoint', where), null);
  retireKeys(folder(), 'checkpoint');
  await audit.takeOverKeys();
  assert.deepEqual(await verified(), []);
});

test('a prepared checkpoint key stands in audit.pub before it signs anything; rotated, it signs', async () => {
  await call();
  await audit.checkpoint();
  const { current, other } = prepareKeys(folder(), 'checkpoint');
  await audit.takeOverKeys();
  const told = readVerifiers(join(folder(), 'audit.pub'));
  assert.equal(told.length, 2);
  await call();
  await audit.checkpoint();
  assert.deepEqual(await keyRecords(), [], 'nothing was exchanged yet');
  const where = { home: log.home, store: log.store, now: log.clock.utc };
  assert.equal(await stillNeeded('checkpoint', where), null, 'all is signed by the current key');

  assert.equal(rotateKeys(folder(), 'checkpoint').current, other);
  await audit.takeOverKeys();
  assert.deepEqual(
    (await keyRecords()).map((meta) => [meta?.['from'], meta?.['to']]),
    [[current, other]],
  );
  assert.deepEqual(
    readVerifiers(join(folder(), 'audit.pub')).map(({ keyHash }) => keyHash),
    [told[1]!.keyHash, told[0]!.keyHash],
    'who was told the second line knows the one that signs now',
  );
  assert.deepEqual(await verified(), []);
});

test('a start goes on with what the last process had not wrapped anew', async () => {
  for (let i = 0; i < 10; i++) await call({ subject: `person-${i}` });
  await audit.close();
  rotateKeys(folder(), 'audit-kek');
  assert.ok((await count()) > 10);
  audit = await log.open();
  await audit.takeOverKeys();
  assert.equal(await count(), 0);
});

test('every segment has keys of its own: at a start, by size and by age', async () => {
  const kids = async () => new Set((await records()).map(({ envelope }) => envelope.parts[0]!.kid)).size;
  await call();
  assert.equal(await kids(), 1);
  await audit.close();
  audit = await log.open({}, { segmentMs: 60_000, segmentBytes: 64 * 1024 });
  await call();
  assert.equal(await kids(), 2, 'a start');
  log.clock.mono += 61_000;
  for (let i = 0; i < 3; i++) await call();
  assert.equal(await kids(), 3, 'age');
  for (let i = 0; i < 12; i++) await call({ argument: 'x'.repeat(12_000) });
  assert.ok((await kids()) >= 4, 'size');
});

test('with another KEK, another store or none, no record opens, and the log does not start', async () => {
  await call();
  await audit.close();
  const path = join(folder(), 'audit-kek.jwks');
  const mine = readFileSync(path);
  const other = { kty: 'oct', kid: 'other', k: createHash('sha256').update('other').digest('base64url') };
  writeFileSync(path, JSON.stringify({ keys: [other] }));
  await assert.rejects(() => log.open(), /wrapped under KEK .*, which is not here/);
  await assert.rejects(records, /wrapped under KEK/);
  // The same name does not make it the same key.
  const [{ kid }] = JSON.parse(mine.toString()).keys;
  writeFileSync(path, JSON.stringify({ keys: [{ ...other, kid }] }));
  await assert.rejects(() => log.open(), /does not unwrap/);
  writeFileSync(path, mine);

  const elsewhere = openMemoryStore(memoryRows());
  const keys = { folder: folder(), generate: false };
  const reader = await LogReader.open({ home: log.home, keys, store: elsewhere, deployment: 'test' });
  for (const record of await reader.last(10)) {
    assert.equal(record.meta, null);
    assert.equal(record.payload, null);
    assert.equal(record.notes[0], 'meta: its key is gone');
  }
  audit = await log.open();
});

test('a stored key moved to another subject, another tenant or another kind opens nothing', async () => {
  await call({ subject: 'alice' });
  await call({ subject: 'bob' });
  await call({ subject: 'alice', tenant: 'elsewhere' });
  await audit.close();
  const rows = await log.store.list('audit_keys', { prefix: '', limit: 100, now: log.clock.utc });
  const subjects = rows.filter(({ key }) => key.includes('/subject/'));
  assert.equal(subjects.length, 3);
  const used = new Set(subjects.map(({ key }) => key.slice(0, 32)));
  for (const from of subjects) {
    for (const to of rows.filter(({ key }) => key !== from.key && used.has(key.slice(0, 32)))) {
      const standing = (await log.store.get('audit_keys', to.key, log.clock.utc))!;
      const put = (value: Uint8Array, expect: number) =>
        log.store.set('audit_keys', to.key, value, { expect, expiresAt: null, now: log.clock.utc });
      await put(from.value, standing.version);
      await assert.rejects(records, /does not unwrap/, `${from.key} at ${to.key}`);
      await put(to.value, standing.version + 1);
    }
  }
  for (const record of await records()) assert.deepEqual(record.notes, []);
  audit = await log.open();
});

test('an erased subject: its payloads and what was sealed for it elsewhere are gone, the rest and every proof stay', async () => {
  const [tenant, other] = ['acme', 'acme-2'];
  for (const subject of ['alice', 'bob']) for (let i = 0; i < 3; i++) await call({ tenant, subject });
  await call({ tenant: other, subject: 'alice' });
  const sealed = await audit.vault.seal(tenant, 'key of alice', Buffer.from('stored approval'), 'approval 1');
  const kept = await audit.vault.seal(tenant, 'key of bob', Buffer.from('stored approval'), 'approval 2');
  await audit.checkpoint();
  assert.deepEqual(await verified(), []);

  const whom = { tenant, subject: 'key of alice' };
  const name = (await audit.keyOf(whom))!;
  const done = await audit.erase({ ...whom, basis: 'request 7', by: 'https://issuer officer' });
  assert.equal(done.key, name);
  assert.equal(await audit.keyOf(whom), null);
  assert.equal(await audit.vault.open(tenant, 'key of alice', sealed, 'approval 1'), null);
  assert.equal(String(await audit.vault.open(tenant, 'key of bob', kept, 'approval 2')), 'stored approval');

  const all = await records();
  const record = all.find(({ envelope }) => envelope.kind === 'erasure')!;
  assert.deepEqual(record.meta, { basis: 'request 7', by: 'https://issuer officer', found: true, key: name, tenant });
  assert.equal(record.index, done.index);
  const calls = all.filter(({ envelope }) => envelope.kind === 'intent' || envelope.kind === 'outcome');
  assert.equal(calls.length, 14);
  for (const { meta, payload, notes } of calls) {
    assert.ok(meta, 'what was done stays');
    const erased = meta['subject_key'] === name;
    assert.deepEqual(notes, erased ? ['payload: its key is gone'] : []);
    assert.equal(payload === null, erased);
  }
  assert.equal(calls.filter(({ payload }) => payload === null).length, 6);

  // The next call begins anew; what was sealed before stays gone.
  await call({ tenant, subject: 'alice' });
  assert.notEqual(await audit.keyOf(whom), name);
  assert.equal(await audit.vault.open(tenant, 'key of alice', sealed, 'approval 1'), null);
  await audit.checkpoint();
  assert.deepEqual(await verified(), []);
  assert.ok(!JSON.stringify(await records()).includes(CANARIES.tenant));
});

test('a key that is being read while it is erased is not kept', async () => {
  await call({ subject: 'alice', tenant: 'acme' });
  await audit.close();
  audit = await log.open();
  const vaulted = audit.vault.seal('acme', 'key of alice', Buffer.from('x'), 'place');
  await audit.erase({ tenant: 'acme', subject: 'key of alice', basis: 'b', by: 'o' });
  const sealed = await vaulted;
  assert.equal(await audit.vault.open('acme', 'key of alice', sealed, 'place'), null);
});

test('a key that another process erased is not used longer because the clock was set back', async () => {
  await call({ subject: 'alice', tenant: 'acme' });
  const keks = openSymmetricKeys({ folder: folder(), generate: false }, 'audit-kek');
  const other = await Keyring.open(log.store, keks, log.clock.utc);
  await other.eraseSubject(tenantTag('test', 'acme').toString('hex'), 'key of alice', log.clock.utc);
  log.clock.utc -= 3_600_000;
  await call({ subject: 'alice', tenant: 'acme' });
  const since = (await records()).filter(({ envelope }) => envelope.t_ms === log.clock.utc);
  assert.equal(since.length, 2);
  for (const { notes } of since) assert.deepEqual(notes, [], 'it is sealed under a key that is there');
});

test('the KEK may stand in a file elsewhere or in the environment; commands find it, and no secret is kept beside', async () => {
  const path = join(folder(), 'audit-kek.jwks');
  const set = readFileSync(path, 'utf8');
  await call();
  await audit.close();
  rmSync(path);
  const elsewhere = join(log.home, 'elsewhere.jwks');
  writeFileSync(elsewhere, set, { mode: 0o600 });
  audit = await log.open({}, { kek: `file:${elsewhere}` });
  await call();
  const rotated = await rotateKek({ home: log.home, store: log.store, now: log.clock.utc });
  assert.match(rotated.place, /^file:.*elsewhere\.jwks$/);
  await audit.takeOverKeys();
  await retireKek({ home: log.home, store: log.store, now: log.clock.utc });
  for (const { notes } of await records()) assert.deepEqual(notes, []);
  await audit.close();

  process.env['GATEWRIT_TEST_KEK'] = readFileSync(elsewhere, 'utf8');
  rmSync(elsewhere);
  audit = await log.open({}, { kek: 'env:GATEWRIT_TEST_KEK' });
  await call();
  for (const { notes } of await records()) assert.deepEqual(notes, []);
  await assert.rejects(
    () => rotateKek({ home: log.home, store: log.store, now: log.clock.utc }),
    /the KEK stands in env:GATEWRIT_TEST_KEK: put a fresh key first there/,
  );
  const { k } = JSON.parse(process.env['GATEWRIT_TEST_KEK']!).keys[0];
  for (const name of readdirSync(folder())) assert.ok(!readFileSync(join(folder(), name), 'utf8').includes(k), name);
  assert.ok(!existsSync(path), 'none is made');
  await audit.close();
  delete process.env['GATEWRIT_TEST_KEK'];
  await assert.rejects(() => log.open({}, { kek: 'env:GATEWRIT_TEST_KEK' }), /env:GATEWRIT_TEST_KEK is not set/);
});

test('a home that moves from a key file to a KMS: the KEK there is not rotated before everything is wrapped under it', async () => {
  await call();
  await audit.close();
  const made = await ensureDevelopmentCertificates(log.home);
  // What it is sent it keeps in its answer: enough to wrap and unwrap.
  const kms = createServer(
    { cert: readFileSync(made.cert), key: readFileSync(made.key) },
    async (request, response) => {
      const { plaintext, ciphertext } = JSON.parse(String(Buffer.concat(await Array.fromAsync(request))));
      response.end(JSON.stringify({ data: plaintext ? { ciphertext: plaintext } : { plaintext: ciphertext } }));
    },
  ).listen(0, '127.0.0.1');
  await once(kms, 'listening');
  try {
    process.env['GATEWRIT_TEST_TOKEN'] = 'token';
    const url = `https://localhost:${(kms.address() as AddressInfo).port}`;
    const kek = { transit: { url, key: 'gatewrit', mount: 'transit', token: 'env:GATEWRIT_TEST_TOKEN', ca: made.ca } };
    const where = { home: log.home, store: log.store, now: log.clock.utc };
    // A start with the KMS that is cut short as soon as there is a wrapped KEK.
    keepPlace(folder(), kek);
    await kekSource({ keys: { folder: folder(), generate: false }, store: log.store }).open(log.clock.utc);
    await assert.rejects(() => rotateKek(where), /stored keys are not wrapped under/);
    audit = await log.open({}, { kek });
    await audit.takeOverKeys();
    await rotateKek(where);
    await audit.close();
    audit = await log.open({}, { kek });
    for (const { notes } of await records()) assert.deepEqual(notes, []);
    await audit.close();
  } finally {
    delete process.env['GATEWRIT_TEST_TOKEN'];
    kms.close();
  }
});

test('a sealed part moved to another record, another name, another tenant or another subject does not open', async () => {
  for (const tenant of ['acme', 'other']) for (const subject of ['alice', 'bob']) await call({ tenant, subject });
  const ring = await Keyring.open(log.store, openSymmetricKeys({ folder: folder(), generate: false }, 'audit-kek'), 0);
  const reader = new SegmentReader(join(log.home, 'audit/node-1/segments'), 1);
  reader.header();
  const sealed: { bytes: Buffer; key: SealKey; place: string }[] = [];
  for (let frame = reader.next(); frame; frame = reader.next()) {
    const tag = frame.tag.toString('hex');
    const { id, parts } = JSON.parse(frame.envelope.toString());
    const key = (await ring.segmentKey(tag, parts[0].kid, 0))!.key;
    const place = partAad(`test/${tag}/node-1`, id, 'meta');
    sealed.push({ bytes: Buffer.from(frame.parts[0]!), key, place });
    assert.ok(unseal(key, frame.parts[0]!, place), 'where it belongs');
    assert.equal(unseal(key, frame.parts[0]!, partAad(`test/${tag}/node-1`, id, 'payload')), null);
  }
  reader.close();
  assert.equal(sealed.length, 8);
  for (const [i, { bytes }] of sealed.entries())
    for (const [j, { key, place }] of sealed.entries()) if (i !== j) assert.equal(unseal(key, bytes, place), null);

  const vaulted = await audit.vault.seal('acme', 'key of alice', Buffer.from('stored'), 'row 1');
  assert.equal(String(await audit.vault.open('acme', 'key of alice', vaulted, 'row 1')), 'stored');
  assert.equal(await audit.vault.open('acme', 'key of alice', vaulted, 'row 2'), null);
  assert.equal(await audit.vault.open('acme', 'key of bob', vaulted, 'row 1'), null);
  assert.equal(await audit.vault.open('other', 'key of alice', vaulted, 'row 1'), null);
});
