import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { KEY_CLASSES } from '../../core/crypto/keys.ts';
import { keysCommand } from './keys.ts';

const home = mkdtempSync(join(tmpdir(), 'gatewrit-cli-keys-'));
before(async () => void (await run('init')));
after(() => rmSync(home, { recursive: true }));

async function run(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const io = { stdout: (text: string) => void out.push(text), stderr: (text: string) => void err.push(text) };
  const code = await keysCommand.run([...argv, '--home', home], io);
  return { code, out: out.join(''), err: err.join('') };
}

const file = (name: string) => join(home, 'keys', `${name}.jwks`);
const textOf = (name: string) => readFileSync(file(name), 'utf8');
const kids = (name: string) => JSON.parse(textOf(name)).keys.map(({ kid }: { kid: string }) => kid);

test('rotate puts a fresh key first and keeps the one of before; a third is refused; retire takes the old one away', async () => {
  for (const name of KEY_CLASSES) {
    const [old] = kids(name);
    const rotated = await run('rotate', name, '--json');
    assert.equal(rotated.code, 0, rotated.err);
    const [current, previous] = kids(name);
    assert.deepEqual(JSON.parse(rotated.out), { class: name, verb: 'rotate', current, other: old });
    assert.deepEqual([current !== old, previous], [true, old]);
    assert.equal(statSync(file(name)).mode & 0o777, 0o600);
    const third = await run('rotate', name);
    assert.equal(third.code, 1);
    assert.match(
      third.err,
      new RegExp(`two keys are live, ${current} and ${old}; run gatewrit keys retire ${name} first`),
    );
    assert.deepEqual(kids(name), [current, old]);
    assert.equal((await run('list', '--json')).code, 0);
    const retired = await run('retire', name);
    assert.equal(retired.code, 0, retired.err);
    assert.deepEqual(kids(name), [current]);
    const again = await run('retire', name);
    assert.equal(again.code, 1);
    assert.match(again.err, /only one key is live|none to retire/);
  }
  assert.equal(readdirSync(join(home, 'keys')).length, KEY_CLASSES.length, 'nothing is left lying about');
});

test('a prepared key is accepted and not used; rotate puts that one first, retire drops it, a third is refused', async () => {
  for (const name of KEY_CLASSES) {
    const [old] = kids(name);
    assert.equal((await run('prepare', name)).code, 0);
    const [still, next] = kids(name);
    assert.equal(still, old);
    assert.deepEqual(JSON.parse(textOf(name)).keys[1].prepared, true);
    const row = JSON.parse((await run('list', '--json')).out).keys.find((each: { name: string }) => each.name === name);
    assert.deepEqual([row.kids, row.prepared], [[old, next], next]);
    const more = await run('prepare', name);
    assert.equal(more.code, 1);
    assert.match(more.err, new RegExp(`${next} is prepared: run gatewrit keys rotate ${name}`));

    const dropped = await run('retire', name);
    assert.match(dropped.out, new RegExp(`${next} is gone, ${old} is the only key. It was never used.`));
    const { other } = JSON.parse((await run('prepare', name, '--json')).out);
    const rotated = await run('rotate', name);
    assert.equal(rotated.code, 0, rotated.err);
    assert.deepEqual(kids(name), [other, old]);
    assert.doesNotMatch(textOf(name), /prepared/);
    assert.match((await run('prepare', name)).err, /run gatewrit keys retire/);
    assert.equal((await run('retire', name)).code, 0);
  }
});

test('a key does not get younger when another comes or goes behind it', async () => {
  const age = async () =>
    JSON.parse((await run('list', '--json')).out).keys.find(({ name }: { name: string }) => name === 'operator').days;
  const old = new Date(Date.now() - 100.5 * 86_400_000);
  utimesSync(file('operator'), old, old);
  await run('prepare', 'operator');
  assert.equal(await age(), 100);
  await run('retire', 'operator');
  assert.equal(await age(), 100);
  await run('rotate', 'operator');
  assert.equal(await age(), 0);
  await run('retire', 'operator');
});

test('list is good without the key for upstreams with oauth, which most homes have no use for, and without no other', async () => {
  for (const [name, code] of [
    ['upstream-credentials', 0],
    ['state-seal', 1],
  ] as const) {
    renameSync(file(name), `${file(name)}.away`);
    assert.equal((await run('list')).code, code, name);
    renameSync(`${file(name)}.away`, file(name));
  }
});

test('neither says a key, and both name a class that is not there', async () => {
  const { out } = await run('rotate', 'approval-mac');
  for (const { k } of JSON.parse(readFileSync(file('approval-mac'), 'utf8')).keys) assert.ok(!out.includes(k));
  assert.equal((await run('rotate')).code, 2);
  assert.equal((await run('rotate', 'checkpoint', 'operator')).code, 2);
  assert.match((await run('retire', 'tls')).err, /there is no key "tls"/);
});

test('a disk that was full leaves no half key behind: neither init nor rotate is stopped by it later', async () => {
  const other = mkdtempSync(join(tmpdir(), 'gatewrit-cli-keys-full-'));
  const bin = join(import.meta.dirname, '../../../bin/gatewrit.mjs');
  const withoutRoom = (...argv: string[]) =>
    spawnSync('sh', ['-c', 'ulimit -f 0; exec "$0" "$@"', process.execPath, bin, 'keys', ...argv, '--home', other]);
  try {
    assert.notEqual(withoutRoom('init').status, 0);
    assert.deepEqual(readdirSync(join(other, 'keys')), []);
    const io = { stdout: () => undefined, stderr: (text: string) => assert.fail(text) };
    assert.equal(await keysCommand.run(['init', '--home', other], io), 0);
    const names = readdirSync(join(other, 'keys'));
    assert.notEqual(withoutRoom('rotate', 'operator').status, 0);
    assert.deepEqual(readdirSync(join(other, 'keys')), names);
  } finally {
    rmSync(other, { recursive: true });
  }
});
