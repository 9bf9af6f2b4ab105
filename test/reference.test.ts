import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
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

test('docs/decisions/dependencies.md names every package, and none that is gone', () => {
  const root = join(import.meta.dirname, '..');
  const declared = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, object>;
  const packages = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'].flatMap((kind) =>
    Object.keys(declared[kind] ?? {}),
  );
  const page = readFileSync(join(root, 'docs/decisions/dependencies.md'), 'utf8');
  const named = new Set([...page.matchAll(/`([@a-z][\w@./-]*)`/g)].map(([, name]) => name!));
  const whole = (name: string) => (name.startsWith('@modelcontextprotocol/') ? name.split('/')[1]! : name);
  assert.deepEqual(
    packages.map(whole).filter((name) => !named.has(name)),
    [],
  );
  const known = new Set([...packages.map(whole), '@modelcontextprotocol', 'package.json', 'pattern', 'postgres_query']);
  assert.deepEqual(
    [...named].filter((name) => !known.has(name)),
    [],
  );
  const rows = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name!);
  assert.deepEqual(rows.toSorted(), Object.keys(declared['dependencies']!).toSorted());
});

test('every command that a document shows is there, and knows the options it is shown with', async () => {
  const root = join(import.meta.dirname, '..');
  const run = promisify(execFile);
  const helpOf = async (words: readonly string[]) => {
    const { stdout } = await run(process.execPath, [join(root, 'bin/gatewrit.mjs'), ...words, '--help']).catch(() => ({
      stdout: '',
    }));
    return stdout;
  };
  const commands = [...(await helpOf([])).matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name!);
  const pages = globSync(['*.md', 'docs/**/*.md', 'src/**/*.md', 'examples/**/*.md'], { cwd: root });
  const shown = pages.flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(/\bgatewrit ([a-z]+(?: [^\n`"']*)?)/g)].map(([, line]) => ({
      page,
      line: line!,
    })),
  );
  const helps = new Map<string, Promise<string>>();
  const wrong = await Promise.all(
    shown.map(async ({ page, line }) => {
      const [command = '', act = ''] = line.split(/\s+/);
      if (!commands.includes(command)) return [];
      const words = command === 'audit' && /^[a-z-]+$/.test(act) ? [command, act] : [command];
      const help = await helps.getOrInsertComputed(words.join(' '), () => helpOf(words));
      if (help === '') return [`${page}: gatewrit ${words.join(' ')}`];
      const options = [...line.matchAll(/(?<=\s)--[a-z][a-z-]+/g)].map(([option]) => option);
      return options
        .filter((option) => !help.includes(option) && option !== '--help')
        .map((option) => `${page}: gatewrit ${line}: ${option}`);
    }),
  );
  assert.ok(shown.length > 50, `${shown.length} commands`);
  assert.deepEqual(wrong.flat(), []);
});
