import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Ephemeral } from './ephemeral.ts';

/** What every driver of the ephemeral port must do. `open` makes an empty one that uses the given `now`. */
export function ephemeralContract(driver: string, open: () => Promise<Ephemeral> | Ephemeral): void {
  const runs = { numRuns: 60 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1) };

  test(`${driver}: no interval of one window ever sees more than the limit accepted`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 0, max: 1_000_000 }),
        fc.array(fc.record({ after: fc.integer({ min: 0, max: 90 }), cost: fc.integer({ min: 0, max: 4 }) }), {
          maxLength: 120,
        }),
        async (limit, windowMs, start, steps) => {
          const ephemeral = await open();
          const accepted: { at: number; cost: number }[] = [];
          let now = start;
          for (const { after, cost } of steps) {
            now += after;
            const taken = await ephemeral.take('t', 'k', { limit, windowMs, cost }, now);
            if (taken.accepted) accepted.push({ at: now, cost });
            assert.equal(taken.retryAfterMs === 0, taken.accepted);
          }
          for (const first of accepted) {
            const sum = accepted
              .filter(({ at }) => at >= first.at && at < first.at + windowMs)
              .reduce((total, { cost }) => total + cost, 0);
            assert.ok(sum <= limit, `${sum} accepted within one window of ${limit}`);
          }
          await ephemeral.close();
        },
      ),
      runs,
    );
  });

  test(`${driver}: who waits for what he was told to wait is served`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 4, max: 30 }),
        fc.integer({ min: 16, max: 5_000 }),
        fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 60 }),
        async (limit, windowMs, gaps) => {
          const ephemeral = await open();
          let now = 10_000;
          for (const gap of gaps) {
            now += gap;
            const rule = { limit, windowMs, cost: 1 + (gap % 4) };
            const taken = await ephemeral.take('t', 'k', rule, now);
            if (taken.accepted) continue;
            assert.ok(taken.retryAfterMs <= windowMs * 1.07 + 17, `told to wait ${taken.retryAfterMs}`);
            now += taken.retryAfterMs;
            assert.ok((await ephemeral.take('t', 'k', rule, now)).accepted);
          }
          await ephemeral.close();
        },
      ),
      runs,
    );
  });

  test(`${driver}: a full burst is served, the next one is not, and a quiet window later it is again`, async () => {
    const ephemeral = await open();
    const rule = { limit: 10, windowMs: 1_600, cost: 1 };
    for (let i = 0; i < 10; i++) assert.equal((await ephemeral.take('t', 'k', rule, 1_599)).remaining, 9 - i);
    assert.equal((await ephemeral.take('t', 'k', rule, 1_601)).accepted, false, 'the edge of a fixed window');
    assert.equal((await ephemeral.take('t', 'k', rule, 3_198)).accepted, false);
    assert.equal((await ephemeral.take('t', 'k', rule, 1_599 + 1_700)).accepted, true);
    await ephemeral.close();
  });

  test(`${driver}: keys and tables do not share windows; a cost above the limit or not a number is refused`, async () => {
    const ephemeral = await open();
    const rule = { limit: 1, windowMs: 1_000, cost: 1 };
    for (const [table, key] of [
      ['a', 'x'],
      ['a', 'y'],
      ['b', 'x'],
    ] as const) {
      assert.equal((await ephemeral.take(table, key, rule, 5)).accepted, true);
      assert.equal((await ephemeral.take(table, key, rule, 5)).accepted, false);
    }
    for (const cost of [2, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.equal((await ephemeral.take('c', 'x', { ...rule, cost }, 5)).accepted, false, String(cost));
    }
    await ephemeral.close();
  });

  test(`${driver}: a rule changed while running forgets nothing that was taken`, async () => {
    const ephemeral = await open();
    for (let i = 0; i < 5; i++) await ephemeral.take('t', 'k', { limit: 5, windowMs: 1_000, cost: 1 }, 100);
    assert.equal((await ephemeral.take('t', 'k', { limit: 5, windowMs: 60_000, cost: 1 }, 200)).accepted, false);
    assert.equal((await ephemeral.take('t', 'k', { limit: 6, windowMs: 60_000, cost: 1 }, 200)).accepted, true);
    await ephemeral.close();
  });

  test(`${driver}: a key is stored once until its time is over`, async () => {
    const ephemeral = await open();
    assert.equal(await ephemeral.once('nonce', 'a', 100, 1_000), 'stored');
    assert.equal(await ephemeral.once('nonce', 'a', 100, 1_099), 'exists');
    assert.equal(await ephemeral.once('nonce', 'b', 100, 1_099), 'stored');
    assert.equal(await ephemeral.once('state', 'a', 100, 1_099), 'stored');
    assert.equal(await ephemeral.once('nonce', 'a', 100, 1_100), 'stored');
    await ephemeral.close();
  });

  test(`${driver}: the wait doubles from base to cap, never shrinks within a streak, and ends when the streak is forgotten`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 5 }),
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 1_000, max: 60_000 }),
        fc.integer({ min: 1, max: 70 }),
        async (freeFailures, baseMs, capMs, failures) => {
          const ephemeral = await open();
          const rule = { freeFailures, baseMs, capMs, forgetMs: capMs * 2 };
          let before = 0;
          for (let n = 1; n <= failures; n++) {
            const { waitMs } = await ephemeral.failed('t', 'k', rule, 1_000);
            const expected = n <= freeFailures ? 0 : Math.min(capMs, baseMs * 2 ** (n - freeFailures - 1));
            assert.equal(waitMs, expected);
            assert.ok(waitMs >= before && waitMs <= capMs);
            before = waitMs;
          }
          assert.equal((await ephemeral.backoff('t', 'k', rule, 1_000 + before)).waitMs, 0);
          assert.equal((await ephemeral.backoff('t', 'k', rule, 1_000 + rule.forgetMs)).failures, 0);
          assert.equal((await ephemeral.backoff('t', 'other', rule, 1_000)).waitMs, 0, 'nobody else waits');
          assert.equal((await ephemeral.failed('t', 'k', rule, 1_000 + rule.forgetMs)).failures, 1);
          await ephemeral.close();
        },
      ),
      runs,
    );
  });
}
