import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, readyCall, runCall } from '../audit-kit.test.ts';

const guide = readFileSync(join(import.meta.dirname, '../../../../docs/guides/audit-verify.md'), 'utf8');

test('a leaf can be checked by hand, with the commands of the guide', async () => {
  const log = fixture();
  const audit = await log.open();
  await runCall(audit, readyCall(log.clock), log.clock);
  await audit.close();
  const trees = join(log.home, 'audit/node-1/trees');
  const byHand = /```sh\ncd audit\/node-1\/trees\/<tag>\n([\s\S]*?)```/.exec(guide)?.[1] ?? '';
  assert.match(byHand, /sha256sum/);
  const said = execFileSync('bash', ['-c', byHand], { cwd: join(trees, readdirSync(trees)[0]!), encoding: 'utf8' });
  const [computed, stored, ...more] = said.split('\n').map((line) => line.replace(/ .*/, ''));
  assert.match(computed ?? '', /^[0-9a-f]{64}$/);
  assert.deepEqual([computed, more], [stored, []]);
  log.remove();
});
