import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agreeOnEras, DIFFERENCE_NAMES } from '../fuzz/eras.ts';

const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);

test('the era of a request is what the official SDK takes it for, but for a closed list of differences (property)', () => {
  const seen = agreeOnEras(2_000 * scale);
  for (const era of ['agreed: modern', 'agreed: legacy'])
    assert.ok((seen.get(era) ?? 0) > 100 * scale, `too few requests are ${era}: ${seen.get(era)}`);
});

test('every difference on the list is one that occurs', () => {
  const seen = agreeOnEras(6_000, 7);
  assert.deepEqual(
    DIFFERENCE_NAMES.filter((name) => !seen.has(name)),
    [],
  );
});
