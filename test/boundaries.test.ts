import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, test } from 'node:test';

/** Architecture as a test: imports only go down (ARCHITECTURE.md, "The tree"). Types count too. */
const root = join(import.meta.dirname, '..');
const src = join(root, 'src');
const sources = globSync('**/*.ts', { cwd: src })
  .filter((file) => !file.endsWith('.test.ts'))
  .sort();

const CONTROLS = [
  'authentication',
  'authorization',
  'approval',
  'validation',
  'redaction',
  'audit',
  'registry',
  'transport',
  'errors',
  'limits',
];
const DEV_ONLY = ['oidc-provider', '@peculiar/x509', 'reflect-metadata', '@electric-sql/pglite'];

function importsOf(file: string): string[] {
  const text = readFileSync(join(src, file), 'utf8');
  return [
    ...text.matchAll(
      /(?:^|\n)\s*(?:import|export)\s[^'";]*?from\s+'([^']+)'|(?:^|\n)import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g,
    ),
  ].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}

/** Where a file stands: the layers from top to bottom, a control under its own name. */
function placeOf(file: string): string {
  const [top, second] = file.split('/');
  if (!file.includes('/')) return file === 'index.ts' ? 'surface' : file === 'pipeline.ts' ? 'pipeline' : 'root';
  return top === 'controls' ? `controls/${second}` : top!;
}

const MAY_IMPORT: Readonly<Record<string, (place: string) => boolean>> = {
  surface: () => true,
  inbound: (place) => place !== 'surface',
  root: (place) => place !== 'surface' && place !== 'inbound',
  pipeline: (place) => place === 'core',
  workflows: (place) =>
    place === 'core' || place === 'pipeline' || place.startsWith('controls/') || place === 'upstream',
  upstream: (place) => place === 'core',
  core: () => false,
};

function mayImport(from: string, to: string): boolean {
  if (from === to) return true;
  if (from.startsWith('controls/')) return to === 'core';
  return MAY_IMPORT[from]?.(to) ?? false;
}

describe('the tree', () => {
  test('the listing of src/controls is the ten controls, each on the same plan', () => {
    assert.deepEqual(readdirSync(join(src, 'controls')).sort(), [...CONTROLS].sort());
    for (const control of CONTROLS) {
      for (const file of ['README.md', 'index.ts', 'stages.ts', 'refusals.ts', 'settings.ts']) {
        assert.ok(existsSync(join(src, 'controls', control, file)), `src/controls/${control}/${file} is missing`);
      }
      assert.ok(
        globSync(`controls/${control}/**/*.test.ts`, { cwd: src }).length > 0,
        `${control} has no test beside it`,
      );
    }
  });

  test('imports only go down, and a control never imports another, not even a type', () => {
    const wrong: string[] = [];
    for (const file of sources) {
      for (const specifier of importsOf(file)) {
        if (!specifier.startsWith('.')) continue;
        const target = relative(src, resolve(src, dirname(file), specifier));
        if (target.startsWith('..')) {
          wrong.push(`${file} reaches out of src: ${specifier}`);
          continue;
        }
        if (!mayImport(placeOf(file), placeOf(target)))
          wrong.push(`${file} (${placeOf(file)}) imports ${target} (${placeOf(target)})`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  test('from outside its folder only the index of a control is imported', () => {
    const wrong: string[] = [];
    for (const file of sources) {
      for (const specifier of importsOf(file)) {
        if (!specifier.startsWith('.')) continue;
        const target = relative(src, resolve(src, dirname(file), specifier));
        const place = placeOf(target);
        const development = target.includes('/development/');
        if (place.startsWith('controls/') && placeOf(file) !== place && !target.endsWith('/index.ts') && !development)
          wrong.push(`${file} imports ${target}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  test('the verifier stands on core/crypto, the log format and Node.js alone', () => {
    const closure = new Set<string>();
    const others: string[] = [];
    const visit = (file: string): void => {
      if (closure.has(file)) return;
      closure.add(file);
      for (const specifier of importsOf(file)) {
        if (specifier.startsWith('.')) visit(relative(src, resolve(src, dirname(file), specifier)));
        else if (!specifier.startsWith('node:')) others.push(`${file}: ${specifier}`);
      }
    };
    visit('controls/audit/verifier/index.ts');
    const home =
      /^(core\/crypto\/|controls\/audit\/(verifier\/|format\/|proof\/(verify-proof|evidence|witness-keys)\.ts$))/;
    assert.ok(closure.size > 10);
    assert.deepEqual([[...closure].filter((file) => !home.test(file)), others], [[], []]);
  });

  test('there is no import cycle between files', () => {
    const graph = new Map(
      sources.map((file) => [
        file,
        importsOf(file)
          .filter((s) => s.startsWith('.'))
          .map((s) => relative(src, resolve(src, dirname(file), s))),
      ]),
    );
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) {
        cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
        return;
      }
      if (done.has(file)) return;
      for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    for (const file of sources) visit(file, []);
    assert.deepEqual(cycles, []);
  });

  test('hono stands only in inbound/ and in routes.ts, sqlite only behind the store, the lock and the query index, development packages only in development code', () => {
    const wrong: string[] = [];
    for (const file of sources) {
      for (const specifier of importsOf(file)) {
        const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0]!;
        if (name === 'hono' && !file.startsWith('inbound/') && !file.endsWith('/routes.ts'))
          wrong.push(`${file}: hono`);
        const opensSqlite = ['core/store/sqlite.ts', 'controls/audit/search/index-file.ts'].includes(file);
        if (specifier === 'node:sqlite' && !opensSqlite && !file.endsWith('/writer-lock.ts'))
          wrong.push(`${file}: node:sqlite`);
        if (DEV_ONLY.includes(name) && !file.includes('/development/')) wrong.push(`${file}: ${name}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  test('no folder or file is called utils, helpers, common, shared, manager or service', () => {
    assert.deepEqual(
      sources.filter((file) =>
        file.split('/').some((part) => /^(utils?|helpers?|common|shared|managers?|services?)(\.ts)?$/.test(part)),
      ),
      [],
    );
  });

  test('a port declared in a control has at most two methods', () => {
    const wrong: string[] = [];
    for (const file of sources.filter((name) => name.startsWith('controls/') && name.endsWith('/ports.ts'))) {
      const text = readFileSync(join(src, file), 'utf8');
      for (const match of text.matchAll(/export interface (\w+) \{([\s\S]*?)\n\}/g)) {
        const methods = [...match[2]!.matchAll(/^ {2}(?:readonly )?\w+(?:\(|: \()/gm)].length;
        if (methods > 2) wrong.push(`${file}: ${match[1]} has ${methods} methods`);
      }
    }
    assert.deepEqual(wrong, []);
  });
});
