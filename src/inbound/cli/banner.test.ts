import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import test from 'node:test';
import { banner, stdioEntry } from './banner.ts';
import type { Ready } from './ready.ts';

const READY: Ready = {
  ready: true,
  mcp: 'https://localhost:8443/mcp',
  admin: 'https://localhost:8444',
  issuer: 'https://localhost:43210',
  ca: '/home/ada/.gatewrit/keys/ca.pem',
  pid: 1,
  resources: [],
  scopes: ['gatewrit:approvals:read', 'jira:write', 'jira:read'],
};
const home = join(process.cwd(), '.gatewrit');

test('the client snippet is JSON, and names a program and a file that are there', () => {
  const text = banner(READY, { home, withheld: [] });
  const snippet = text.slice(text.indexOf('\n{') + 1, text.indexOf('\n}') + 2);
  assert.deepEqual(JSON.parse(snippet), { mcpServers: { gatewrit: stdioEntry(home) } });
  const { command, args } = stdioEntry(home);
  assert.ok(isAbsolute(command) && isAbsolute(args[0]!), 'nothing depends on the folder or the PATH of the client');
  assert.ok(existsSync(command) && existsSync(args[0]!));
});

test('all but the paths of this machine fits into 80 columns', () => {
  const withheld = [{ server: 'tools', name: 'query', text: 'description changed' }];
  for (const line of banner(READY, { home, withheld }).split('\n')) {
    if (!line.includes('/bin/')) assert.ok(line.length <= 80, line);
  }
});

test('another home stands in the commands it proposes', () => {
  assert.match(banner(READY, { home: '/srv/other', withheld: [] }), /token .* --home \/srv\/other/);
});

test('beside a production issuer nothing about development is said', () => {
  const text = banner({ ...READY, issuer: '', ca: '' }, { home, withheld: [] });
  assert.doesNotMatch(text, /development|token --sub|EXTRA_CA|browser/);
});

test('the commands it proposes run where it was started, for what this gateway has', () => {
  assert.match(banner(READY, { home, withheld: [] }), /npm run --silent gatewrit -- token .* --scope "jira:read"$/m);
  const before = process.cwd();
  process.chdir(tmpdir());
  try {
    const text = banner({ ...READY, scopes: ['gatewrit:approvals:read', 'crm:write'] }, { home, withheld: [] });
    const bootstrap = /node (\S+bootstrap\.mjs) gatewrit token .* --scope "crm:write" --home /.exec(text)?.[1];
    assert.ok(bootstrap && existsSync(bootstrap), 'npm has no scripts of ours here');
    assert.doesNotMatch(text, /npm run/);
  } finally {
    process.chdir(before);
  }
});
