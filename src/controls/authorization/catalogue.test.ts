import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCatalogue } from './catalogue.ts';

const ENTRY = '{ title: T, description: D, risk: low }';
const file = (...scopes: string[]) => `format: 1\nscopes:\n${scopes.map((scope) => `  ${scope}: ${ENTRY}\n`).join('')}`;

test('a manifest may name scopes of the catalogue and no others', () => {
  const { accepts } = readCatalogue(file('jira:read', 'postgres:query:readonly'));
  assert.equal(accepts(['jira:read']), null);
  assert.equal(accepts(['jira:read', 'postgres:query:readonly']), null);
  assert.equal(accepts(['jira:raed']), 'scope "jira:raed" is not in scopes.yaml, did you mean "jira:read"?');
  assert.match(accepts(['a:b', 'jira:read', 'c:d'])!, /"a:b".*; .*"c:d"/);
});

test('an operation that names no scope is not accepted: it would be open to everybody', () => {
  assert.match(readCatalogue(file('jira:read')).accepts([])!, /at least one scope/);
});

test('prefixes, other spellings and inherited names are not scopes of the catalogue', () => {
  const { accepts } = readCatalogue(file('jira:read'));
  for (const scope of [
    'jira',
    'jira:',
    'jira:read:all',
    'JIRA:read',
    'jira:read ',
    ' jira:read',
    'jira:*',
    'jira:read\0',
    '',
  ])
    assert.notEqual(accepts([scope]), null, JSON.stringify(scope));
  for (const scope of ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'size', 'get'])
    assert.notEqual(accepts([scope]), null, scope);
});

test('a name that is no scope is refused in the file', () => {
  for (const scope of ['jira', '"JIRA:read"', '"jira:read "', 'a:b:c:d', '"jira::read"', '__proto__', '"jira:*"'])
    assert.throws(() => readCatalogue(file(scope)), /scopes\.yaml/, scope);
});

test('an unknown key names the nearest known one, and everything wrong is said at once', () => {
  const text = 'format: 1\nscops: {}\nscopes:\n  jira:read: { title: T, descripton: D, description: D, risk: lo }\n';
  assert.throws(
    () => readCatalogue(text),
    (error: Error) => /"scops", did you mean "scopes"/.test(error.message) && /risk/.test(error.message),
  );
});

test('a newer format, a scope written twice and an alias are refused', () => {
  assert.throws(() => readCatalogue('format: 2\nscopes: {}\n'), /format.*newer/);
  assert.throws(() => readCatalogue(file('jira:read', 'jira:read')), /unique/i);
  assert.throws(() => readCatalogue(`format: 1\nscopes:\n  a:b: &x ${ENTRY}\n  c:d: *x\n`), /alias/i);
  assert.throws(() => readCatalogue(''), /scopes\.yaml/);
});
