import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { LISTS, type Manifest, PREFIX } from './manifest.ts';
import { collisions, EXPOSED_NAME, exposedName, fitsPrefix } from './names.ts';

/** What clients accept as the name of a tool, from their own error messages and references. */
const CLIENT_RULES = {
  'Claude (API and desktop)': /^[a-zA-Z0-9_-]{1,64}$/,
  'OpenAI (function name)': /^[a-zA-Z0-9_-]{1,64}$/,
  'Gemini API (63 in its narrowest reference)': /^[a-zA-Z0-9_-]{1,63}$/,
  'Vertex (begins with letter or underscore)': /^[a-zA-Z_][a-zA-Z0-9_.-]{0,63}$/,
};
const RUNS = 300 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);

test('every computed name passes the name rules of Claude, OpenAI and Gemini, whatever the tool is called', () => {
  const prefix = fc.stringMatching(PREFIX);
  const name = fc.oneof(
    fc.string({ minLength: 1, maxLength: 300, unit: 'binary' }),
    fc.stringMatching(/^[a-zA-Z0-9._/ -]{1,200}$/),
  );
  fc.assert(
    fc.property(prefix, name, (p, n) => {
      const exposed = exposedName(p, n);
      for (const rule of Object.values(CLIENT_RULES)) assert.match(exposed, rule);
      assert.match(exposed, EXPOSED_NAME);
      assert.ok(fitsPrefix(p, exposed));
      assert.equal(exposedName(p, n), exposed);
    }),
    { numRuns: RUNS, seed: 20_261_122 },
  );
});

test('every exposed name in the bundled manifests passes the name rules and is what would be computed', () => {
  const files = globSync(join(import.meta.dirname, '../../../examples/quickstart/manifests/*.json'));
  assert.ok(files.length >= 1);
  for (const file of files) {
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
    for (const item of [...manifest.tools, ...manifest.prompts]) {
      for (const [client, rule] of Object.entries(CLIENT_RULES))
        assert.match(item.exposed, rule, `${client}: ${item.exposed}`);
      assert.equal(item.exposed, exposedName(manifest.prefix, item.definition.name));
    }
    assert.ok(LISTS.every((list) => Array.isArray(manifest[list])));
  }
});

test('a long name keeps its beginning and is told apart by a digest', () => {
  const long = 'a'.repeat(100);
  assert.equal(exposedName('demo', `${long}1`).length, 63);
  assert.notEqual(exposedName('demo', `${long}1`), exposedName('demo', `${long}2`));
  assert.match(exposedName('demo', `${long}1`), /^demo__a{48}_[0-9a-f]{8}$/);
});

test('an exposed name outside its namespace does not fit', () => {
  for (const exposed of ['other__query', 'demo_query', 'demo__', 'demo__a.b', '__query', `demo__${'a'.repeat(58)}`]) {
    assert.equal(fitsPrefix('demo', exposed), false, exposed);
  }
});

const TAKEN_FOR_EACH_OTHER: readonly [string, string, string][] = [
  ['a__get.x and a__get_x after substitution', exposedName('a', 'get.x'), exposedName('a', 'get_x')],
  ['case', 'a__GetItem', 'a__getitem'],
  ['hyphen and underscore', 'a__get-item', 'a__get_item'],
  ['zero and o', 'a__read0nly', 'a__readonly'],
  ['one and l', 'a__l1st', 'a__llst'],
  ['capital i and l', 'a__Ist', 'a__lst'],
  ['rn and m', 'a__forrn', 'a__form'],
  ['Cyrillic a', 'demo://p\u0430y', 'demo://pay'],
  ['full width', 'demo://\uff50ay', 'demo://pay'],
  ['accent', 'demo://p\u00e1y', 'demo://pay'],
  ['Greek omicron', 'demo://f\u03bfo', 'demo://foo'],
];

for (const [what, a, b] of TAKEN_FOR_EACH_OTHER) {
  test(`both names are refused when they differ only by ${what}`, () => {
    const entries = [{ name: a }, { name: 'a__unrelated' }, { name: b }];
    assert.deepEqual(new Set(collisions(entries).keys()), new Set([entries[0], entries[2]]));
  });
}

test('plainly different names stand side by side', () => {
  const entries = ['a__postgres_query', 'a__s3_list', 'a__jira_search', 'a__jira_create', 'a__get-sum'].map((name) => ({
    name,
  }));
  assert.equal(collisions(entries).size, 0);
});
