import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { Call } from '../../core/call.ts';
import { canonicalJson } from '../../core/crypto/jcs.ts';
import { Refusal } from '../../core/stage.ts';
import { memoryRows, openMemoryStore } from '../../core/store/memory.ts';
import { openSqliteStore } from '../../core/store/sqlite.ts';
import { bareCall, CANARIES, type Fixture, fixture, readyCall, runCall } from './audit-kit.test.ts';
import { LogReader, type OpenRecord } from './reader/read.ts';
import type { Plaintext } from './record/plaintext.ts';
import { readVerifiers, verifyLog } from './verifier/verify-log.ts';

let log: Fixture;
beforeEach(() => {
  log = fixture();
});
afterEach(() => log.remove());

const findings = async () =>
  (await verifyLog(join(log.home, 'audit'), readVerifiers(join(log.home, 'keys/audit.pub')))).flatMap(
    (r) => r.findings,
  );
const reader = () =>
  LogReader.open({
    home: log.home,
    keys: { folder: join(log.home, 'keys'), generate: false },
    store: log.store,
    deployment: 'test',
  });
const lastRecords = async (count = 100): Promise<OpenRecord[]> => (await reader()).last(count);

test('an intent is durable before its call goes on, and the outcome refers to it', async () => {
  const audit = await log.open();
  const call = readyCall({ ...log.clock });
  const intent = await audit.stages.intent.run(call, log.clock);
  assert.ok('index' in (intent as object));
  assert.equal(audit.stats().durable, 1);
  call.intent = intent as NonNullable<typeof call.intent>;
  call.reply = { kind: 'result', bytes: Buffer.from('{"a":1}'), findings: [], diagnostics: null, status: 200 };
  log.clock.mono += 25;
  const receipt = await audit.stages.outcome.run(call, log.clock);
  assert.equal((receipt as { index: number }).index, 1);
  await audit.close();
  const [first, second] = await lastRecords();
  assert.deepEqual([first!.envelope.kind, second!.envelope.kind], ['intent', 'outcome']);
  assert.deepEqual(second!.envelope.refs, [first!.leaf]);
  assert.equal(first!.meta!['call'], call.id);
  assert.equal(second!.meta!['call'], call.id);
  assert.equal(second!.meta!['intent'], first!.envelope.id);
  assert.equal(second!.meta!['duration_ms'], 25);
  assert.equal(first!.meta!['arguments'], call.arguments.digest);
  assert.deepEqual(first!.payload!.get('arguments'), Buffer.from(call.arguments.bytes()));
  assert.equal(second!.payload!.get('reply')!.toString(), '{"a":1}');
  assert.deepEqual(await findings(), []);
});

test('however much a call brings or its server says of a failure, the log opens again and holds what it holds', async () => {
  const audit = await log.open();
  const call = readyCall({ ...log.clock });
  call.intent = (await audit.stages.intent.run(call, log.clock)) as NonNullable<typeof call.intent>;
  // As much as a tool may answer at all.
  const diagnostics = Buffer.alloc(64 * 1024 * 1024 - 64, 'why ');
  call.reply = { kind: 'result', bytes: Buffer.from('{"a":1}'), findings: [], diagnostics, status: 200 };
  assert.ok(!((await audit.stages.outcome.run(call, log.clock)) instanceof Refusal));
  const more = readyCall({ ...log.clock });
  const given = new Map([['q', { kind: 'result', bytes: diagnostics }]] as const);
  more.round = { answers: { given, state: null }, grant: null };
  const refused = await audit.stages.intent.run(more, log.clock);
  assert.ok(refused instanceof Refusal && refused.code === 'audit.unavailable');
  await audit.close();
  await (await log.open()).close();
  assert.deepEqual(await findings(), []);
  const [, outcome] = await lastRecords();
  const kept = outcome!.payload!.get('diagnostics')!;
  assert.ok(kept.length > 1024 * 1024 && kept.equals(diagnostics.subarray(0, kept.length)));
});

test('an event that no record can hold is refused, and the log opens again', async () => {
  const audit = await log.open();
  const payload = Buffer.alloc(64 * 1024 * 1024);
  await assert.rejects(
    audit.record({ kind: 'approval', tenant: 't', subject: 's', meta: {}, payload }),
    /no record holds/,
  );
  await audit.close();
  await (await log.open()).close();
});

test('the envelope is RFC 8785 as it stands, and says nothing but kind, time, digests and places', async () => {
  const audit = await log.open();
  await runCall(audit, readyCall(log.clock), log.clock);
  audit.stages.outcome.run(
    Object.assign(bareCall(log.clock), { refusal: new Refusal('authentication.missing') }),
    log.clock,
  );
  await audit.record({ kind: 'registry', tenant: 't', meta: { b: 1, a: 'é' } });
  await audit.close();
  const records = await lastRecords();
  assert.equal(records.length, 4);
  for (const { envelope } of records) {
    assert.deepEqual(Object.keys(envelope).sort(), ['id', 'kind', 'parts', 'refs', 't_ms', 'v']);
    for (const part of envelope.parts)
      assert.deepEqual(Object.keys(part), ['alg', 'commit', 'ct_len', 'ct_sha256', 'kid', 'name']);
  }
  const bytes = readFileSync(join(log.home, 'audit/node-1/segments/00000001.seg'));
  for (const { envelope } of records) assert.ok(bytes.includes(canonicalJson(envelope)));
});

test('meta parts are RFC 8785 too', async () => {
  const { intentMeta, outcomeMeta, strangerMeta } = await import('./record/meta.ts');
  const call = readyCall(log.clock);
  call.approval = { use: 'consume', id: 'a1', approvers: ['p', 'q'], stored: null, approved: null };
  call.findings = { list: [{ type: 'email', path: '/a', rule: 'r', action: 'reported' }] };
  const context = { subjectKey: 'row/kid', weak: ['authentication.anonymous'] };
  for (const text of [
    intentMeta(call, context),
    outcomeMeta(call, call.principal, log.clock, context),
    outcomeMeta(
      { ...call, refusal: new Refusal('limits.exceeded', { evidence: 'x' }) },
      call.principal,
      log.clock,
      context,
    ),
    strangerMeta(call, log.clock),
  ])
    assert.equal(text, canonicalJson(JSON.parse(text)));
});

test('meta parts made by form are those made one by one, whatever changes between calls', async () => {
  const { intentMeta, outcomeMeta } = await import('./record/meta.ts');
  const { MetaForms } = await import('./record/meta-forms.ts');
  const { SubjectKey } = await import('./keys/keyring.ts');
  const { sealKey } = await import('../../core/crypto/envelope.ts');
  const keyOf = (kid: string) => new SubjectKey({ kid, row: 'row', key: sealKey(Buffer.alloc(32)), until: 1 });
  const [key, other] = [keyOf('k1'), keyOf('k2')];
  const [none, some] = [[], ['authentication.anonymous']];
  const plain = readyCall(log.clock);
  const odd = '\u00e9\u4e16 "arguments":"\\ ","call":"';
  const finding = { type: 'email', path: '/a', rule: 'r', action: 'reported' } as const;
  const ready = [
    plain,
    { ...plain, arguments: { ...plain.arguments, digest: 'A'.repeat(43) } },
    { ...plain, principal: { ...plain.principal, subject: odd, tenant: odd, actors: [{ issuer: odd, subject: odd }] } },
    { ...plain, target: { ...plain.target, key: odd } },
    { ...plain, message: { ...plain.message, method: 'prompts/get' } },
    { ...plain, message: { ...plain.message, revision: '2025-11-25' as const } },
    { ...plain, way: 'stdio' as const },
    { ...plain, id: `${plain.id.slice(0, 35)}"` },
    { ...plain, findings: { list: [finding] } },
    { ...plain, approval: { ...plain.approval, use: 'consume' as const, id: 'a1', approvers: ['p'] } },
    plain,
  ];
  const reply = { kind: 'result', bytes: Buffer.from('{}'), findings: [], diagnostics: null, status: 200 } as const;
  const ends: Partial<Call>[] = [
    { reply },
    { reply: { ...reply, kind: 'error', status: 502, bytes: Buffer.alloc(70_000) } },
    { reply: { ...reply, findings: [finding] } },
    { reply: { ...reply, diagnostics: Buffer.from('x') } },
    { reply, refusal: new Refusal('redaction.blocked') },
    { refusal: new Refusal('upstream.timeout') },
  ];
  const textOf = (plaintext: Plaintext) => {
    const into = Buffer.alloc(plaintext.length + 16, '~');
    assert.equal(plaintext.writeInto(into, 8), plaintext.length + 8);
    assert.equal(into.toString('latin1', 0, 8) + into.toString('latin1', into.length - 8), '~'.repeat(16));
    return into.toString('utf8', 8, into.length - 8);
  };
  const forms = new MetaForms();
  const compareOutcomes = (call: (typeof ready)[number], subjectKey: typeof key, weak: readonly string[]) => {
    for (const end of ends)
      for (const intent of [undefined, { index: 1, id: plain.id }]) {
        const ended = { ...call, ...end, ...(intent ? { intent } : {}) } as Call;
        const now = { utc: log.clock.utc, mono: log.clock.mono + 12_345.6 };
        const expected = outcomeMeta(ended, call.principal, now, { subjectKey: subjectKey.name, weak });
        assert.equal(textOf(forms.outcome(ended, now, subjectKey, weak)), expected);
      }
  };
  const ways = [
    [key, none],
    [other, none],
    [key, some],
  ] as const;
  for (const call of ready)
    for (const [subjectKey, weak] of ways) {
      const context = { subjectKey: subjectKey.name, weak };
      assert.equal(textOf(forms.intent(call, subjectKey, weak)), intentMeta(call, context));
      compareOutcomes(call, subjectKey, weak);
    }
  // Another call under the same decision may have been the last to leave a form.
  for (const call of ready) for (const [subjectKey, weak] of ways) compareOutcomes(call, subjectKey, weak);
});

test('1000 parallel calls are all durable, share their syncs, and verify', async () => {
  const audit = await log.open();
  await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => runCall(audit, readyCall(log.clock, { tenant: `t${i % 3}` }), log.clock)),
  );
  const stats = audit.stats();
  assert.equal(stats.durable, 2_000);
  assert.ok(stats.largestGroup > 100, `largest group ${stats.largestGroup}`);
  assert.ok(stats.commits < 200, `${stats.commits} commits`);
  await audit.close();
  assert.equal(audit.stats().signed, 2_000);
  assert.deepEqual(await findings(), []);
  assert.deepEqual(log.fatal, []);
});

test('records sealed together each open to their own call', async () => {
  const audit = await log.open();
  const calls = Array.from({ length: 150 }, (_, i) =>
    readyCall(log.clock, { tenant: `t${i % 2}`, subject: `s${i % 3}`, argument: 'x'.repeat(i * i) + i }),
  );
  await Promise.all(calls.map((call) => runCall(audit, call, log.clock)));
  assert.ok(audit.stats().largestGroup > 64);
  await audit.close();
  const records = await lastRecords(300);
  assert.equal(records.length, 300);
  for (const call of calls) {
    const [intent, outcome] = records.filter(({ meta }) => meta?.['call'] === call.id);
    assert.equal(intent!.index, call.intent!.index);
    assert.equal(intent!.envelope.id, call.intent!.id);
    assert.equal(intent!.meta!['subject'], call.principal.subject);
    assert.deepEqual(intent!.payload!.get('arguments'), call.arguments.bytes());
    assert.equal(outcome!.index, call.receipt!.index);
    assert.deepEqual(outcome!.envelope.refs, [intent!.leaf]);
    assert.deepEqual(outcome!.payload!.get('reply'), call.reply!.bytes);
  }
  assert.deepEqual(await findings(), []);
});

test('without a file descriptor the trees wait: the log goes on and is signed when there is one again', async () => {
  let none = false;
  const writeFile = (...args: [string, Buffer, fs.WriteFileOptions, fs.NoParamCallback]) =>
    none
      ? setImmediate(args[3], Object.assign(new Error('too many open files'), { code: 'EMFILE' }))
      : fs.writeFile(...args);
  const audit = await log.open({ files: { ...fs, writeFile: writeFile as typeof fs.writeFile } });
  none = true;
  // Enough for whole tiles: those that could not be placed are not lost.
  await Promise.all(Array.from({ length: 130 }, () => runCall(audit, readyCall(log.clock), log.clock)));
  await audit.checkpoint();
  await runCall(audit, readyCall(log.clock), log.clock);
  assert.deepEqual(log.fatal, []);
  assert.equal(audit.stats().signed, 0);
  none = false;
  await audit.checkpoint();
  assert.equal(audit.stats().signed, 262);
  await audit.close();
  assert.deepEqual(await findings(), []);
});

test('nothing of a call stands in clear in any file of the home', async () => {
  const store = openSqliteStore({ path: join(log.home, 'store/gatewrit.db') });
  const audit = await log.open({ store });
  await runCall(audit, readyCall(log.clock), log.clock);
  const sealed = await audit.vault.seal(CANARIES.tenant, CANARIES.subject, Buffer.from(CANARIES.argument), 'place');
  assert.ok(!Buffer.from(sealed).includes('canary'));
  const stranger = Object.assign(bareCall(log.clock), {
    refusal: new Refusal('authentication.invalid', { evidence: 'canary evidence' }),
  });
  audit.stages.outcome.run(stranger, log.clock);
  await audit.close();
  await store.close();
  const files = globSync(join(log.home, '**/*')).filter((path) => statSync(path).isFile());
  assert.ok(files.length > 10);
  for (const file of files) {
    const bytes = readFileSync(file);
    for (const word of ['canary', 'Canary', Buffer.from('canary').toString('base64').slice(0, 7), CANARIES.subject])
      assert.ok(!bytes.includes(word), `${word} in ${file}`);
    assert.ok(!file.includes('canary'));
  }
});

test('replies above the cap are kept as digest and length only', async () => {
  const audit = await log.open({}, { replyBytes: 8 });
  await runCall(audit, readyCall(log.clock), log.clock);
  await audit.close();
  const outcome = (await lastRecords()).at(-1)!;
  assert.equal(outcome.payload!.get('reply'), undefined);
  assert.equal(outcome.payload!.get('diagnostics')!.toString(), CANARIES.diagnostics);
  assert.equal(typeof outcome.meta!['reply'], 'string');
});

test('an approval, its intent and its outcome refer to each other', async () => {
  const audit = await log.open();
  const decided = await audit.record({
    kind: 'approval',
    tenant: CANARIES.tenant,
    approval: 'a-1',
    meta: { id: 'a-1' },
  });
  const call = readyCall(log.clock);
  call.approval = {
    use: 'consume',
    id: 'a-1',
    approvers: ['boss'],
    stored: null,
    approved: Buffer.from('{"exact":1}'),
  };
  await runCall(audit, call, log.clock);
  await audit.close();
  const [approval, intent, outcome] = await lastRecords();
  assert.equal(approval!.leaf, decided.leaf);
  assert.deepEqual(intent!.envelope.refs, [approval!.leaf]);
  assert.deepEqual(outcome!.envelope.refs, [intent!.leaf]);
  assert.equal(intent!.payload!.get('arguments')!.toString(), '{"exact":1}');
});

test('a refusal of a known caller is recorded whole and waits for the disk', async () => {
  const audit = await log.open();
  const call = readyCall(log.clock);
  call.refusal = new Refusal('authorization.denied', { evidence: 'rule x' });
  await audit.stages.outcome.run(call, log.clock);
  assert.equal(audit.stats().durable, 1);
  await audit.close();
  const [record] = await lastRecords();
  assert.equal(record!.meta!['code'], 'authorization.denied');
  assert.equal(record!.meta!['subject'], CANARIES.subject);
  assert.equal(record!.meta!['target'], CANARIES.target);
  assert.deepEqual(record!.envelope.refs, []);
});

test('strangers never wait, are bounded, and the rest is one record with a count', async () => {
  const audit = await log.open({}, { strangers: { perSecond: 3, perMinute: 5 } });
  for (let i = 0; i < 50; i++) {
    if (i === 25) log.clock.mono += 1_000;
    const call = Object.assign(bareCall(log.clock), { refusal: new Refusal('authentication.invalid') });
    assert.ok(!(audit.stages.outcome.run(call, log.clock) instanceof Promise));
  }
  await audit.close();
  const records = await lastRecords();
  assert.equal(records.filter(({ envelope }) => envelope.kind === 'refusal').length, 5);
  const counted = records.filter(({ envelope }) => envelope.kind === 'refusals');
  assert.equal(counted.length, 1);
  assert.equal(counted[0]!.meta!['count'], 45);
  assert.deepEqual(counted[0]!.meta!['codes'], { 'authentication.invalid': 45 });
  assert.deepEqual(await findings(), []);
});

test('strangers may use a tenth of the volume at most', async () => {
  const audit = await log.open({}, { volumeBytes: 1024 * 1024, strangers: { perSecond: 10_000, perMinute: 100_000 } });
  for (let i = 0; i < 1_000; i++) {
    audit.stages.outcome.run(
      Object.assign(bareCall(log.clock), { refusal: new Refusal('authentication.missing') }),
      log.clock,
    );
  }
  await audit.close();
  const bytes = statSync(join(log.home, 'audit/node-1/segments/00000001.seg')).size;
  assert.ok(bytes > 10_000 && bytes < (1024 * 1024) / 10, `${bytes} bytes`);
});

test('a full log refuses calls, says so once, and still takes the end of what was let begin', async () => {
  const audit = await log.open({}, { volumeBytes: 1024 * 1024 });
  const begun = readyCall(log.clock);
  begun.intent = (await audit.stages.intent.run(begun, log.clock)) as NonNullable<typeof begun.intent>;
  await runCall(audit, readyCall(log.clock, { argument: 'x'.repeat(1024 * 1024) }), log.clock);
  for (let i = 0; i < 3; i++) {
    const refused = await audit.stages.intent.run(readyCall(log.clock), log.clock);
    assert.ok(refused instanceof Refusal && refused.code === 'audit.unavailable');
  }
  assert.ok(!((await audit.stages.outcome.run(begun, log.clock)) instanceof Refusal));
  await audit.close();
  const kinds = (await lastRecords()).map(({ envelope }) => envelope.kind);
  assert.equal(kinds.filter((kind) => kind === 'full').length, 1);
  assert.deepEqual(await findings(), []);
});

test('erasing a subject takes payloads and stored values away and leaves accountability and every proof', async () => {
  const audit = await log.open();
  const call = readyCall(log.clock);
  await runCall(audit, call, log.clock);
  const other = readyCall(log.clock, { subject: 'someone else' });
  await runCall(audit, other, log.clock);
  const { tenant, key } = call.principal;
  const sealed = await audit.vault.seal(tenant, key, Buffer.from('stored'), 'here');
  await audit.erase({ tenant, subject: key, basis: 'request 7', by: 'officer' });
  assert.equal(await audit.vault.open(tenant, key, sealed, 'here'), null);
  await audit.close();
  const [intent, outcome, , otherOutcome, erasure] = await lastRecords();
  assert.equal(intent!.meta!['subject'], CANARIES.subject);
  assert.equal(intent!.payload, null);
  assert.equal(outcome!.payload, null);
  assert.deepEqual(intent!.notes, ['payload: its key is gone']);
  assert.ok(otherOutcome!.payload);
  assert.equal(erasure!.envelope.kind, 'erasure');
  assert.equal(erasure!.meta!['basis'], 'request 7');
  assert.deepEqual(await findings(), []);
});

test('the vault opens what it sealed, for the same subject in the same place, and nothing else', async () => {
  const audit = await log.open();
  const { vault } = audit;
  const sealed = Buffer.from(await vault.seal('t', 's', Buffer.from('value'), 'a'));
  assert.ok(!(vault.seal('t', 's', Buffer.from('value'), 'a') instanceof Promise), 'a known subject needs no promise');
  assert.equal(Buffer.from((await vault.open('t', 's', sealed, 'a'))!).toString(), 'value');
  assert.equal(await vault.open('t', 's', sealed, 'b'), null);
  assert.equal(await vault.open('t', 'other', sealed, 'a'), null);
  assert.equal(await vault.open('u', 's', sealed, 'a'), null);
  for (let i = 0; i < sealed.length; i++) {
    const bent = Buffer.from(sealed);
    bent[i] = bent[i]! ^ 1;
    assert.equal(await vault.open('t', 's', bent, 'a'), null, `byte ${i}`);
  }
  await audit.close();
  const again = await log.open();
  assert.equal(Buffer.from((await again.vault.open('t', 's', sealed, 'a'))!).toString(), 'value');
  await again.close();
});

test('public key ids do not link the calls of a person across segments', async () => {
  for (let i = 0; i < 2; i++) {
    const audit = await log.open();
    await runCall(audit, readyCall(log.clock), log.clock);
    await audit.close();
  }
  const kids = (await lastRecords()).map(({ envelope }) => envelope.parts.map(({ kid }) => kid));
  assert.equal(new Set(kids.map(([meta]) => meta)).size, 2);
  assert.equal(new Set(kids.map(([, payload]) => payload)).size, 2);
});

test('a key store that cannot be reached refuses the call, and the log goes on', async () => {
  const store = openMemoryStore(memoryRows());
  const audit = await log.open({ store });
  await store.close();
  const refused = await audit.stages.intent.run(readyCall(log.clock), log.clock);
  assert.ok(refused instanceof Refusal && refused.code === 'audit.unavailable');
  await audit.close();
  assert.deepEqual(log.fatal, []);
});

test('a key encryption key is replaced: everything is wrapped anew, old records still open', async () => {
  const { writeFileSync } = await import('node:fs');
  const path = join(log.home, 'keys/audit-kek.jwks');
  let audit = await log.open();
  await runCall(audit, readyCall(log.clock), log.clock);
  await audit.close();
  const old = JSON.parse(readFileSync(path, 'utf8')).keys;
  const fresh = { kty: 'oct', kid: 'fresh', k: createHash('sha256').update('fresh').digest('base64url') };
  writeFileSync(path, JSON.stringify({ keys: [fresh, ...old] }));
  audit = await log.open();
  await audit.close();
  writeFileSync(path, JSON.stringify({ keys: [fresh] }));
  audit = await log.open();
  await runCall(audit, readyCall(log.clock), log.clock);
  await audit.close();
  for (const record of await lastRecords()) assert.deepEqual(record.notes, []);
  assert.deepEqual(await findings(), []);
});
