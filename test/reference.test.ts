import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { refusalsPage } from '../docs/reference/refusals.ts';
import { settingsPage } from '../docs/reference/settings.ts';

const written = (file: string) => readFileSync(join(import.meta.dirname, '../docs/reference', file), 'utf8');
const again = 'out of date; run: node docs/reference/generate.ts';

test('docs/reference/settings.md says what the schemas say', () => {
  assert.equal(written('settings.md'), settingsPage(), again);
});

test('docs/reference/refusals.md says what the table says', () => {
  assert.equal(written('refusals.md'), refusalsPage(), again);
});

test('every key of every section has a sentence', () => {
  const silent = settingsPage()
    .split('\n')
    .filter((line) => line.startsWith('| `') && line.endsWith('|  |'));
  assert.deepEqual(silent, []);
});
