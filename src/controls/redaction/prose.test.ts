import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { evaluate, type LabelledText, redactionSettings, type Type } from './index.ts';

const folder = process.env['GATEWRIT_VECTORS'] ?? fileURLToPath(new URL('../../../../shared/vectors', import.meta.url));
const file = `${folder}/pii-prose.json`;
const missing = existsSync(file) ? false : `SKIPPED: no ${file}; set GATEWRIT_VECTORS`;
if (missing) console.error(missing);

/** Floors, not goals: lower ones would be a step back. */
const FLOORS: readonly (readonly [type: Type, recall: number, precision: number])[] = [
  ['CREDIT_CARD', 0.99, 0.99],
  ['EMAIL', 0.99, 0.99],
  ['US_SSN', 0.99, 0.99],
  ['IBAN', 0.99, 0.99],
  ['IP_ADDRESS', 0.99, 0.99],
  ['PHONE', 0.95, 0.95],
];

test('structured types are found in prose at the stated floors', { skip: missing }, (t) => {
  const { scores } = evaluate(JSON.parse(readFileSync(file, 'utf8')) as LabelledText[], redactionSettings.parse({}));
  for (const [type, recall, precision] of FLOORS) {
    const score = scores.find((one) => one.type === type);
    assert.ok(score !== undefined, type);
    t.diagnostic(
      `${type}: recall ${score.recall.toFixed(3)} precision ${score.precision.toFixed(3)} F2 ${score.f2.toFixed(3)} of ${score.labelled}`,
    );
    assert.ok(score.recall >= recall && score.precision >= precision, JSON.stringify(score));
  }
});

test('the measure itself can fail: a missed label and a false alarm both cost', () => {
  const text = 'mail jane@example.org';
  const label = (start_position: number, end_position: number) => ({
    entity_type: 'EMAIL_ADDRESS',
    start_position,
    end_position,
  });
  const [right] = evaluate([{ full_text: text, spans: [label(5, 21)] }], redactionSettings.parse({})).scores;
  assert.deepEqual([right?.recall, right?.precision], [1, 1]);
  const [wrong] = evaluate([{ full_text: text, spans: [label(0, 6)] }], redactionSettings.parse({})).scores;
  assert.deepEqual([wrong?.recall, wrong?.precision, wrong?.f2], [0, 0, 0]);
});
