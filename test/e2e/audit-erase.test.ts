import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readVerifiers, verifyLog } from '../../src/controls/audit/index.ts';
import { auditCommand } from '../../src/inbound/cli/audit/main.ts';
import type { Command } from '../../src/inbound/cli/command.ts';
import { keysCommand } from '../../src/inbound/cli/keys.ts';
import { signedInApprovals } from '../../src/inbound/cli/sign-in.ts';
import { Quickstart, READ, WRITE } from './quickstart.ts';
import { recordsOf } from './recorded.ts';

/** A person's data is erased from a gateway that runs, and from the log of one that does not; keys are exchanged meanwhile. */
const ERASE = ['gatewrit:audit:erase'];
let quickstart: Quickstart;
let issuer: string;

before(async () => {
  quickstart = await Quickstart.start();
  issuer = quickstart.gateway.ready.issuer;
});
after(async () => quickstart?.close());

const list = async (subject: string, prefix: string) =>
  quickstart.gateway.call('readonly__s3_list', { prefix }, await quickstart.token(subject, READ));
const records = () => recordsOf(quickstart.gateway.home);
/** A command as the program runs it, without 300 ms of a process each. */
async function run(command: Command, ...args: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const io = { stdout: (text: string) => void out.push(text), stderr: (text: string) => void err.push(text) };
  const code = await command.run([...args, '--home', quickstart.gateway.home], io);
  return { code, stdout: out.join(''), stderr: err.join('') };
}
const audit = (...args: string[]) => run(auditCommand, ...args);
const verified = async () => {
  await sleep(1_100); // signed every second
  const { home } = quickstart.gateway;
  const reports = await verifyLog(join(home, 'audit'), readVerifiers(join(home, 'keys/audit.pub')));
  assert.deepEqual(
    reports.flatMap(({ findings }) => findings),
    [],
  );
};
const kids = (name: string) =>
  JSON.parse(readFileSync(join(quickstart.gateway.home, 'keys', `${name}.jwks`), 'utf8')).keys.map(
    ({ kid }: { kid: string }) => kid,
  );

async function ask(body: object, token: string) {
  const { ready } = quickstart.gateway;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return quickstart.gateway.send(`${ready.admin}/api/audit/erase`, { headers, body: JSON.stringify(body) });
}

describe('beside a running gateway', () => {
  test('an officer erases one person: payloads and stored approvals are gone, others stay, the log verifies', async () => {
    for (const subject of ['erin', 'frank']) {
      await list(subject, 'public/');
      const asked = await quickstart.gateway.call(
        'destructive__jira_create',
        { title: `of ${subject}` },
        await quickstart.token(subject, WRITE),
      );
      assert.equal(asked.json.result?.['isError'], true, asked.text);
    }
    const waiting = async () => {
      const { stdout } = await run(signedInApprovals, 'list', '--as', 'approver1', '--json');
      return (JSON.parse(stdout) as { approvals: { subject: string }[] }).approvals
        .map(({ subject }) => subject)
        .sort();
    };
    assert.deepEqual(await waiting(), ['erin', 'frank']);

    const dry = await audit('erase', '--subject', 'erin', '--dry-run', '--as', 'officer', '--json');
    assert.equal(dry.code, 0, dry.stderr);
    const { key } = JSON.parse(dry.stdout) as { key: string };
    const done = await audit(
      'erase',
      '--subject',
      `${issuer} erin`,
      '--basis',
      'request 7',
      '--as',
      'officer',
      '--json',
    );
    assert.equal(done.code, 0, done.stderr);
    const said = JSON.parse(done.stdout) as { erased: boolean; key: string; record: { index: number } };
    assert.deepEqual([said.erased, said.key], [true, key]);

    const all = await records();
    const recorded = all.find(({ index }) => index === said.record.index)!;
    assert.equal(recorded.envelope.kind, 'erasure');
    assert.deepEqual(
      [recorded.meta?.['basis'], recorded.meta?.['key'], recorded.meta?.['by']],
      ['request 7', key, `${issuer} officer`],
    );
    for (const subject of ['erin', 'frank']) {
      const theirs = all.filter(({ meta, envelope }) => meta?.['subject'] === subject && envelope.kind === 'intent');
      assert.ok(theirs.length > 0);
      for (const { payload } of theirs) assert.equal(payload === null, subject === 'erin');
    }
    assert.deepEqual(await waiting(), ['frank'], 'what was stored for the approval cannot be opened any more');
    await verified();

    const again = await audit('erase', '--subject', 'erin', '--basis', 'request 7', '--as', 'officer');
    assert.equal(again.code, 1);
    assert.match(again.stdout, /There is no key of erin/);
    // The person may come back; that is a new key.
    assert.equal((await list('erin', 'public/')).status, 200);
    const back = await audit('erase', '--subject', 'erin', '--dry-run', '--as', 'officer', '--json');
    assert.notEqual(JSON.parse(back.stdout).key, key);
  });

  test('whoever lacks the scope erases nobody, and neither does anybody in another tenant or without a name', async () => {
    await list('grace', 'public/');
    const admin = { audience: `${quickstart.gateway.ready.admin}/api` };
    const body = { issuer, subject: 'grace', basis: 'none' };
    const approver = await quickstart.token('approver1', [], { ...admin, groups: ['approvers'] });
    const { status, text } = await ask(body, approver);
    assert.equal(status, 403, text);
    const elsewhere = await ask(body, await quickstart.token('bob', ERASE));
    assert.equal(elsewhere.status, 401, 'a token for /mcp');
    const officer = await quickstart.token('officer', ERASE, admin);
    for (const wrong of [
      { ...body, tenant: 'other' },
      { ...body, basis: '' },
      { subject: 'grace' },
      { ...body, subject: 7 },
    ])
      assert.equal((await ask(wrong, officer)).status, 422, JSON.stringify(wrong));
    const cli = await audit('erase', '--subject', 'grace', '--basis', 'x', '--tenant', 'other', '--as', 'officer');
    assert.equal(cli.code, 2);
    assert.equal((await audit('erase', '--subject', 'grace', '--basis', 'x')).code, 2, 'nobody signed in');
    const dry = await ask({ ...body, dryRun: true }, officer);
    assert.ok((JSON.parse(dry.text) as { key: string | null }).key, 'the key is still there');
  });

  test('both keys of the log are exchanged while it runs; the old ones go when nothing needs them', async () => {
    const before = { kek: kids('audit-kek')[0], checkpoint: kids('checkpoint')[0] };
    for (const name of ['audit-kek', 'checkpoint']) {
      assert.equal((await run(keysCommand, 'rotate', name)).code, 0);
      for (let i = 0; ; i++) {
        const { code, stderr } = await run(keysCommand, 'retire', name);
        if (code === 0) break;
        assert.match(stderr, /\d+ (stored keys are not wrapped|checkpoints are not signed)/);
        assert.ok(i < 40, 'the gateway takes it over within seconds');
        await sleep(250);
      }
    }
    await list('heidi', 'public/');
    await verified();
    const all = await records();
    for (const { notes, meta } of all) assert.ok(meta, notes.join());
    const events = all.filter(({ envelope }) => envelope.kind === 'keys').map(({ meta }) => meta!);
    assert.deepEqual(
      events.map((meta) => `${meta['event']} ${meta['class']}`),
      ['rotated audit-kek', 'rewrapped audit-kek', 'rotated checkpoint'],
    );
    assert.equal(events[0]!['from'], before.kek);
    assert.equal(events[2]!['from'], before.checkpoint);
    assert.ok(Number(events[1]!['rewrapped']) > 5);
  });
});

test('without a gateway the log is opened in place: one writer, no sign-in, the same record', async () => {
  const { home } = quickstart.gateway;
  await list('ivan', 'public/');
  await quickstart.stop();
  const none = await audit('erase', '--subject', `${issuer} nobody`, '--basis', 'request 8');
  assert.equal(none.code, 1, none.stderr);
  assert.equal((await audit('erase', '--subject', 'ivan', '--basis', 'request 8')).code, 2, 'whose subject?');
  // In a process of its own, as people run it.
  const done = await quickstart.gateway.run('audit', 'erase', '--subject', `${issuer} ivan`, '--basis', 'request 8');
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /^Erased ivan of http.* in tenant default: key /);
  const all = await records();
  const last = all.findLast(({ envelope }) => envelope.kind === 'erasure')!;
  assert.equal(last.meta?.['basis'], 'request 8');
  const theirs = all.filter(({ meta, envelope }) => meta?.['subject'] === 'ivan' && envelope.kind === 'intent');
  assert.ok(theirs.length > 0 && theirs.every(({ payload }) => payload === null));
  await verified();
  assert.ok(readdirSync(join(home, 'keys')).every((name) => !name.endsWith('.new')));
});
