import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
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
const kids = (name: string) => JSON.parse(readFileSync(file(name), 'utf8')).keys.map(({ kid }: { kid: string }) => kid);

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

test('neither says a key, and both name a class that is not there', async () => {
  const { out } = await run('rotate', 'approval-mac');
  for (const { k } of JSON.parse(readFileSync(file('approval-mac'), 'utf8')).keys) assert.ok(!out.includes(k));
  assert.equal((await run('rotate')).code, 2);
  assert.equal((await run('rotate', 'checkpoint', 'operator')).code, 2);
  assert.match((await run('retire', 'tls')).err, /there is no key "tls"/);
});
