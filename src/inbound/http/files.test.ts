import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchFiles } from './files.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatewrit-files-'));
after(() => rmSync(folder, { recursive: true }));

test('a file that is replaced, also behind a link, is noticed; after the end nothing is', async () => {
  const [file, link] = [join(folder, 'a'), join(folder, 'link')];
  writeFileSync(file, '1');
  symlinkSync(file, link);
  let noticed = 0;
  const end = watchFiles({ files: [link], everySeconds: 0.02 }, () => noticed++);
  await sleep(60);
  assert.equal(noticed, 0);
  writeFileSync(`${file}.new`, '2');
  renameSync(`${file}.new`, file);
  for (let i = 0; i < 200 && noticed === 0; i++) await sleep(20);
  assert.equal(noticed, 1);
  end();
  writeFileSync(file, '3');
  await sleep(80);
  assert.equal(noticed, 1);
  watchFiles(null, assert.fail)();
});
