import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
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
  assert.match(stderr, /did you mean "start"\?/);
});
