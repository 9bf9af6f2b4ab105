import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SettingsError } from '../../core/internal-error.ts';
import { compileBundle, inspect } from './bundle.ts';
import { Engine } from './engine.ts';
import { readPolicyFolder } from './folder.ts';
import { policyFolder, SCOPES, USE } from './policy-kit.test.ts';

const engine = await Engine.open();
const findings = (cedar: string, scopes: string | null = SCOPES) =>
  inspect(engine, { scopes, cedar: [{ file: 'a.cedar', text: cedar }] }).findings;
const call = 'principal, action == Action::"call_tool", resource';

test('a good policy has no findings', () => {
  assert.deepEqual(findings(USE), []);
  assert.deepEqual(findings('', null), []);
});

test('text that is not Cedar is named by file and line', () => {
  assert.match(
    findings('// é\n\n@id("a") permit (principal, action, resource;\n')[0]!,
    /^a\.cedar:3: unexpected token/,
  );
});

test('every rule needs an id, each its own, and none of ours', () => {
  assert.match(findings('permit (principal, action, resource);')[0]!, /a\.cedar:1: every rule needs an @id/);
  assert.match(
    findings(`${USE}${USE.replace('when', 'unless')}`)[0]!,
    /a\.cedar:3: @id\("use"\) stands already at a\.cedar:1/,
  );
  assert.match(findings(USE.replace('"use"', '"gatewrit-own-tenant"'))[0]!, /belong to built-in rules/);
  assert.match(findings(USE.replace('"use"', '"__proto__"'))[0]!, /every rule needs an @id/);
});

test('a misspelt annotation is an error: it would make a grant of an obligation', () => {
  const text = `@id("a") @oblgation("approval") permit (${call});`;
  assert.match(findings(text)[0]!, /unknown annotation @oblgation, did you mean @obligation\?/);
  assert.match(findings(`@id("a") @obligation("aproval") permit (${call});`)[0]!, /did you mean "approval"/);
});

test('annotations stand where they mean something', () => {
  const wrong = [
    `@id("a") @obligation("approval") forbid (${call});`,
    `@id("a") @public("x") permit (${call});`,
    `@id("a") @path("sql") forbid (${call});`,
    `@id("a") @rule("x") permit (${call});`,
    `@id("a") @obligation("cap") permit (${call});`,
    `@id("a") @obligation("cap") @bytes("0") permit (${call});`,
    `@id("a") @obligation("redaction") permit (${call});`,
    `@id("a") @obligation("redaction") @profile("x") @rule("y") permit (${call});`,
  ];
  for (const text of wrong) assert.equal(findings(text).length > 0, true, text);
});

test('a template is refused, with its line', () => {
  assert.match(
    findings(`${USE}\n@id("t") permit (principal == ?principal, action, resource);`)[0]!,
    /a\.cedar:4: templates/,
  );
});

test('a misspelt attribute, action or type is found at load', () => {
  for (const condition of [
    'principal.scope.contains("files:read")',
    'resource.efect == "read"',
    'principal.scopes == "x"',
  ])
    assert.match(findings(`@id("a") permit (${call}) when { ${condition} };`)[0]!, /^a\.cedar:1: /, condition);
  assert.match(findings('@id("a") permit (principal, action == Action::"call_tools", resource);')[0]!, /call_tool/);
  assert.match(findings('@id("a") permit (principal in Groups::"x", action, resource);')[0]!, /Group/);
});

test('an argument that is read without asking whether it is there is found at load', () => {
  const rule = (condition: string) => `@id("a") forbid (${call}) when { ${condition} };`;
  assert.match(findings(rule('context.arguments.sql like "drop*"'))[0]!, /optional attribute|sql/);
  assert.deepEqual(findings(rule('context.arguments has sql && context.arguments.sql like "drop*"')), []);
  assert.deepEqual(findings(rule('context.arguments has page.size && context.arguments.page.size > 100')), []);
  assert.deepEqual(findings(rule('context.arguments has dry && !context.arguments.dry')), []);
  assert.deepEqual(findings(rule('context.arguments has to && !["a","b"].containsAll(context.arguments.to)')), []);
  assert.deepEqual(findings(rule('context.arguments has user && context.arguments.user != principal.subject')), []);
});

test('an argument used as two kinds of value in one rule is found at load', () => {
  const rule = `@id("a") forbid (${call}) when { context.arguments has a && context.arguments.a like "x" && context.arguments.a > 1 };`;
  assert.equal(findings(rule).length > 0, true);
});

test('a rule may not ask for a scope nobody can be granted', () => {
  const rule = (scope: string) => `@id("a") permit (${call}) when { principal.scopes.contains("${scope}") };`;
  assert.deepEqual(findings(rule('files:read')), []);
  assert.match(findings(rule('files:raed'))[0]!, /a\.cedar:1: scope "files:raed".*did you mean "files:read"/);
  assert.match(findings(`@id("a") permit (${call}) when { ["x:y"].containsAll(resource.scopes) };`)[0]!, /"x:y"/);
  assert.match(findings(rule('files:read'), null)[0]!, /is not in scopes\.yaml/);
});

test('everything wrong is said in one go', () => {
  const wrong = inspect(engine, {
    scopes: 'format: 1\nscopes: []\n',
    cedar: [
      { file: 'a.cedar', text: 'permit (principal, action, resource);' },
      { file: 'b.cedar', text: '@id("b") allow (principal);' },
    ],
  });
  assert.equal(wrong.bundle, null);
  for (const file of ['scopes.yaml', 'a.cedar:1', 'b.cedar:1'])
    assert.ok(
      wrong.findings.some((finding) => finding.startsWith(file)),
      file,
    );
});

test('the version changes with anything that can change a decision, and with nothing else', () => {
  const version = (cedar: string, scopes: string | null = SCOPES) =>
    compileBundle(engine, { scopes, cedar: [{ file: 'a.cedar', text: cedar }] }).version;
  assert.equal(version(USE), version(USE));
  const others = [
    version(USE),
    version(`${USE} `),
    version(USE, SCOPES.replace('risk: low', 'risk: high')),
    version(''),
  ];
  assert.equal(new Set(others).size, others.length);
});

test('a file nobody would read is an error, not a rule that silently does not hold', async () => {
  for (const file of ['forbid.cedar.txt', 'scopes.yml', 'b.CEDAR'])
    await assert.rejects(readPolicyFolder(policyFolder({ [file]: 'x' })), (error: Error) =>
      error.message.includes(file),
    );
  const folder = policyFolder({ 'a.cedar': USE, 'README.md': 'x', '.a.cedar.swp': 'x', 'a.cedar~': 'x' });
  mkdirSync(join(folder, 'tests'));
  assert.deepEqual((await readPolicyFolder(folder)).cedar, [{ file: 'a.cedar', text: USE }]);
  mkdirSync(join(folder, 'more.cedar'));
  await assert.rejects(readPolicyFolder(folder), SettingsError);
});

test('a file that is not UTF-8, or too large, is refused', async () => {
  const folder = policyFolder({});
  writeFileSync(join(folder, 'a.cedar'), Buffer.from([0x2f, 0x2f, 0xff]));
  await assert.rejects(readPolicyFolder(folder), /a\.cedar cannot be read as UTF-8/);
  writeFileSync(join(folder, 'a.cedar'), Buffer.alloc(2 * 1024 * 1024, 0x20));
  await assert.rejects(readPolicyFolder(folder), /at most/);
  await assert.rejects(readPolicyFolder(join(folder, 'nowhere')), /cannot be read/);
});
