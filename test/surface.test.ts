import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import * as surface from '../src/index.ts';

const root = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

// Refusal codes and settings keys are pinned by docs/reference (test/reference.test.ts): a change shows there as a diff.

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
