import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileTemplate, type UriTemplate } from './template.ts';

function compiled(template: string): UriTemplate {
  const result = compileTemplate(template);
  assert.ok('matches' in result, JSON.stringify(result));
  return result;
}

const FITS: readonly [template: string, uri: string][] = [
  ['demo://items/{id}', 'demo://items/42'],
  ['demo://items/{id}', 'demo://items/a%20b'],
  ['demo://items/{id}', 'demo://items/caf%C3%A9%2C%20~1'],
  ['demo://items/{id}.json', 'demo://items/report-1.json'],
  ['demo://{}'.replace('{}', 'a/{x}/b/{y}'), 'demo://a/1/b/2'],
  ['urn:x/{id}', 'urn:x/7'],
];
const DOES_NOT_FIT: readonly [template: string, uri: string, why: string][] = [
  ['demo://items/{id}', 'demo://items/', 'an empty value'],
  ['demo://items/{id}', 'demo://items/..', 'a parent segment'],
  ['demo://items/{id}', 'demo://items/.', 'a current segment'],
  ['demo://items/{id}', 'demo://items/%2e%2e', 'an escaped parent segment'],
  ['demo://items/{id}', 'demo://items/..%2fetc', 'an escaped separator'],
  ['demo://items/{id}', 'demo://items/..%5cetc', 'an escaped backslash'],
  ['demo://items/{id}', 'demo://items/%252e%252e', 'a doubly escaped segment'],
  ['demo://items/{id}', 'demo://items/%73ecret', 'another spelling of a value that needs no escape'],
  ['demo://items/{id}', 'demo://items/a%2Db', 'an escaped hyphen'],
  ['demo://items/{id}', 'demo://items/caf%c3%a9', 'another spelling of an escape'],
  ['demo://items/{id}', 'demo://items/a/b', 'a separator'],
  ['demo://items/{id}', 'demo://items/a?b', 'a query'],
  ['demo://items/{id}', 'demo://items/a#b', 'a fragment'],
  ['demo://items/{id}', 'demo://items/%00', 'a NUL'],
  ['demo://items/{id}', 'demo://items/%ff', 'an escape that is not UTF-8'],
  ['demo://items/{id}', 'demo://items/%zz', 'a broken escape'],
  ['demo://items/{id}', 'demo://items/\u0430', 'a raw non-ASCII letter'],
  ['demo://items/{id}', 'DEMO://items/1', 'a scheme in other case'],
  ['demo://items/{id}', 'demo://itemsx/1', 'another path'],
  ['demo://items/{id}', `demo://items/${'a'.repeat(257)}`, 'a value without end'],
  ['demo://items/.{id}', 'demo://items/..', 'a dot completed by a dot'],
  ['demo://items/a{id}a', 'demo://items/a', 'overlapping literals'],
  ['demo://items/{id}.md', 'demo://items/...md', 'a value that climbs wherever the server puts it'],
];
const CANNOT_BE_SERVED = [
  'demo://{+path}',
  'demo://items/{?q}',
  'demo://items/{a}{b}',
  '{scheme}://x',
  'demo://{host}/x',
  'demo://items',
  'demo://items/{id',
  'demo://items/{a,b}',
  'items/{id}',
];

for (const [template, uri] of FITS) {
  test(`${uri} fits ${template}`, () => assert.ok(compiled(template).matches(uri)));
}
for (const [template, uri, why] of DOES_NOT_FIT) {
  test(`${template} does not match ${why}`, () => assert.equal(compiled(template).matches(uri), false));
}
for (const template of CANNOT_BE_SERVED) {
  test(`${template} cannot be served`, () => assert.ok('fault' in compileTemplate(template)));
}

test('a character fits either as it is or escaped, never both ways', () => {
  const { matches } = compiled('demo://items/{id}');
  for (let code = 0x20; code < 0x7f; code++) {
    const character = String.fromCharCode(code);
    const escaped = `%${code.toString(16).toUpperCase()}`;
    const plain = /[A-Za-z0-9._~-]/.test(character);
    assert.equal(matches(`demo://items/x${character}`), plain, character);
    assert.equal(matches(`demo://items/x${escaped}`), !plain && !'/\\%'.includes(character), escaped);
  }
});

test('whatever fits, decoded as often as one likes, stays below its template', () => {
  const { matches } = compiled('demo://items/{id}');
  const tricky = fc.array(
    fc.constantFrom('.', '/', '%', '2', 'e', 'f', '5', 'c', '\\', 'a', '%2e', '%2f', '%25', '?'),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(tricky, (parts) => {
      let uri = `demo://items/${parts.join('')}`;
      if (!matches(uri)) return;
      for (let i = 0; i < 3; i++) uri = decodeURIComponent(uri);
      assert.ok(new URL(uri.replace('demo:', 'http:')).pathname.startsWith('/'), uri);
      assert.doesNotMatch(uri.slice('demo://items/'.length), /[/\\]|^\.{1,2}$/);
    }),
    { numRuns: 500 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1), seed: 11 },
  );
});
