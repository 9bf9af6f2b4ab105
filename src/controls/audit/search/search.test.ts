import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { Refusal } from '../../../core/refusal.ts';
import type { Audit } from '../audit.ts';
import { bareCall, CANARIES, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { LogReader } from '../reader/read.ts';
import { LogIndex, type SearchQuery } from './log-index.ts';

const log = fixture();
const DAY_MS = 86_400_000;
const PEOPLE = 4;
const CALLS = 48;
let audit: Audit;
let reader: LogReader;
const path = join(log.home, 'audit-index/node-1.db');

const open = (options: { rebuild?: boolean } = {}) =>
  LogIndex.open(reader, { home: log.home, replica: 'node-1', ...options });

async function find(query: Partial<SearchQuery>) {
  const index = await open();
  try {
    return await index.search({ limit: 1_000, ...query });
  } finally {
    index.close();
  }
}

/** Somebody who can write the file, but has no key. */
function tamper(...statements: string[]): void {
  const db = new DatabaseSync(path);
  for (const statement of statements) db.exec(statement);
  db.close();
}

before(async () => {
  audit = await log.open();
  for (let i = 0; i < CALLS; i++) {
    log.clock.utc += DAY_MS / 8;
    await runCall(audit, readyCall(log.clock, { subject: `canary-person-${i % PEOPLE}` }), log.clock);
  }
  const denied = readyCall(log.clock, { subject: 'canary-person-1' });
  denied.refusal = new Refusal('authorization.denied', {});
  await audit.stages.outcome.run(denied, log.clock);
  for (let i = 0; i < 30; i++) {
    const stranger = bareCall(log.clock);
    stranger.refusal = new Refusal('authentication.missing', {});
    await audit.stages.outcome.run(stranger, log.clock);
  }
  await audit.close();
  const keys = { folder: join(log.home, 'keys'), generate: false };
  reader = await LogReader.open({ home: log.home, keys, store: log.store, deployment: 'test' });
});
after(() => log.remove());

describe('searching', () => {
  test('finds by who, what, when and how it ended; what is found is opened from the log', async () => {
    const mine = await find({ subject: 'canary-person-1' });
    assert.equal(mine.records.length, 2 * (CALLS / PEOPLE) + 1);
    assert.ok(mine.records.every(({ meta }) => meta?.['subject'] === 'canary-person-1'));
    assert.deepEqual(mine.findings, []);
    assert.equal(mine.days, 7);
    assert.equal((await find({ subject: 'canary-person-1', code: 'authorization.denied' })).records.length, 1);
    assert.equal((await find({ target: CANARIES.target, kind: 'intent' })).records.length, CALLS);
    assert.equal((await find({ server: 'canary-server-8', kind: 'intent' })).records.length, CALLS);
    assert.equal((await find({ subject: 'nobody' })).records.length, 0);
    const day = await find({ since: log.clock.utc - DAY_MS, until: log.clock.utc });
    assert.equal(day.records.length, 2 * 8);
    const call = String(mine.records[0]?.meta?.['call']);
    assert.deepEqual(
      (await find({ call })).records.map(({ envelope }) => envelope.kind),
      ['intent', 'outcome'],
    );
  });

  test('an outcome is found by what only its intent said', async () => {
    const byClient = await find({ client: CANARIES.client, kind: 'outcome' });
    assert.equal(byClient.records.length, CALLS + 1);
    assert.equal(byClient.records[0]?.meta?.['client'], undefined, 'the outcome does not say it');
  });

  test('a code is found in refusals that were only counted', async () => {
    const { records } = await find({ code: 'authentication.missing' });
    assert.ok(records.some(({ envelope }) => envelope.kind === 'refusals'));
    assert.ok(records.some(({ envelope, meta }) => envelope.kind === 'refusal' && meta?.['address'] === '192.0.2.7'));
    assert.equal((await find({ code: 'transport.host' })).records.length, 0);
  });

  test('the newest so many, in the order of the journal', async () => {
    const { records } = await find({ subject: 'canary-person-2', limit: 3 });
    const all = (await find({ subject: 'canary-person-2' })).records;
    assert.deepEqual(
      records.map(({ index }) => index),
      all.slice(-3).map(({ index }) => index),
    );
  });

  test('the file is private and holds no value of a record', async () => {
    (await open()).close();
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(join(log.home, 'audit-index')).mode & 0o777, 0o700);
    for (const name of readdirSync(join(log.home, 'audit-index'))) {
      const bytes = readFileSync(join(log.home, 'audit-index', name)).toString('latin1');
      assert.ok(bytes.includes('outcome'), 'kinds stand in clear');
      for (const value of [...Object.values(CANARIES), 'canary-person-1', 'authorization.denied', '192.0.2.7'])
        assert.ok(!bytes.includes(value), `${value} in ${name}`);
    }
  });
});

describe('an index that does not say what the log says', () => {
  const cases = {
    'a row that was removed': ['DELETE FROM records WHERE idx = 7'],
    'a row whose subject was changed': ["UPDATE records SET subject = x'00' WHERE idx = 7"],
    'a row that names another record': ['UPDATE records SET leaf = leaf + 1000 WHERE idx = 7'],
    'a removed row with its count': [
      'DELETE FROM records WHERE idx = 7',
      'UPDATE days SET count = count - 1 WHERE day = (SELECT min(day) FROM days)',
    ],
    'a day that was removed': [
      'DELETE FROM records WHERE idx < 16',
      'DELETE FROM days WHERE day = (SELECT min(day) FROM days)',
    ],
  };
  for (const [what, statements] of Object.entries(cases)) {
    test(`${what} is noticed by a search, named by the check, and gone after a rebuild`, async () => {
      (await open({ rebuild: true })).close();
      tamper(...statements);
      const answer = await find({ subject: 'canary-person-3' });
      assert.ok(answer.findings.length > 0, 'the search says it');
      const index = await open();
      const { findings } = await index.check();
      index.close();
      assert.ok(
        findings.some(({ index: at }) => at === 7 || what.startsWith('a day')),
        JSON.stringify(findings),
      );
      const rebuilt = await open({ rebuild: true });
      assert.deepEqual((await rebuilt.check()).findings, []);
      rebuilt.close();
      assert.deepEqual((await find({ subject: 'canary-person-3' })).findings, []);
    });
  }

  test('a row that was invented is named by the check', async () => {
    (await open({ rebuild: true })).close();
    tamper(
      'INSERT INTO records (idx, segment, "offset", length, tree, leaf, leaf_hash, kind, time) SELECT 9999, segment, "offset", length, tree, 9999, leaf_hash, kind, time FROM records WHERE idx = 3',
    );
    const index = await open();
    const { findings } = await index.check();
    const answer = await index.search({ kind: 'outcome', limit: 1_000 });
    index.close();
    assert.ok(findings.some(({ index: at, what }) => at === 9999 && /no such record/.test(what)));
    assert.ok(
      answer.findings.some(({ index: at }) => at === 9999),
      'it is not of this log',
    );
    assert.ok(!answer.records.some(({ index: at }) => at === 9999));
  });

  test('the sums of days follow from the log alone', async () => {
    const index = await open({ rebuild: true });
    const { days, findings } = await index.check();
    assert.deepEqual(findings, []);
    assert.equal(
      days.reduce((sum, { records }) => sum + records, 0),
      index.size,
    );
    index.close();
    const { createHash } = await import('node:crypto');
    let chain: Buffer = Buffer.alloc(32);
    for await (const { envelope, leafHash } of reader.follow('node-1', 0))
      if (new Date(envelope.t_ms).toISOString().startsWith(days[0]!.day))
        chain = createHash('sha256').update(chain).update(leafHash).digest();
    assert.equal(chain.toString('base64'), days[0]!.leaves);
  });

  test('a state that was changed, another format, other bytes: the index is built anew and says why', async () => {
    tamper('UPDATE state SET next = 3');
    const changed = await open();
    assert.match(String(changed.rebuilt), /was changed/);
    assert.deepEqual((await changed.check()).findings, []);
    changed.close();
    tamper('PRAGMA user_version = 77');
    const old = await open();
    assert.deepEqual((await old.check()).findings, []);
    old.close();
  });
});

describe('keeping up', () => {
  test('an index goes on where it was, two at once do not disturb each other, and what grew is found', async () => {
    const index = await open({ rebuild: true });
    const before = index.size;
    const again = await log.open();
    for (let i = 0; i < 10; i++) await runCall(again, readyCall(log.clock, { subject: 'late' }), log.clock);
    await again.checkpoint();
    const both = await Promise.all([open(), open()]);
    assert.deepEqual(
      both.map(({ size }) => size),
      [before + 20, before + 20],
    );
    for (const one of both) assert.deepEqual((await one.check()).findings, []);
    assert.equal((await both[0]!.search({ subject: 'late', limit: 100 })).records.length, 20);
    for (const one of [...both, index]) one.close();
    await again.close();
  });

  test('building that was interrupted goes on where it was', async () => {
    const again = await log.open();
    const events = [...Array(2_100).keys()].map((n) =>
      again.record({ kind: 'settings', tenant: 'bulk', meta: { event: 'reloaded', subject: `bulk-${n}` } }),
    );
    await Promise.all(events);
    await again.close();
    const interrupted = (replica: string, done: number) => assert.fail(`${replica} interrupted at ${done}`);
    await assert.rejects(
      LogIndex.open(reader, { home: log.home, replica: 'node-1', rebuild: true, progress: interrupted }),
      /interrupted at 2000/,
    );
    const seen: number[] = [];
    const progress = (_: string, done: number) => void seen.push(done);
    const index = await LogIndex.open(reader, { home: log.home, replica: 'node-1', progress });
    assert.deepEqual(seen, [], 'the first 2000 were there, and the rest is less than that');
    assert.equal(index.size, reader.durable('node-1'));
    assert.equal((await index.search({ subject: 'bulk-2099', limit: 10 })).records.length, 1);
    assert.deepEqual((await index.search({ subject: 'bulk-0', limit: 10 })).findings, []);
    index.close();
  });

  test('what was erased stays erased: it is found, its payload is gone', async () => {
    const again = await log.open();
    await again.erase({ tenant: CANARIES.tenant, subject: 'key of late', basis: 'asked', by: 'operator-7' });
    await again.close();
    const { records } = await find({ subject: 'late', kind: 'intent' });
    assert.equal(records.length, 10);
    const [record] = await reader.at(records[0]!.index);
    assert.equal(record?.payload, null);
    assert.match(record?.notes.join() ?? '', /payload: its key is gone/);
    assert.equal((await find({ subject: 'operator-7', kind: 'erasure' })).records.length, 1);
  });
});
