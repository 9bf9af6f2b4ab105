import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Log } from './core/log.ts';
import { markOf, Reloading } from './reloading.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatewrit-reloading-'));
const open: Reloading[] = [];
after(async () => {
  for (const one of open) await one.close();
  rmSync(folder, { recursive: true });
});

/** A folder and a file of its own, and what happens when they change. Looks are made by the test alone. */
async function watching(name: string, reload: () => Promise<Record<string, unknown>>) {
  const [rules, key] = [join(folder, name), join(folder, `${name}.key`)];
  mkdirSync(rules);
  const places = [rules, key];
  const [records, lines]: [object[], string[]] = [[], []];
  const log: Log = {
    info: (line) => void lines.push(line),
    warn() {},
    error: (line, _, cause) => void lines.push(`${line}: ${(cause as Error).message}`),
  };
  const reloading = new Reloading({
    reloadables: [{ what: name, places, mark: await markOf(places), reload }],
    record: async (meta) => records.push(meta),
    log,
    everyMs: 3_600_000,
  });
  open.push(reloading);
  return { reloading, rules, key, records, lines };
}

test('a change is taken over when it is no longer being written, once, and recorded', async () => {
  let reloads = 0;
  const { reloading, rules, key, records } = await watching('rules', async () => ({ version: ++reloads }));
  await reloading.look();
  await reloading.look();
  assert.equal(reloads, 0, 'nothing has changed');
  writeFileSync(join(rules, 'a'), 'one');
  await reloading.look();
  writeFileSync(join(rules, 'a'), 'one and two');
  await reloading.look();
  assert.equal(reloads, 0, 'it is still being written');
  await reloading.look();
  await reloading.look();
  assert.equal(reloads, 1);
  const changes: (() => void)[] = [
    () => writeFileSync(key, 'a file that was not there'),
    () => writeFileSync(join(rules, 'b'), ''),
    () => renameSync(join(rules, 'b'), join(rules, 'c')),
    () => rmSync(join(rules, 'c')),
    () => rmSync(key),
  ];
  for (const change of changes) {
    const before: number = reloads;
    change();
    for (let i = 0; i < 3; i++) await reloading.look();
    assert.equal(reloads, before + 1, change.toString());
  }
  assert.deepEqual(records.at(-1), { event: 'reloaded', what: 'rules', version: 6 });
});

test('what could not be read or recorded at one moment is taken over at another, though no file changes again', async () => {
  let faults = 2;
  const { reloading, rules, records, lines } = await watching('starved', async () => {
    if (faults-- > 0) throw new Error('EMFILE: too many open files');
    return { version: 'stricter' };
  });
  writeFileSync(join(rules, 'a'), 'x');
  for (let i = 0; i < 100; i++) await reloading.look();
  assert.deepEqual(records, [{ event: 'reloaded', what: 'starved', version: 'stricter' }], 'once, when it could');
  assert.equal(lines.filter((line) => line.includes('EMFILE')).length, 1, 'one fault is said once');
});

test('what cannot be taken over is said once, and tried again soon only when it changes', async () => {
  let tries = 0;
  const { reloading, rules, records, lines } = await watching('broken', async () => {
    tries++;
    throw new Error('line 3 makes no sense');
  });
  writeFileSync(join(rules, 'a'), 'x');
  for (let i = 0; i < 5; i++) await reloading.look();
  assert.deepEqual([tries, records.length, lines.length], [1, 0, 1]);
  assert.match(lines[0]!, /the old stay.*line 3/);
  writeFileSync(join(rules, 'a'), 'xy');
  for (let i = 0; i < 3; i++) await reloading.look();
  assert.equal(tries, 2);
  await assert.rejects(reloading.reload(), /line 3/, 'who asks for it is told');
});
