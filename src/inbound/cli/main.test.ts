import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ITSELF } from '../../core/itself.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const gatewrit = (...argv: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bin', 'gatewrit.mjs'), ...argv], {
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
};

test('says which gatewrit this is: the version of the package, for people and for programs', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  assert.deepEqual(ITSELF, { name: 'gatewrit', version });
  const node = process.versions.node;
  assert.deepEqual(gatewrit('--version'), { status: 0, stdout: `gatewrit ${version} on Node ${node}\n`, stderr: '' });
  assert.deepEqual(JSON.parse(gatewrit('version', '--json').stdout), { ...ITSELF, node });
});

test('without a command, or with one that does not exist, says what there is', () => {
  const help = gatewrit('--help');
  assert.equal(help.status, 0);
  assert.deepEqual(gatewrit(), { ...help, status: 2 });
  const { status, stderr } = gatewrit('strat');
  assert.equal(status, 2);
  assert.match(stderr, /did you mean "start"\? Run: /);
});

test('a file or folder that cannot be used is said in one line, without a stack', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-cli-'));
  const file = join(folder, 'file');
  writeFileSync(file, '[]');
  const cases: readonly (readonly [RegExp, ...string[]])[] = [
    [/cannot mkdir .*: not a directory/, 'keys', 'init', '--home', file],
    [/cannot mkdir .*: file already exists/, 'start', '--home', file],
    [
      /cannot open .*: no such file or directory/,
      'stdio',
      '--url',
      'https://localhost:1/mcp',
      '--ca',
      join(folder, 'none'),
    ],
    [/cannot open .*: no such file or directory/, 'redact', join(folder, 'none')],
    [/cannot be read: EISDIR/, 'redact', folder],
  ];
  for (const [said, ...argv] of cases) {
    const { status, stderr } = gatewrit(...argv);
    assert.equal(status, 3, stderr);
    assert.match(stderr, new RegExp(`^gatewrit[^\\n]*${said.source}[^\\n]*\\n$`));
  }
});

test('a command line that is wrong is said in one line, without advice for programmers', () => {
  const cases: readonly (readonly [RegExp, ...string[]])[] = [
    [/Unknown option '--hom'\. /, 'approvals', 'list', '--hom', 'x'],
    [/Unknown option '--hom'\. /, 'audit', 'list', '--hom', 'x'],
    [/'--ttl' argument is ambiguous\. /, 'token', '--sub', 'a', '--ttl', '-5m'],
    [/--log is one of debug, info, warn, error, silent/, 'start', '--log', 'loud'],
    [/--url takes the https URL of a gateway/, 'stdio', '--url', 'gateway.example.com'],
    [/--url takes the https URL of a gateway/, 'stdio', '--url', 'http://gateway.example.com/mcp'],
    [/--limit takes a number/, 'audit', 'list', '--limit', 'all'],
    [/"7" is one word too many/, 'audit', 'search', '7'],
    [/--disclose is one of/, 'audit', 'prove', '1', '--disclose', 'some'],
    [/--reason is missing/, 'audit', 'retire', '--replica', 'node-1'],
    [/--listen takes HOST:PORT/, 'audit', 'witness', '--key', 'k'],
    [/there is no act "verfy"; did you mean "verify"\?/, 'audit', 'verfy'],
    [/say add, list, show SERVER or draft/, 'registry', 'lst'],
    [/a server has either a URL or a --command/, 'registry', 'add', 'https://a.example/mcp', '--command', 'node x'],
    [/"http:..\[x" is no URL/, 'registry', 'add', 'http://[x'],
    [/say keygen, sign FILE or verify FILE/, 'manifest', 'sign'],
    [/say sign-in NAME/, 'upstream'],
    [/--port takes a number/, 'upstream', 'sign-in', 'crm', '--port', '70000'],
    [/say init, list or prepare\|rotate\|retire CLASS/, 'keys', 'make'],
    [/there is no key "chekpoint"; did you mean "checkpoint"\?/, 'keys', 'rotate', 'chekpoint'],
    [/say one FILE/, 'redact'],
    [/"mcp.json" is one word too many/, 'init', 'mcp.json'],
  ];
  for (const [said, ...argv] of cases) {
    const { status, stdout, stderr } = gatewrit(...argv);
    assert.deepEqual({ status, stdout }, { status: 2, stdout: '' }, stderr);
    assert.match(stderr, new RegExp(`^gatewrit[^\\n]*${said.source}[^\\n]*--help[^\\n]*\\n$`));
  }
  assert.equal(gatewrit('redact', 'eval').status, 2);
});

test('a token given where its place is asked for is not repeated', () => {
  const home = mkdtempSync(join(tmpdir(), 'gatewrit-cli-'));
  mkdirSync(join(home, 'run'));
  writeFileSync(join(home, 'run', 'ready.json'), JSON.stringify({ pid: process.pid, issuer: 'https://localhost:1' }));
  const token = 'eyJhbGciOiJFUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl';
  const erased = gatewrit('audit', 'erase', '--subject', 'ada', '--basis', 'x', '--token', token, '--home', home);
  assert.equal(erased.status, 2);
  assert.match(erased.stderr, /--token takes env:NAME or file:PATH/);
  assert.doesNotMatch(erased.stderr, /c2VjcmV0|OiJFUzI1/);
});
