import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EventStream } from './answer.ts';
import { STREAM_BOUNDS, type StreamBounds, StreamLogs } from './stream-logs.ts';

const ALICE = { session: 'session-a', principal: 'alice' };
const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const bytes = (text: string) => Buffer.from(text);

/** What one connection heard: messages with their ids. */
class Ear {
  readonly heard: string[] = [];
  readonly ids: (string | null)[] = [];
  over = 0;
  readonly stream = {
    send: (message: Uint8Array, id: string | null) => {
      this.heard.push(Buffer.from(message).toString());
      this.ids.push(id);
    },
  } as unknown as EventStream;
  readonly ends = () => {
    this.over++;
  };
}

const logs = (bounds: Partial<StreamBounds> = {}) => new StreamLogs({ ...STREAM_BOUNDS, ...bounds });

test('the rest of a stream is what was said after the named event, then what is said live, to its end', () => {
  const all = logs();
  const log = all.open(ALICE, true);
  const [first, second] = [new Ear(), new Ear()];
  log.listen(first.stream, first.ends);
  for (const word of ['one', 'two', 'three']) log.say(bytes(word));
  log.leave(first.stream);
  log.say(bytes('four'));
  const found = all.find(first.ids[1]!, ALICE)!;
  found.log.listen(second.stream, second.ends, found.after);
  assert.deepEqual(second.heard, ['three', 'four']);
  log.say(bytes('five'));
  log.say(bytes('answer'));
  log.end();
  assert.deepEqual(first.heard, ['one', 'two', 'three']);
  assert.deepEqual(second.heard, ['three', 'four', 'five', 'answer']);
  assert.deepEqual(
    second.ids,
    [3, 4, 5, 6].map((n) => `${log.id}.${n}`),
  );
  assert.equal(second.over, 1);
});

test('each message goes to one connection: who resumes a stream that is still heard takes it over', () => {
  const all = logs();
  const log = all.open(ALICE, true);
  const [first, second] = [new Ear(), new Ear()];
  log.listen(first.stream, first.ends);
  log.say(bytes('one'));
  log.listen(second.stream, second.ends, 0);
  log.say(bytes('two'));
  assert.deepEqual([first.heard, first.over], [['one'], 1]);
  assert.deepEqual([second.heard, second.over], [['one', 'two'], 0]);
  log.leave(first.stream);
  log.say(bytes('three'));
  assert.equal(second.heard.length, 3, 'the one that left late takes nothing with it');
});

test('a stream that has ended is given again in full, and once its time is over it is forgotten', async () => {
  const all = logs({ ttlMs: 20 });
  const log = all.open(ALICE, true);
  log.say(bytes('answer'));
  log.end();
  const ear = new Ear();
  all.find(`${log.id}.0`, ALICE)!.log.listen(ear.stream, ear.ends, 0);
  assert.deepEqual([ear.heard, ear.over], [['answer'], 1]);
  for (let tries = 0; all.bytes > 0 && tries < 200; tries++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(all.bytes, 0);
  assert.equal(all.find(`${log.id}.0`, ALICE), null);
});

test('a stream without an end of its own goes on in another connection', () => {
  const all = logs();
  const log = all.open(ALICE, false);
  const [first, second] = [new Ear(), new Ear()];
  log.listen(first.stream, first.ends);
  log.say(bytes('one'));
  log.leave(first.stream);
  assert.equal(log.ended, true);
  log.listen(second.stream, second.ends, 1);
  log.say(bytes('two'));
  assert.deepEqual([second.heard, second.ids], [['two'], [`${log.id}.2`]]);
  assert.equal(log.ended, false);
});

test('only session and principal of a stream find it, and no other text does', () => {
  const all = logs();
  const log = all.open(ALICE, true);
  log.say(bytes('one'));
  assert.ok(all.find(log.last, ALICE));
  assert.equal(all.find(log.last, { ...ALICE, session: 'session-b' }), null);
  assert.equal(all.find(log.last, { ...ALICE, principal: 'bob' }), null);
  for (const id of ['', '.', log.id, `${log.id}.`, `${log.id}.x`, `${log.id}.1.1`, `${log.id}.-1`, `${log.id}.1e3`])
    assert.equal(all.find(id, ALICE), null, id);
  all.forget(ALICE);
  assert.equal(all.find(log.last, ALICE), null);
  assert.equal(all.bytes, 0);
});

test('what is kept is a copy of its own: it keeps nothing larger alive, and is what was said then', () => {
  const all = logs();
  const log = all.open(ALICE, true);
  const answer = Buffer.alloc(1024 * 1024, 'a');
  log.say(answer.subarray(0, 10));
  answer.fill('b');
  const given: Uint8Array[] = [];
  const stream = { send: (message: Uint8Array) => given.push(message) } as unknown as EventStream;
  log.listen(stream, () => {}, 0);
  assert.equal(Buffer.from(given[0]!).toString(), 'aaaaaaaaaa');
  assert.equal(given[0]!.buffer.byteLength, 10);
});

test('what is kept stays within its bounds, whatever is said, and what is heard live is not touched by that', () => {
  const bounds = { events: 5, bytes: 100, streamsOfSession: 3, streams: 6, totalBytes: 250, ttlMs: 60_000 };
  const step = fc.record({
    owner: fc.nat(2),
    action: fc.constantFrom('open', 'say', 'say', 'say', 'end'),
    size: fc.nat(120),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const all = logs(bounds);
      const open: { log: ReturnType<StreamLogs['open']>; ear: Ear; said: number }[] = [];
      for (const { owner, action, size } of steps) {
        const one = open[size % Math.max(1, open.length)];
        if (action === 'open') {
          const log = all.open({ session: `s${owner}`, principal: 'p' }, true);
          const ear = new Ear();
          log.listen(ear.stream, ear.ends);
          open.push({ log, ear, said: 0 });
        } else if (one && action === 'say' && !one.log.ended) {
          one.log.say(new Uint8Array(size));
          one.said++;
        } else if (one && action === 'end' && !one.log.ended) one.log.end();
        assert.ok(all.bytes >= 0 && all.bytes <= bounds.totalBytes);
        const kept = open.filter(({ log }) => all.find(log.last, log.owner));
        assert.ok(kept.length <= bounds.streams);
        for (let s = 0; s < 3; s++)
          assert.ok(kept.filter(({ log }) => log.owner.session === `s${s}`).length <= bounds.streamsOfSession);
        assert.equal(
          kept.reduce((sum, { log }) => sum + log.bytes, 0),
          all.bytes,
        );
      }
      for (const { ear, said } of open) assert.equal(ear.heard.length, said);
    }),
    { numRuns: 100 * scale },
  );
});
