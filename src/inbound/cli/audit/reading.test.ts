import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Audit, auditSettings, openAudit } from '../../../controls/audit/index.ts';
import { openSqliteStore } from '../../../core/store/sqlite.ts';
import { auditCommand } from './main.ts';
import { timeFrom } from './times.ts';

/** The acts that read: search, export, show. */
const home = mkdtempSync(join(tmpdir(), 'gatewrit-cli-reading-'));
let audit: Audit;
let store: ReturnType<typeof openSqliteStore>;
const RECORDS = 1_203;

async function run(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const io = { stdout: (text: string) => void out.push(text), stderr: (text: string) => void err.push(text) };
  const code = await auditCommand.run([...argv, '--home', home], io);
  return { code, out: out.join(''), err: err.join(''), lines: out.join('').split('\n').slice(0, -1) };
}

const file = (name: string) => join(home, name);
// biome-ignore lint/suspicious/noExplicitAny: answers are read member by member here
const parsed = (lines: readonly string[]): any[] => lines.map((line) => JSON.parse(line));

/** Where the frame of a record begins. */
function placeOf(index: number): { path: string; at: number } {
  let seen = 0;
  for (const name of readdirSync(file('audit/node-0/segments')).sort()) {
    const path = file(`audit/node-0/segments/${name}`);
    const bytes = readFileSync(path);
    for (let at = bytes.indexOf('GWR1'); at >= 0; at = bytes.indexOf('GWR1', at + 1))
      if (seen++ === index) return { path, at };
  }
  throw new Error(`there is no record ${index}`);
}

before(async () => {
  store = openSqliteStore({ path: file('store/gatewrit.db') });
  audit = await openAudit({
    settings: auditSettings.parse({ segmentBytes: 256 * 1024 }),
    home,
    keys: { folder: file('keys'), generate: true },
    store,
    deployment: 'test',
    replica: 'node-0',
    onFatal: (error) => assert.fail(error),
  });
  const approved = await audit.record({
    kind: 'approval',
    tenant: 'default',
    approval: 'a-1',
    meta: { event: 'approval.approved', id: 'a-1', by: { issuer: 'i', subject: 'approver1' }, target: 's/t' },
  });
  const begun = await audit.record({
    kind: 'operation',
    tenant: 'default',
    meta: { event: 'begun', call: 'call-1', approval: 'a-1', subject: 'alice', target: 's/t' },
    refs: [approved.leaf],
  });
  await audit.record({
    kind: 'operation',
    tenant: 'default',
    subject: 'key of alice',
    meta: { event: 'ended\u001b[31m', call: 'call-1', subject: 'alice', target: 's/t' },
    payload: Buffer.from('payload-canary'),
    refs: [begun.leaf],
  });
  await Promise.all(
    [...Array(RECORDS - 3).keys()].map((n) =>
      audit.record({ kind: 'settings', tenant: 'default', meta: { event: 'reloaded', subject: `bulk-${n % 7}` } }),
    ),
  );
  await audit.checkpoint();
});
after(async () => {
  await audit.close();
  await store.close();
  rmSync(home, { recursive: true });
});

describe('audit search, beside a running gateway', () => {
  test('prints what was asked for with index, leaf and leaf hash, and nothing that steers a terminal', async () => {
    const found = await run('search', '--subject', 'alice', '--target', 's/t');
    assert.equal(found.code, 0, found.err);
    assert.equal(found.lines.length, 2);
    assert.match(found.out, /subject=alice target=s\/t event=begun {2}leaf=1 [A-Za-z0-9+/]{43}=/);
    assert.ok(!found.out.includes('\u001b'));
    const [json] = parsed((await run('search', '--call', 'call-1', '--limit', '1', '--json')).lines);
    assert.equal(json.index, 2);
    assert.equal(Buffer.from(json.leafHash, 'base64').length, 32);
    assert.ok(!JSON.stringify(json).includes('payload-canary'));
    assert.equal((await run('search', '--subject', 'nobody')).code, 1);
    assert.equal((await run('search', '--since', '1h', '--kind', 'approval')).lines.length, 1);
    assert.equal((await run('search', '--until', '1h')).code, 1);
  });

  test('--check compares the whole index with the log, --rebuild makes it anew', async () => {
    const checked = await run('search', '--check');
    assert.equal(checked.code, 0, checked.out);
    assert.match(checked.out, /1203 records .*\nGOOD/s);
    const json = JSON.parse((await run('search', '--check', '--json')).out);
    assert.deepEqual([json.ok, json.days['node-0'][0].records], [true, RECORDS]);
    assert.equal((await run('search', '--rebuild', '--subject', 'alice')).lines.length, 2);
  });

  test('wrong use is 2 with a sentence', async () => {
    for (const argv of [
      ['--kind', 'nonsense'],
      ['--limit', '0'],
      ['--since', 'yesterday'],
      ['extra'],
      ['--nonsense', 'x'],
    ])
      assert.equal((await run('search', ...argv)).code, 2, argv.join(' '));
    assert.equal((await run('search', '--replica', 'none', '--subject', 'alice')).code, 3);
  });

  test('times are days, RFC 3339, or how long ago', () => {
    const now = Date.UTC(2026, 10, 22);
    assert.equal(timeFrom('2h', now), now - 7_200_000);
    assert.equal(timeFrom('7d', now), now - 7 * 86_400_000);
    assert.equal(timeFrom('2026-11-22', 0), now);
    assert.equal(timeFrom('2026-11-22T01:00:00+01:00', 0), now);
    for (const bad of ['2026-02-30', '2026-13-01', '22.11.2026', '2026-11-22T10:00', '-2h', '2y', ''])
      assert.equal(timeFrom(bad, now), null, bad);
  });
});

describe('audit export', () => {
  test('gives every record once as OCSF, and with a cursor goes on where it ended', async () => {
    const first = await run('export', '--cursor', file('ocsf.cursor'));
    assert.equal(first.code, 0, first.err);
    const events = parsed(first.lines);
    assert.equal(new Set(events.map(({ metadata }) => metadata.uid)).size, RECORDS);
    assert.ok(events.every(({ class_uid }) => class_uid === 6003));
    assert.ok(!first.out.includes('payload-canary'));
    assert.deepEqual(JSON.parse(readFileSync(file('ocsf.cursor'), 'utf8')).next, { 'node-0': RECORDS });
    assert.equal(statSync(file('ocsf.cursor')).mode & 0o777, 0o600);
    assert.equal((await run('export', '--cursor', file('ocsf.cursor'))).out, '');
  });

  test('into a file, from an index, for a span of time', async () => {
    const some = await run('export', '--format', 'records', '--from', '1200', '--out', file('some.jsonl'));
    assert.equal(some.code, 0, some.err);
    const lines = parsed(readFileSync(file('some.jsonl'), 'utf8').split('\n').slice(0, -1));
    assert.deepEqual(
      lines.map(({ index }) => index),
      [1200, 1201, 1202],
    );
    assert.ok(lines.every((line) => !('payload' in line) && line.meta.event === 'reloaded'));
    assert.equal(statSync(file('some.jsonl')).mode & 0o777, 0o600);
    assert.equal((await run('export', '--until', '1h')).out, '');
    assert.equal((await run('export', '--since', '1h')).lines.length, RECORDS);
  });

  test('as OTLP each line is a whole request of at most 500 records', async () => {
    const requests = parsed((await run('export', '--format', 'otlp')).lines);
    const counts = requests.map(({ resourceLogs: [{ scopeLogs }] }) => scopeLogs[0].logRecords.length);
    assert.deepEqual(counts, [500, 500, 203]);
  });

  test('a crash between lines and cursor gives some twice and loses none', async () => {
    await run('export', '--cursor', file('crash.cursor'), '--out', file('crash.jsonl'));
    const cursor = JSON.parse(readFileSync(file('crash.cursor'), 'utf8'));
    writeFileSync(file('crash.cursor'), JSON.stringify({ ...cursor, next: { 'node-0': 1_000 } }));
    await run('export', '--cursor', file('crash.cursor'), '--out', file('crash.jsonl'));
    const events = parsed(readFileSync(file('crash.jsonl'), 'utf8').split('\n').slice(0, -1));
    assert.equal(events.length, RECORDS + 203);
    assert.equal(new Set(events.map(({ metadata }) => metadata.uid)).size, RECORDS);
  });

  test('a line that a crash or a full disk left half is not glued to the record that comes again', async () => {
    await run('export', '--cursor', file('torn.cursor'), '--out', file('torn.jsonl'));
    const lines = readFileSync(file('torn.jsonl'), 'utf8').split('\n');
    writeFileSync(file('torn.jsonl'), `${lines.slice(0, 1_000).join('\n')}\n${lines[1_000]!.slice(0, 70)}`);
    const cursor = JSON.parse(readFileSync(file('torn.cursor'), 'utf8'));
    writeFileSync(file('torn.cursor'), JSON.stringify({ ...cursor, next: { 'node-0': 1_000 } }));
    await run('export', '--cursor', file('torn.cursor'), '--out', file('torn.jsonl'));
    assert.deepEqual(readFileSync(file('torn.jsonl'), 'utf8').split('\n'), lines);
  });

  test('a record that is missing ends it with a sentence: what was before is out, the cursor stands before the gap', async () => {
    // Once inside a batch, once where the next one begins.
    for (const missing of [7, 500]) {
      const { path, at } = placeOf(missing);
      const bytes = readFileSync(path);
      writeFileSync(path, Buffer.concat([bytes.subarray(0, at), Buffer.alloc(8), bytes.subarray(at + 8)]));
      try {
        const cut = await run('export', '--format', 'records', '--cursor', file(`gap-${missing}.cursor`));
        assert.equal(cut.code, 3);
        assert.match(cut.err, new RegExp(`record ${missing} of node-0 is not there whole`));
        assert.equal(cut.lines.length, missing);
        assert.deepEqual(JSON.parse(readFileSync(file(`gap-${missing}.cursor`), 'utf8')).next, { 'node-0': missing });
      } finally {
        writeFileSync(path, bytes);
      }
    }
  });

  test('wrong use is 2; a cursor of something else is 3 and stays as it was', async () => {
    assert.equal((await run('export', '--format', 'leef')).code, 2);
    assert.equal((await run('export', '--from', '-1')).code, 2);
    assert.equal((await run('export', '--from', '1', '--cursor', file('x.cursor'))).code, 2);
    const early = await run('export', '--until', '1h', '--cursor', file('x.cursor'));
    assert.equal(early.code, 2, 'the cursor would stand behind records that were left out');
    writeFileSync(file('other.cursor'), '{"v":1,"deployment":"other","next":{}}');
    assert.equal((await run('export', '--cursor', file('other.cursor'))).code, 3);
    assert.match(readFileSync(file('other.cursor'), 'utf8'), /other/);
    assert.ok(!existsSync(file('x.cursor')));
  });

  test('to a pipe that is read slowly nothing is lost', () => {
    const bin = join(import.meta.dirname, '../../../../bin/gatewrit.mjs');
    const pipe = `"${process.execPath}" "${bin}" audit export --home "${home}" --cursor "${file('pipe.cursor')}" | (sleep 0.3; wc -l)`;
    assert.equal(Number(execFileSync('sh', ['-c', pipe], { encoding: 'utf8' })), RECORDS);
    assert.equal(JSON.parse(readFileSync(file('pipe.cursor'), 'utf8')).next['node-0'], RECORDS);
  });
});

describe('audit show', () => {
  test('of a call shows its records and the approval it used, and which refers to which', async () => {
    const shown = await run('show', 'call-1');
    assert.equal(shown.code, 0, shown.err);
    assert.match(shown.out, /record 0 of node-0[\s\S]*referred to by record 1 \(operation\)/);
    assert.match(shown.out, /record 2 of node-0[\s\S]*refers to record 1 \(operation\)/);
    assert.match(shown.out, /event \(14 bytes\): payload-canary/);
  });

  test('says what was erased, and finds what nobody has signed yet', async () => {
    await audit.erase({ tenant: 'default', subject: 'key of alice', basis: 'asked', by: 'operator' });
    const shown = await run('show', '2');
    assert.match(shown.out, /payload: its key is gone/);
    assert.ok(!shown.out.includes('payload-canary'));
    await audit.record({ kind: 'operation', tenant: 'default', meta: { event: 'young', call: 'call-young' } });
    assert.equal((await run('show', 'call-young')).code, 0);
    assert.equal((await run('show', 'no-such-call')).code, 1);
  });
});
