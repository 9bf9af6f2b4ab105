import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeDefaultPolicy } from '../../controls/authorization/index.ts';
import { policyCommand } from './policy.ts';

const home = mkdtempSync(join(tmpdir(), 'gatewrit-cli-policy-'));
after(() => rmSync(home, { recursive: true }));
await writeDefaultPolicy(join(home, 'policy'), { quickstart: true });

async function run(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const io = { stdout: (text: string) => void out.push(text), stderr: (text: string) => void err.push(text) };
  const code = await policyCommand.run(argv, io);
  return { code, out: out.join(''), err: err.join('') };
}
const at = ['--home', home];

test('the example in the help runs', async () => {
  const lines = policyCommand.usage.split('example\n')[1]!.trim().split('\n');
  for (const line of lines) {
    const words = line
      .trim()
      .match(/"[^"]*"|\S+/g)!
      .map((word) => word.replaceAll('"', ''));
    assert.deepEqual(words.slice(0, 2), ['gatewrit', 'policy']);
    const { code, err } = await run(
      ...words.slice(2).filter((word, i, all) => word !== '--home' && all[i - 1] !== '--home'),
      ...at,
    );
    assert.deepEqual([code, err], [0, '']);
  }
});

test('lint says good with 0, findings with 1, and no folder with 3', async () => {
  assert.match((await run('lint', ...at)).out, /^good: 6 rules, 8 scopes/);
  const broken = mkdtempSync(join(home, 'broken-'));
  mkdirSync(join(broken, 'policy'));
  writeFileSync(
    join(broken, 'policy', 'a.cedar'),
    '@id("a") permit (principal, action, resource) when { principal.scops == [] };',
  );
  const found = await run('lint', '--home', broken);
  assert.deepEqual([found.code, found.out.startsWith('error    a.cedar:1: ')], [1, true]);
  assert.equal(JSON.parse((await run('lint', '--json', '--home', broken)).out).good, false);
  writeFileSync(
    join(broken, 'policy', 'a.cedar'),
    '@id("a") permit (principal, action, resource) when { resource.server == "x" && resource.server == "x" && false };',
  );
  assert.match((await run('lint', '--home', broken)).out, /^warning {2}a\.cedar:1: .*impossible/);
  assert.equal((await run('lint', '--home', join(home, 'nowhere'))).code, 3);
});

test('test plays decisions and ends with 1 when one comes out otherwise', async () => {
  const tests = join(home, 'policy', 'tests');
  mkdirSync(tests);
  const decision = (verdict: string) =>
    `description: s3 is ${verdict}\ntarget: { server: a, name: b, scopes: ["s3:list"] }\nexpect: ${verdict}\n`;
  writeFileSync(join(tests, 'a.yaml'), decision('insufficient_scope'));
  const good = await run('test', ...at);
  assert.deepEqual(
    [good.code, good.out],
    [0, 'PASS  s3 is insufficient_scope\n1 of 1 decisions come out as written\n'],
  );
  writeFileSync(join(tests, 'b.yaml'), decision('allowed'));
  const bad = await run('test', ...at);
  assert.equal(bad.code, 1);
  assert.match(bad.out, /FAIL {2}s3 is allowed\n.*b\.yaml: verdict: expected "allowed", came "insufficient_scope"/);
  assert.equal(JSON.parse((await run('test', '--json', ...at)).out).good, false);
  assert.equal((await run('test', join(tests, 'none.yaml'), ...at)).code, 3);
  writeFileSync(join(tests, 'b.yaml'), 'description: x\ntarget: null\nexpct: allowed\n');
  assert.match((await run('test', ...at)).err, /"expct", did you mean "expect"/);
  rmSync(tests, { recursive: true });
});

test('explain names the rules that decide, and ends with 1 when the call would be refused', async () => {
  const asked = [
    'explain',
    'internal-destructive/jira_create',
    '--effect',
    'destructive',
    '--needs',
    'jira:write',
    ...at,
  ];
  const allowed = await run(...asked, '--scope', 'jira:write');
  assert.equal(allowed.code, 0);
  assert.match(allowed.out, /needs an approval by rule "destructive"/);
  assert.match(allowed.out, /\* permit {6}use-with-every-scope {2}10-use\.cedar:4/);
  const refused = await run(...asked, '--json');
  const { verdict, visibility, scopes } = JSON.parse(refused.out);
  assert.deepEqual([refused.code, verdict, visibility, scopes], [1, 'insufficient_scope', 'reachable', ['jira:write']]);
});

test('explain takes operations from a file', async () => {
  const file = join(home, 'targets.json');
  writeFileSync(file, JSON.stringify([{ server: 'a', name: 'x://y/z', kind: 'resource', scopes: ['s3:list'] }]));
  assert.equal((await run('explain', 'a/x://y/z', '--targets', file, '--scope', 's3:list', ...at)).code, 0);
  assert.equal((await run('explain', 'a/b', '--targets', file, ...at)).code, 2);
});

test('wrong use ends with 2 and one sentence', async () => {
  const wrong = [
    [],
    ['lnt'],
    ['lint', 'x'],
    ['lint', '--hom', 'x'],
    ['explain', 'ab', '--needs', 's3:list'],
    ['explain', 'a/b'],
  ];
  const values = [
    ['--proof', 'x'],
    ['--arguments', '[]'],
    ['--arguments', '{'],
    ['--at', 'noon'],
    ['--kind', 'x'],
  ];
  for (const argv of [...wrong, ...values.map((value) => ['explain', 'a/b', '--needs', 's3:list', ...value])]) {
    const { code, out, err } = await run(...argv, ...at);
    assert.deepEqual([code, out], [2, ''], argv.join(' '));
    assert.match(err, /--help/);
  }
});
