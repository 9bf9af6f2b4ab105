import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

test('every link between our documents leads somewhere', () => {
  const root = join(import.meta.dirname, '..');
  const pages = globSync(['*.md', 'docs/**/*.md', 'src/**/*.md', 'examples/**/*.md', 'test/**/*.md'], { cwd: root });
  const broken = pages.flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
      .map(([, link]) => link!)
      .filter((link) => !/^[a-z]+:/.test(link) && !existsSync(join(root, dirname(page), link)))
      .map((link) => `${page}: ${link}`),
  );
  assert.deepEqual(broken, []);
});
