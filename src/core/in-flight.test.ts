import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Call } from './call.ts';
import { InFlight } from './in-flight.ts';

const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const callNamed = (id: string) => ({ id }) as Call;

test('the table holds exactly the calls that entered and have not left, oldest first', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(30), { maxLength: 80 }), (steps) => {
      const table = new InFlight();
      const expected: Call[] = [];
      steps.forEach((step, i) => {
        // Small numbers end a call, the others begin one.
        const leaving = step < 14 ? expected[step % Math.max(1, expected.length)] : undefined;
        if (leaving) {
          table.leave(leaving);
          table.leave(leaving);
          expected.splice(expected.indexOf(leaving), 1);
        } else {
          const call = callNamed(String(i));
          table.enter(call);
          expected.push(call);
        }
        assert.equal(table.size, expected.length);
        assert.deepEqual([...table.calls()], expected);
      });
    }),
    { numRuns: 300 * scale, seed: 20260728 },
  );
});

test('a copy of a call has a place of its own: one that never entered takes nobody out', () => {
  const table = new InFlight();
  const call = callNamed('a');
  table.enter(call);
  table.leave({ ...call });
  assert.deepEqual([...table.calls()], [call]);
});

test('draining ends with the last call, or says how many were left', async () => {
  const table = new InFlight();
  const [a, b] = [callNamed('a'), callNamed('b')];
  table.enter(a);
  table.enter(b);
  assert.equal(await table.drain(5), 2);
  const drained = table.drain(10_000);
  table.leave(b);
  table.leave(a);
  assert.equal(await drained, 0);
  assert.equal(await table.drain(10_000), 0);
});
