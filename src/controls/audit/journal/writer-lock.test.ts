import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockWriter } from './writer-lock.ts';

/** What another process hears that wants the same lock. */
function elsewhere(home: string): string {
  const program = `import { lockWriter } from ${JSON.stringify(join(import.meta.dirname, 'writer-lock.ts'))};
    try { lockWriter(${JSON.stringify(home)}, 'node-1'); console.log('taken'); } catch (error) { console.log(error.code); }`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }).stdout.trim();
}

test('the lock is held against other processes, also after this one has tried to take it twice', () => {
  const home = mkdtempSync(join(tmpdir(), 'gatewrit-lock-'));
  const lock = lockWriter(home, 'node-1');
  try {
    assert.equal(elsewhere(home), 'audit.locked');
    assert.throws(() => lockWriter(home, 'node-1'), { code: 'audit.locked' });
    assert.equal(elsewhere(home), 'audit.locked');
  } finally {
    lock.release();
  }
  assert.equal(elsewhere(home), 'taken');
  rmSync(home, { recursive: true });
});
