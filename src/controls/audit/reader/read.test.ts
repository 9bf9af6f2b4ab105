import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { leafHash } from '../../../core/crypto/merkle.ts';
import { InternalError } from '../../../core/internal-error.ts';
import type { Audit } from '../audit.ts';
import { fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { listSegments, segmentName } from '../format/segments.ts';
import { type FollowedRecord, LogReader } from './read.ts';

const log = fixture();
let audit: Audit;
let reader: LogReader;
const CALLS = 60;

async function collect(from: number, options?: { payload?: boolean }): Promise<FollowedRecord[]> {
  const records: FollowedRecord[] = [];
  for await (const record of reader.follow('node-1', from, options)) records.push(record);
  return records;
}

before(async () => {
  // Several segments: one is full after some dozen records.
  audit = await log.open({}, { segmentBytes: 64 * 1024 });
  for (let i = 0; i < CALLS; i++) {
    log.clock.utc += 1_000;
    const call = readyCall(log.clock, { tenant: i % 3 === 0 ? 'one' : 'two', subject: `person-${i % 5}` });
    await runCall(audit, call, log.clock);
  }
  await audit.checkpoint();
  const keys = { folder: join(log.home, 'keys'), generate: false };
  reader = await LogReader.open({ home: log.home, keys, store: log.store, deployment: 'test' });
});
after(async () => {
  await audit.close();
  log.remove();
});

describe('following the log', () => {
  test('gives every signed record once, in order, over segments and tenants, with the leaf its tree has', async () => {
    const records = await collect(0);
    assert.deepEqual(
      records.map(({ index }) => index),
      [...Array(2 * CALLS).keys()],
    );
    assert.ok(listSegments(join(log.home, 'audit/node-1/segments')).numbers.length > 1, 'one segment shows nothing');
    const leaves = new Map<string, number>();
    for (const { origin, leaf, envelope, meta, leafHash: hash, payload, at } of records) {
      assert.equal(leaf, leaves.get(origin) ?? 0);
      leaves.set(origin, leaf + 1);
      assert.equal(hash.length, 32);
      assert.equal(meta?.['tenant'], origin === records[0]!.origin ? 'one' : 'two');
      assert.ok(['intent', 'outcome'].includes(envelope.kind));
      assert.equal(payload, null, 'not asked for');
      assert.ok(at.length > 0);
    }
    assert.equal(leaves.size, 2);
    assert.deepEqual(reader.replicas(), ['node-1']);
  });

  test('goes on where it ended, from any index, and finds a record again by its place', async () => {
    for (const from of [1, 37, 2 * CALLS - 1]) {
      const [first] = await collect(from);
      assert.equal(first?.index, from);
      const again = await reader.atPlace('node-1', from, first!.at);
      assert.deepEqual(again?.envelope, first?.envelope);
      assert.deepEqual(again?.leafHash, leafHash(Buffer.from(JSON.stringify(again?.envelope))));
      assert.equal(await reader.atPlace('node-1', from + 1, first!.at), null, 'another record stands there');
    }
    assert.deepEqual(await collect(2 * CALLS), []);
    log.clock.utc += 1_000;
    await runCall(audit, readyCall(log.clock), log.clock);
    assert.deepEqual(await collect(2 * CALLS), [], 'nothing is given before it is signed');
    await audit.checkpoint();
    assert.deepEqual(
      (await collect(2 * CALLS)).map(({ index }) => index),
      [2 * CALLS, 2 * CALLS + 1],
    );
  });

  test('a payload is opened when it is asked for, and each opening is what a disclosure needs', async () => {
    const [intent] = await collect(0, { payload: true });
    assert.match(String(intent?.payload?.get('arguments')), /canary argument/);
    assert.deepEqual([...intent!.openings.keys()], ['meta', 'payload']);
  });

  test('a record that is not there whole ends it with a sentence: nothing is left out silently', async () => {
    const [third] = (await collect(3)).slice(0, 1);
    const path = join(log.home, 'audit/node-1/segments', segmentName(third!.at.segment));
    const bytes = readFileSync(path);
    bytes[third!.at.offset + third!.at.length - 1]! ^= 1;
    writeFileSync(path, bytes);
    try {
      const seen: number[] = [];
      await assert.rejects(async () => {
        for await (const { index } of reader.follow('node-1', 0)) seen.push(index);
      }, /record 3 of node-1 is not there whole/);
      assert.deepEqual(seen, [0, 1, 2]);
    } finally {
      bytes[third!.at.offset + third!.at.length - 1]! ^= 1;
      writeFileSync(path, bytes);
    }
  });
});

const SCALE = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);

describe('a damaged journal', () => {
  test('whatever byte was changed, no other record is given than stood there, and what is missing is said', async () => {
    const whole = await collect(0);
    const folder = join(log.home, 'audit/node-1/segments');
    const numbers = listSegments(folder).numbers;
    const damage = fc.record({
      segment: fc.constantFrom(...numbers),
      at: fc.double({ min: 0, max: 0.999, noNaN: true }),
      xor: fc.integer({ min: 1, max: 255 }),
      cut: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ segment, at, xor, cut }) => {
        const path = join(folder, segmentName(segment));
        const bytes = readFileSync(path);
        const place = Math.floor(at * bytes.length);
        const damaged = Buffer.from(cut ? bytes.subarray(0, place) : bytes);
        if (!cut) damaged[place]! ^= xor;
        writeFileSync(path, damaged);
        try {
          const keys = { folder: join(log.home, 'keys'), generate: false };
          const fresh = await LogReader.open({ home: log.home, keys, store: log.store, deployment: 'test' });
          let next = 0;
          try {
            for await (const { index, leaf, leafHash: hash, meta } of fresh.follow('node-1', 0)) {
              assert.equal(index, next++);
              assert.deepEqual([leaf, hash, meta], [whole[index]!.leaf, whole[index]!.leafHash, whole[index]!.meta]);
            }
            assert.equal(next, whole.length, 'it ended without a word');
          } catch (error) {
            assert.ok(error instanceof InternalError, String(error));
            assert.equal(error.code, 'audit.unreadable');
          }
          await fresh.last(5);
          await fresh.at(whole.length - 1);
        } finally {
          writeFileSync(path, bytes);
        }
      }),
      { numRuns: 60 * SCALE },
    );
  });
});

describe('single records', () => {
  test('by index, by call and the last ones, also those that nobody has signed yet', async () => {
    const [found] = await reader.at(17);
    assert.equal(found?.index, 17);
    const call = String(found?.meta?.['call']);
    assert.deepEqual(
      (await reader.about(call)).map(({ envelope }) => envelope.kind),
      ['intent', 'outcome'],
    );
    log.clock.utc += 1_000;
    await runCall(audit, readyCall(log.clock), log.clock);
    const last = await reader.last(3);
    assert.deepEqual(
      last.map(({ index }) => index),
      [2 * CALLS + 1, 2 * CALLS + 2, 2 * CALLS + 3],
    );
    assert.equal((await reader.last(40)).length, 40);
    assert.deepEqual(await reader.at(10_000), []);
  });

  test('bytes behind the last record that are no record are nothing', async () => {
    const folder = join(log.home, 'audit/node-1/segments');
    const path = join(folder, segmentName(listSegments(folder).numbers.at(-1)!));
    const { length } = readFileSync(path);
    appendFileSync(path, Buffer.from('GWR1 torn'));
    assert.equal((await reader.last(1))[0]?.index, 2 * CALLS + 3);
    truncateSync(path, length);
  });
});
