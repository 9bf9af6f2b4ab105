import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
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

const A = 'https://a.example/';
const B = 'https://b.example';
const someone = (issuer: string, groups: string[], scopes: string[] = []) => ({ issuer, groups, scopes });
const withGroups = (groups: string) => readCatalogue(`${file('jira:read', 'jira:write')}groups:\n${groups}`);

test('a group brings the scopes listed for it, beside those of the token', () => {
  const { scopesOf } = withGroups(`  ${A}: { ops: ["jira:write", "jira:read"], all: ["jira:read"], nobody: [] }\n`);
  assert.deepEqual(scopesOf(someone(A, ['ops', 'all'])), ['jira:write', 'jira:read']);
  assert.deepEqual(scopesOf(someone(A, ['all'], ['x:y'])), ['x:y', 'jira:read']);
  assert.deepEqual(scopesOf(someone(A, ['nobody', 'unlisted'])), []);
});

test('a group counts only from the issuer it is listed under, and by its whole name', () => {
  const { scopesOf } = withGroups(`  ${A}: { ops: ["jira:write"] }\n`);
  for (const issuer of [B, 'https://a.example', 'https://A.example/', '', 'constructor', '__proto__'])
    assert.deepEqual(scopesOf(someone(issuer, ['ops'])), [], issuer);
  for (const group of ['Ops', 'op', 'ops ', 'ops\0', '/ops', 'o', '', 'constructor', '__proto__', 'toString'])
    assert.deepEqual(scopesOf(someone(A, [group])), [], JSON.stringify(group));
});

test('without a mapping, an empty one or an empty list groups bring nothing', () => {
  const own = someone(A, ['ops'], ['jira:read']);
  for (const catalogue of [readCatalogue(file('jira:read')), withGroups('  {}\n'), withGroups(`  ${A}: { ops: [] }\n`)])
    assert.equal(catalogue.scopesOf(own), own.scopes);
});

test('a group named by digits is that text, not the number it could be read as', () => {
  const { scopesOf } = withGroups(`  ${A}: { 012: ["jira:write"], 1e3: ["jira:read"] }\n`);
  assert.deepEqual(scopesOf(someone(A, ['012'])), ['jira:write']);
  assert.deepEqual(scopesOf(someone(A, ['1e3'])), ['jira:read']);
  assert.deepEqual(scopesOf(someone(A, ['10', '12', '1000'])), []);
});

test('a mapping that is wrong anywhere is refused: unknown scopes, groups without issuer, repeats, reserved names', () => {
  assert.throws(() => withGroups(`  ${A}: { ops: ["jira:wirte"] }\n`), /groups\..*ops.*did you mean "jira:write"/);
  for (const groups of [
    '  ops: ["jira:write"]\n',
    '  ops: { x: ["jira:write"] }\n',
    `  ${A}: { ops: "jira:write" }\n`,
    `  ${A}: { ops: [12] }\n`,
    `  ${A}: { ops: ["jira:*"] }\n`,
    `  ${A}: { "": ["jira:read"] }\n`,
    `  ${A}: { a: [], a: ["jira:read"] }\n`,
    `  ${A}: {}\n  ${A}: {}\n`,
    `  ${A}: { __proto__: ["jira:read"] }\n`,
    `  __proto__: { a: ["jira:read"] }\n`,
    `  ${A}: { [a]: ["jira:read"] }\n`,
  ])
    assert.throws(() => withGroups(groups), /scopes\.yaml/, groups);
});

test('the groups of the guide can be read as they stand there', () => {
  const guide = readFileSync(join(import.meta.dirname, '../../../docs/guides/issuers.md'), 'utf8');
  const [, block] = guide.match(/```yaml\n(groups:\n[\s\S]*?)```/)!;
  const { scopesOf } = readCatalogue(file('jira:read', 'jira:write') + block!);
  assert.deepEqual(scopesOf(someone('https://login.example.com/realms/staff', ['ops'])), ['jira:read', 'jira:write']);
});
