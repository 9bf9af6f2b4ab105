import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { storeContract } from './contract.ts';
import { openSqliteStore } from './sqlite.ts';

const T = 1_760_000_000_000;
const text = (value: string) => new TextEncoder().encode(value);

function folder(): { path: string; root: string; remove(): void } {
  const root = mkdtempSync(join(tmpdir(), 'gatewrit-store-'));
  return { root, path: join(root, 'store', 'store.sqlite'), remove: () => rmSync(root, { recursive: true }) };
}

storeContract('sqlite', () => {
  const { path, remove } = folder();
  return { open: () => openSqliteStore({ path }), remove };
});

test('the file, its log and its folder are private whatever the umask says', async () => {
  const { root, path, remove } = folder();
  const before = process.umask(0);
  try {
    const store = openSqliteStore({ path });
    await store.set('one', 'k', text('v'), { expect: 0, expiresAt: null, now: T });
    assert.equal(statSync(join(root, 'store')).mode & 0o777, 0o700);
    for (const end of ['', '-wal', '-shm']) assert.equal(statSync(path + end).mode & 0o777, 0o600, end);
    await store.close();
  } finally {
    process.umask(before);
    remove();
  }
});

test('a place that others may read, or that is no plain file, is not opened', async () => {
  const { root, path, remove } = folder();
  await openSqliteStore({ path }).close();
  chmodSync(path, 0o640);
  assert.throws(() => openSqliteStore({ path }), /chmod 600/);
  chmodSync(path, 0o600);
  chmodSync(join(root, 'store'), 0o750);
  assert.throws(() => openSqliteStore({ path }), /chmod 700/);
  chmodSync(join(root, 'store'), 0o700);
  symlinkSync(path, join(root, 'store', 'link'));
  assert.throws(() => openSqliteStore({ path: join(root, 'store', 'link') }), /plain file/);
  remove();
});

test('a file that is not a store is refused and left as it is', () => {
  const { root, remove } = folder();
  mkdirSync(join(root, 'p'), { mode: 0o700 });
  const path = join(root, 'p', 'x');
  writeFileSync(path, 'not a database, and longer than the header of one would be '.repeat(20), { mode: 0o600 });
  const before = readFileSync(path);
  assert.throws(() => openSqliteStore({ path }), { code: 'store.unavailable' });
  assert.deepEqual(readFileSync(path), before);
  remove();
});

test('an older format is migrated after a private copy; a newer one is refused untouched', async () => {
  const { path, remove } = folder();
  const store = openSqliteStore({ path });
  await store.set('one', 'k', text('kept'), { expect: 0, expiresAt: null, now: T });
  await store.close();
  const released = readSteps();
  const next = [...released, 'ALTER TABLE rows ADD COLUMN note TEXT'];
  const migrated = openSqliteStore({ path, steps: next });
  assert.equal(Buffer.from((await migrated.get('one', 'k', T))!.value).toString(), 'kept');
  await migrated.close();
  assert.throws(() => openSqliteStore({ path }), /format 2, this version knows 1/);
  assert.equal(statSync(`${path}.format-1`).mode & 0o777, 0o600);
  const copy = openSqliteStore({ path: `${path}.format-1` });
  assert.equal(
    Buffer.from((await copy.get('one', 'k', T))!.value).toString(),
    'kept',
    'the copy opens with the old version',
  );
  await copy.close();
  remove();
});

test('a migration that fails leaves the old format in place', async () => {
  const { path, remove } = folder();
  await openSqliteStore({ path }).close();
  assert.throws(() => openSqliteStore({ path, steps: [...readSteps(), 'CREATE TABLE half (x); SELECT broken'] }));
  const store = openSqliteStore({ path });
  assert.equal(await store.set('one', 'k', text('v'), { expect: 0, expiresAt: null, now: T }), 1);
  await store.close();
  remove();
});

test('expired rows leave the file with later writes', async () => {
  const { path, remove } = folder();
  const store = openSqliteStore({ path });
  for (let i = 0; i < 300; i++) {
    await store.set('one', `k${i}`, text('secret-canary'), { expect: 0, expiresAt: T + 1000, now: T });
  }
  for (let i = 1; i <= 2; i++) {
    await store.set('one', 'later', text('v'), { expect: i - 1, expiresAt: null, now: T + i * 20_000 });
  }
  // Looked at with a clock set back, nothing that expired is there any more: it was removed, not hidden.
  assert.deepEqual((await store.list('one', { prefix: 'k', limit: 10, now: T })).length, 0);
  await store.close();
  remove();
});

test('expired rows leave the file also after the clock was a year ahead', async () => {
  const { path, remove } = folder();
  const store = openSqliteStore({ path });
  await store.set('one', 'ahead', text('v'), { expect: 0, expiresAt: null, now: T + 365 * 86_400_000 });
  await store.set('one', 'k', text('secret-canary'), { expect: 0, expiresAt: T + 1000, now: T });
  await store.set('one', 'later', text('v'), { expect: 0, expiresAt: null, now: T + 20_000 });
  assert.deepEqual(await store.list('one', { prefix: 'k', limit: 10, now: T }), []);
  await store.close();
  remove();
});

test('two processes count to 200 in one file without losing one', async () => {
  const { path, remove } = folder();
  const module = fileURLToPath(new URL('./sqlite.ts', import.meta.url));
  const script = `
    const { openSqliteStore } = await import(${JSON.stringify(module)});
    const store = openSqliteStore({ path: ${JSON.stringify(path)} });
    for (let i = 0; i < 100; ) {
      const row = await store.get('one', 'n', ${T});
      const next = Buffer.from(String(Number(row ? Buffer.from(row.value).toString() : 0) + 1));
      if ((await store.set('one', 'n', next, { expect: row?.version ?? 0, expiresAt: null, now: ${T} })) !== null) i++;
    }
    await store.close();`;
  const codes = await Promise.all(
    [1, 2].map(
      () =>
        new Promise<number | null>((resolve) => {
          spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'ignore', 'inherit'] }).on(
            'exit',
            resolve,
          );
        }),
    ),
  );
  assert.deepEqual(codes, [0, 0]);
  const store = openSqliteStore({ path });
  assert.equal(Buffer.from((await store.get('one', 'n', T))!.value).toString(), '200');
  await store.close();
  remove();
});

/** The released steps, from the source: a test must not need them exported. */
function readSteps(): string[] {
  const source = readFileSync(new URL('./sqlite.ts', import.meta.url), 'utf8');
  const list = /const STEPS: readonly string\[\] = (\[[\s\S]*?\n\]);/.exec(source)![1]!;
  return new Function(`return ${list}`)() as string[];
}

test('what was scrubbed stands in no file of the store, with a second process holding it open', async () => {
  const { root, path, remove } = folder();
  const [store, other] = [openSqliteStore({ path }), openSqliteStore({ path })];
  const stay = { expect: 0, expiresAt: null, now: T };
  for (let i = 0; i < 200; i++)
    await store.set('one', `k${i}`, text(`secret-${String(i).padStart(4, '0')}-value`), stay);
  await store.set('one', 'k7', text('secret-of-later'), { ...stay, expect: 1 });
  assert.ok(await other.get('one', 'k7', T));
  const bytes = () =>
    Buffer.concat(readdirSync(join(root, 'store')).map((name) => readFileSync(join(root, 'store', name))));
  assert.ok(bytes().includes('secret-of-later') && bytes().includes('secret-0007-value'), 'it was there in clear');
  assert.equal(await store.delete('one', 'k7', { expect: 2, scrub: true }), true);
  assert.ok(!bytes().includes('secret-of-later'));
  assert.ok(!bytes().includes('secret-0007-value'), 'nor what it was before');
  assert.ok(bytes().includes('secret-0008-value'));
  await store.close();
  await other.close();
  remove();
});

const locksAreListed = existsSync('/proc/locks');

test('scrubbing lets go of no lock on the file: others take it for open', { skip: !locksAreListed }, async () => {
  const { path, remove } = folder();
  const store = openSqliteStore({ path });
  await store.set('one', 'gone', text('a value of some length'), { expect: 0, expiresAt: null, now: T });
  const { ino } = statSync(path);
  const locks = () =>
    readFileSync('/proc/locks', 'utf8')
      .split('\n')
      .filter((line) => line.includes(` ${process.pid} `) && line.includes(`:${ino} `)).length;
  const before = locks();
  assert.ok(before > 0);
  assert.ok(await store.delete('one', 'gone', { expect: 1, scrub: true }));
  assert.equal(locks(), before);
  await store.close();
  remove();
});

test('what was scrubbed stands in no page that it left when rows came, grew and went', async () => {
  // Seeds of histories that leave such a copy in a file that is only deleted from.
  for (const seed of [333, 595]) {
    const { path, remove } = folder();
    const store = openSqliteStore({ path });
    let drawn = 0;
    const random = () => createHash('sha256').update(`${seed} ${drawn++}`).digest();
    const rows: { key: string; values: string[]; version: number }[] = [];
    const gone: string[] = [];
    for (let i = 0; i < 300; i++) {
      const dice = random();
      const at = dice.readUInt32LE(1) % Math.max(1, rows.length);
      const value = random().toString('hex').repeat(3);
      const row = rows[at];
      if (!row || dice[0]! < 180) {
        const key = random().toString('hex');
        const version = await store.set('one', key, text(value), { expect: 0, expiresAt: null, now: 1 });
        rows.push({ key, values: [value], version: version! });
      } else if (dice[0]! < 220) {
        const { key, values, version: expect } = row;
        row.version = (await store.set('one', key, text(value), { expect, expiresAt: null, now: 1 }))!;
        values.push(value);
      } else {
        assert.ok(await store.delete('one', row.key, { expect: row.version, scrub: true }));
        gone.push(...row.values);
        rows.splice(at, 1);
      }
    }
    const bytes = readFileSync(path, 'latin1');
    assert.deepEqual(
      gone.filter((value) => bytes.includes(value.slice(0, 64))),
      [],
    );
    await store.close();
    remove();
  }
});
