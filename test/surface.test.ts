import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { z } from 'zod';
import { OWN_SECTIONS, SECTIONS } from '../src/configuration.ts';
import * as verifier from '../src/controls/audit/verifier/index.ts';
import { REFUSALS } from '../src/core/mcp/refusals.ts';
import * as surface from '../src/index.ts';
import { CONTROL_SECTIONS } from '../src/sections.ts';

const root = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

/**
 * What others build on changes on purpose or not at all: names here, refusal codes with their public words and settings
 * keys with their types and defaults in surface.json. A generated page (test/reference.test.ts) follows its source;
 * this file does not. When a change is meant, write it anew and commit it with the change:
 *   GATEWRIT_UPDATE_SURFACE=1 node --test test/surface.test.ts
 */
const PINNED = join(import.meta.dirname, 'surface.json');

interface Pinned {
  /** code: `status form rpc WORD` */
  readonly refusals: Readonly<Record<string, string>>;
  /** `section.key`: type and default. `*` stands for a name of the operator's own, `[]` for an item of a list. */
  readonly settings: Readonly<Record<string, string>>;
}

test('the public surface is these names', () => {
  assert.deepEqual(Object.keys(surface).sort(), [
    'InternalError',
    'SettingsError',
    'configurationOf',
    'openFronts',
    'openGatewrit',
    'openLog',
    'readConfiguration',
  ]);
  const types = [...read('src/index.ts').matchAll(/\btype (\w+)[,\s}]|export type \{([^}]*)\}/g)];
  const names = types.flatMap(([, one, several]) => (one ? [one] : several!.split(',').map((name) => name.trim())));
  assert.deepEqual(names.sort(), [
    'Call',
    'Configuration',
    'Fronts',
    'FrontsOptions',
    'Gatewrit',
    'GatewritOptions',
    'Log',
    'Now',
    'Principal',
    'Target',
  ]);
});

test('the surface of the verifier is these names', () => {
  assert.deepEqual(Object.keys(verifier).sort(), [
    'VERIFIER_ERRORS',
    'VerifierError',
    'folderSource',
    'openCheckpoint',
    'readKept',
    'readVerifiers',
    'readWitnesses',
    'urlSource',
    'verifyLog',
    'verifyProofs',
  ]);
});

test('the examples in its docstrings are regions of examples/embedded/gateway.ts', () => {
  const regions = [
    ...read('examples/embedded/gateway.ts').matchAll(/\/\/ #region (\w+)\n([\s\S]*?)\n *\/\/ #endregion \1\n/g),
  ].map(([, , text]) => unindented(text!));
  const examples = [...read('src/index.ts').matchAll(/ \* ```ts\n([\s\S]*?)\n \* ```/g)].map(([, text]) =>
    text!.replaceAll(/^ \* ?/gm, ''),
  );
  assert.ok(examples.length > 0);
  assert.deepEqual(examples.sort(), regions.sort());
});

function unindented(text: string): string {
  const lines = text.split('\n');
  const depth = Math.min(...lines.filter((line) => line.trim()).map((line) => line.search(/\S/)));
  return lines.map((line) => line.slice(depth)).join('\n');
}

type Json = Readonly<Record<string, unknown>>;

/** Every key of a schema by its path. */
function keysOf(path: string, schema: Json): [string, string][] {
  const below = (name: string, inner: unknown) => keysOf(`${path}${name}`, inner as Json);
  const { properties, additionalProperties: others, items, anyOf } = schema as Record<string, unknown>;
  const forms = ((anyOf ?? []) as Json[]).flatMap((form) => (form['properties'] ? below('', form) : []));
  const nested = [
    ...Object.entries((properties ?? {}) as Json).flatMap(([name, inner]) => below(`.${name}`, inner)),
    ...(typeof others === 'object' && others !== null ? below('.*', others) : []),
    ...(items ? below('[]', items) : []),
    ...forms,
  ];
  return properties || forms.length > 0 ? nested : [[path, describe(schema)], ...nested];
}

function describe(schema: Json): string {
  const type = Array.isArray(schema['enum']) ? schema['enum'].join('|') : String(schema['type'] ?? 'any');
  return schema['default'] === undefined ? type : `${type} = ${JSON.stringify(schema['default'])}`;
}

function now(): Pinned {
  const sections: Readonly<Record<string, z.ZodType>> = { ...OWN_SECTIONS, ...CONTROL_SECTIONS };
  assert.deepEqual(Object.keys(sections).sort(), [...SECTIONS].sort());
  const keys = Object.entries(sections).flatMap(([section, schema]) =>
    keysOf(section, z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })),
  );
  const rows = Object.entries(REFUSALS).map(([code, row]) => [
    code,
    `${row.status} ${row.form} ${row.rpc} ${row.word}`,
  ]);
  return {
    refusals: Object.fromEntries(rows.sort()),
    settings: Object.fromEntries(keys.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

if (process.env['GATEWRIT_UPDATE_SURFACE']) writeFileSync(PINNED, `${JSON.stringify(now(), null, 2)}\n`);
const pinned = JSON.parse(readFileSync(PINNED, 'utf8')) as Pinned;

test('refusal codes, their statuses and public words are the pinned ones', () => {
  assert.deepEqual(now().refusals, pinned.refusals);
});

test('settings keys, their types and defaults are the pinned ones', () => {
  assert.deepEqual(now().settings, pinned.settings);
});

test('each control lists exactly the codes of its own prefix, and no code is without an owner', async () => {
  const owned = Object.keys(REFUSALS).filter((code) => code.startsWith('upstream.'));
  for (const path of globSync('src/controls/*/refusals.ts', { cwd: root }).sort()) {
    const control = path.split('/')[2]!;
    const listed = ((await import(join(root, path))) as Record<string, unknown>)[`${control.toUpperCase()}_REFUSALS`];
    assert.ok(Array.isArray(listed), `${path} exports no list`);
    const codes = Object.keys(REFUSALS).filter((code) => code.startsWith(`${control}.`));
    assert.deepEqual([...listed].sort(), codes.sort(), path);
    owned.push(...codes);
  }
  assert.deepEqual(owned.sort(), Object.keys(REFUSALS).sort());
});

/** Words that say the same of several moments, with the status each moment has. */
const SHARED = ['UNAVAILABLE', 'NOT_FOUND', 'INVALID_REQUEST'];

test('public words are upper case, codes are control.reason, and one word says one HTTP status', () => {
  const statuses = new Map<string, number>();
  for (const [code, { word, status }] of Object.entries(REFUSALS)) {
    assert.match(word, /^[A-Z]+(_[A-Z]+)*$/, code);
    assert.match(code, /^[a-z]+\.[a-z]+(_[a-z]+)*$/);
    if (SHARED.includes(word)) continue;
    assert.equal(statuses.get(word) ?? status, status, word);
    statuses.set(word, status);
  }
});
