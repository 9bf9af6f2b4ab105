import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { copiesIn } from './copies.ts';

const MIB = 1024 * 1024;

test('what stands across the pieces a file is read in is found once, wherever it begins', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-copies-'));
  const path = join(folder, 'file');
  const needle = Buffer.from('a needle of 19 char');
  const other = Buffer.from('short');
  for (let before = -needle.length - 1; before <= 1; before++) {
    const bytes = Buffer.alloc(2 * MIB + 100, '.');
    for (const at of [0, MIB + before, 2 * MIB + before]) bytes.set(needle, at);
    bytes.set(other, MIB + 50);
    writeFileSync(path, bytes);
    assert.deepEqual(copiesIn(path, [needle, other, Buffer.from('absent')], 9), [3, 1, 0], `begins at ${before}`);
  }
  writeFileSync(path, needle.subarray(0, 10));
  assert.deepEqual(copiesIn(path, [needle], 9), [0], 'nor is it found in what was read before');
  writeFileSync(path, Buffer.concat([needle, needle, needle]));
  assert.deepEqual(copiesIn(path, [needle], 2), [2], 'no further than asked');
  rmSync(folder, { recursive: true });
});
