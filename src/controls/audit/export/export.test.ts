import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Call } from '../../../core/call.ts';
import { Refusal } from '../../../core/refusal.ts';
import type { Audit } from '../audit.ts';
import { bareCall, CANARIES, fixture, readyCall, runCall } from '../audit-kit.test.ts';
import { RECORD_KINDS } from '../format/envelope.ts';
import { LogReader, type OpenRecord } from '../reader/read.ts';
import { ocsfEvents, ocsfOf } from './ocsf.ts';
import { judgeEvent } from './ocsf-schema.test.ts';
import { otlpOf } from './otlp.ts';

const facts = { deployment: 'test', version: '1.2.3' };
const log = fixture();
let audit: Audit;
const records: OpenRecord[] = [];
// biome-ignore lint/suspicious/noExplicitAny: events are read member by member here
type Event = any;

async function refuse(call: Call, refusal: Refusal): Promise<void> {
  call.refusal = refusal;
  await audit.stages.outcome.run(call, log.clock);
}

before(async () => {
  audit = await log.open();
  await runCall(audit, readyCall(log.clock), log.clock);
  await refuse(readyCall(log.clock), new Refusal('authorization.denied', {}));
  const found = readyCall(log.clock);
  found.findings = { list: [{ type: 'iban', path: '/a', rule: 'r', action: 'masked' }] };
  await runCall(audit, found, log.clock);
  await refuse(readyCall(log.clock), new Refusal('redaction.blocked', {}));
  await refuse(bareCall(log.clock), new Refusal('authentication.invalid', { evidence: 'the key is not known' }));
  for (let i = 0; i < 30; i++) await refuse(bareCall(log.clock), new Refusal('authentication.missing', {}));
  await refuse(bareCall(log.clock), new Refusal('transport.host', {}));
  const tenant = CANARIES.tenant;
  const by = { issuer: CANARIES.issuer, subject: 'approver1' };
  await audit.record({
    kind: 'approval',
    tenant,
    meta: { event: 'approval.approved', id: 'a-1', target: CANARIES.target, effect: 'write', by, votes: 1, quorum: 2 },
  });
  await audit.record({
    kind: 'registry',
    tenant,
    meta: { event: 'drift', server: 's', target: 's/t', code: 'x', text: 'y' },
  });
  await audit.record({ kind: 'settings', tenant, meta: { event: 'reloaded' } });
  await audit.record({ kind: 'keys', tenant, meta: { event: 'keys.rotated' } });
  await audit.record({
    kind: 'operation',
    tenant,
    subject: 'key',
    meta: { event: 'questions', call: 'c', target: 's/t', questions: [{ a: 1 }] },
    payload: Buffer.from(CANARIES.reply),
  });
  await audit.erase({ tenant, subject: 'nobody', basis: 'asked', by: 'operator' });
  await audit.close();
  const keys = { folder: join(log.home, 'keys'), generate: false };
  const reader = await LogReader.open({ home: log.home, keys, store: log.store, deployment: 'test' });
  for await (const record of reader.follow('node-1', 0, { payload: true })) records.push(record);
});
after(() => log.remove());

const eventsOf = (kind: string) =>
  records.filter(({ envelope }) => envelope.kind === kind).map((record) => ocsfOf(record, facts) as Event);

describe('OCSF', () => {
  test('every event is right by the published schema 1.8.0: no attribute unknown, none missing, every enum held', () => {
    assert.ok(records.length > 15);
    for (const record of records)
      for (const event of ocsfEvents(record, facts)) assert.deepEqual(judgeEvent(event), [], record.envelope.kind);
  });

  test('so are records of every kind that say nothing, say nonsense, or do not open any more', () => {
    for (const kind of RECORD_KINDS) {
      for (const meta of [null, {}, { by: 7, target: 9, status: 'x', codes: 'y', actors: [null], findings: [1] }]) {
        const { envelope, ...rest } = records[0]!;
        const record = { ...rest, meta, envelope: { ...envelope, kind }, notes: ['meta: its key is gone'] };
        for (const event of ocsfEvents(record, facts)) assert.deepEqual(judgeEvent(event), [], kind);
      }
    }
  });

  test('the judge finds what is wrong', () => {
    const event = ocsfOf(records[0]!, facts) as Event;
    assert.match(judgeEvent({ ...event, surprise: 1 }).join(), /surprise is unknown/);
    assert.match(judgeEvent({ ...event, api: {} }).join(), /api.operation is missing/);
    assert.match(judgeEvent({ ...event, severity_id: 7 }).join(), /not in its enum/);
    assert.match(judgeEvent({ ...event, time: '1' }).join(), /no timestamp_t/);
    assert.match(judgeEvent({ ...event, type_uid: 1 }).join(), /does not add up/);
    assert.match(judgeEvent({ ...event, actor: {} }).join(), /has none of/);
    const { profiles: _, ...metadata } = event.metadata;
    assert.match(judgeEvent({ ...event, metadata }).join(), /needs profile/);
  });

  test('a tool call is API activity: who, which tool of which server, allowed; its effect decides the activity', () => {
    const [intent] = eventsOf('intent');
    assert.equal(intent.class_uid, 6003);
    assert.equal(intent.activity_name, 'Read');
    assert.equal(intent.api.operation, 'canary_tool_4');
    assert.equal(intent.api.service.name, 'canary-server-8');
    assert.equal(intent.actor.user.uid, CANARIES.subject);
    assert.equal(intent.action_id, 1);
    assert.equal(intent.policy.name, 'rule-1');
    const outcome = records.find(({ envelope }) => envelope.kind === 'outcome')!;
    const alone = ocsfOf(outcome, facts) as Event;
    assert.equal(alone.status_id, 1);
    assert.equal(alone.activity_name, 'Other');
    const joined = ocsfOf(outcome, facts, records[0]!.meta!) as Event;
    assert.equal(joined.activity_name, 'Read');
    assert.equal(joined.actor.idp.name, CANARIES.issuer);
    assert.equal(joined.metadata.correlation_uid, alone.metadata.correlation_uid);
    assert.deepEqual(judgeEvent(joined), []);
  });

  test('a refusal is denied; one of authentication is Authentication 3002, with its count where there is one', () => {
    const refusals = eventsOf('refusal');
    const denied = eventsOf('outcome').find(({ status_code }) => status_code === 'authorization.denied');
    assert.equal(denied.class_uid, 6003);
    assert.equal(denied.status_id, 2);
    assert.equal(denied.disposition_id, 26);
    const signIn = refusals.find(({ status_code }) => status_code === 'authentication.invalid');
    assert.equal(signIn.class_uid, 3002);
    assert.equal(signIn.src_endpoint.ip, '192.0.2.7');
    assert.equal(signIn.status_detail, 'the key is not known');
    const [counted] = eventsOf('refusals');
    assert.ok(counted.count > 1);
  });

  test('what redaction found is a second event, 2006, that names types and never a value', () => {
    const pairs = records.map((record) => ocsfEvents(record, facts) as Event[]).filter(({ length }) => length === 2);
    assert.deepEqual(
      pairs.map(([, { finding_info, disposition_id }]) => [finding_info.types, disposition_id]),
      [
        [['iban'], 11],
        [undefined, 2],
      ],
    );
    for (const [main, finding] of pairs) {
      assert.equal(finding.class_uid, 2006);
      assert.equal(finding.metadata.uid, `${main.metadata.uid}/finding`);
    }
  });

  test('each event says where its record stands, and two records never share a name', () => {
    const uids = records.flatMap((record) => ocsfEvents(record, facts).map(({ metadata }: Event) => metadata.uid));
    assert.equal(new Set(uids).size, uids.length);
    for (const record of records) {
      const event = ocsfOf(record, facts) as Event;
      assert.equal(event.metadata.uid, `${record.origin}#${record.leaf}`);
      assert.equal(event.unmapped.record.leaf_hash, record.leafHash.toString('base64'));
    }
  });

  test('no value of a call leaves', () => {
    const everything = JSON.stringify([records.map((record) => ocsfEvents(record, facts)), otlpOf(records, facts)]);
    assert.ok(records.some(({ payload }) => String(payload?.get('arguments')).includes(CANARIES.argument)));
    for (const canary of [CANARIES.argument, CANARIES.reply, CANARIES.diagnostics])
      assert.ok(!everything.includes(canary), canary);
  });
});

describe('OTLP', () => {
  test('one request holds all records: time in nanoseconds as text, 64-bit integers as text, the OCSF event as body', () => {
    const request = otlpOf(records, facts) as Event;
    assert.equal(request.resourceLogs.length, 1);
    const [{ resource, scopeLogs }] = request.resourceLogs;
    assert.deepEqual(resource.attributes[0], { key: 'service.name', value: { stringValue: 'gatewrit' } });
    const { logRecords } = scopeLogs[0];
    assert.equal(logRecords.length, records.flatMap((record) => ocsfEvents(record, facts)).length);
    for (const { timeUnixNano, severityNumber, eventName, body, attributes } of logRecords) {
      assert.match(timeUnixNano, /^1[0-9]{12}000000$/);
      assert.ok(severityNumber >= 9 && severityNumber <= 17);
      assert.match(eventName, /^gatewrit\.audit\./);
      assert.ok(body.kvlistValue.values.length > 10);
      const leaf = attributes.find(({ key }: Event) => key === 'gatewrit.record.leaf');
      assert.match(leaf.value.intValue, /^[0-9]+$/);
    }
  });
});
