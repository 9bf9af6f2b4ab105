import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Consumed } from '../../core/call.ts';
import { Answer } from '../../core/stage.ts';
import { memoryRows, openMemoryStore } from '../../core/store/memory.ts';
import {
  alice,
  approver1,
  approver2,
  at,
  callOf,
  codeOf,
  idIn,
  kit,
  Log,
  MINUTE,
  person,
  replyOf,
  SECOND,
  vault,
} from './approval-kit.test.ts';

describe('asking', () => {
  test('a call without the obligation passes at once, without a promise', () => {
    const left = kit().check(callOf({ approval: null }), at(0));
    assert.ok(!(left instanceof Promise));
    assert.equal(codeOf(left), 'none');
  });

  test('a call nobody has approved is refused with an id and an end, and recorded before the caller knows', async () => {
    const { check, log } = kit();
    const left = await check(callOf(), at(0));
    assert.equal(codeOf(left), 'approval.required');
    assert.match(idIn(left), /^[0-9a-f]{32}$/);
    assert.equal(
      (left as { facts: { approval: { expiresAt: number } } }).facts.approval.expiresAt,
      at(10 * MINUTE).utc,
    );
    assert.deepEqual(log.kinds(), ['requested']);
    assert.equal(log.events[0]!.subject, alice.key);
  });

  test('identical repeats, also 40 at once, are one request with one id', async () => {
    const { check, log } = kit();
    const left = await Promise.all(Array.from({ length: 40 }, () => check(callOf(), at(0))));
    assert.equal(new Set(left.map(idIn)).size, 1);
    assert.equal(idIn(await check(callOf(), at(9 * MINUTE))), idIn(left[0]));
    assert.deepEqual(log.kinds(), ['requested']);
  });

  test('two replicas asked at once make one request', async () => {
    const rows = memoryRows();
    const [one, two] = [kit({ store: openMemoryStore(rows) }), kit({ store: openMemoryStore(rows) })];
    const left = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? one : two).check(callOf(), at(0))));
    assert.equal(new Set(left.map(idIn)).size, 1);
    assert.equal(rows.tables.get('approval')!.size, 1);
    assert.equal(one.log.events.length + two.log.events.length, 1);
  });

  test('a rule that settings do not have refuses, also the names every object knows', async () => {
    const { check } = kit();
    for (const approval of ['unheard-of', 'constructor', '__proto__']) {
      assert.equal(codeOf(await check(callOf({ approval }), at(0))), 'approval.unavailable', approval);
    }
  });

  test('one caller cannot bury the approvers: his 21st waiting request is refused, another caller is served', async () => {
    const { check } = kit();
    for (let i = 0; i < 20; i++) {
      assert.equal(codeOf(await check(callOf({ arguments: { i } }), at(0))), 'approval.required');
    }
    assert.equal(codeOf(await check(callOf({ arguments: { i: 20 } }), at(0))), 'approval.unavailable');
    assert.equal(codeOf(await check(callOf({ principal: person('bob') }), at(0))), 'approval.required');
    assert.equal(codeOf(await check(callOf({ arguments: { i: 20 } }), at(10 * MINUTE))), 'approval.required');
  });
});

describe('approved', () => {
  test('an approved call runs once, with the bytes that were approved', async () => {
    const { check, run, act, log } = kit();
    const id = idIn(await check(callOf(), at(0)));
    const decided = await act('approve', approver1, { id, reason: 'fine' }, at(MINUTE));
    assert.deepEqual(decided, { id, state: 'approved', votes: 1, quorum: 1, runBy: at(3 * MINUTE).utc });
    // The repeat has other bytes for the same arguments; what runs is what was approved.
    const repeat = callOf();
    Object.assign(repeat.arguments, { bytes: () => Buffer.from('{ "other": "spelling" }') });
    const consumed = (await run(repeat, at(2 * MINUTE))) as Consumed;
    assert.equal(consumed.id, id);
    assert.equal(
      Buffer.from(repeat.approval!.approved!).toString(),
      '{"title":"Delete the customer table","description":"please"}',
    );
    assert.deepEqual(repeat.approval!.approvers, ['https://issuer.test#approver1']);
    assert.equal(codeOf(await check(callOf(), at(2 * MINUTE))), 'approval.consumed', 'while it runs');
    assert.deepEqual(log.kinds(), ['requested', 'approved', 'consumed']);
    assert.deepEqual((log.events[1]!.meta as { by: object }).by, {
      issuer: 'https://issuer.test',
      subject: 'approver1',
    });
    assert.equal(log.events[1]!.meta['reason'], 'fine');
    assert.deepEqual(
      log.events.map((event) => event.subject),
      [alice.key, approver1.key, alice.key],
      'a decision is sealed under who decided',
    );
  });

  test('of 40 parallel consumes exactly one gets through, over two replicas', async () => {
    const rows = memoryRows();
    const [one, two] = [kit({ store: openMemoryStore(rows) }), kit({ store: openMemoryStore(rows) })];
    const id = idIn(await one.check(callOf(), at(0)));
    await one.act('approve', approver1, { id }, at(0));
    const pairs = Array.from({ length: 40 }, (_, i) => ({ at: i % 2 ? one : two, call: callOf() }));
    for (const pair of pairs) {
      const approval = await pair.at.check(pair.call, at(SECOND));
      assert.equal(codeOf(approval), 'consume');
      Object.assign(pair.call, { approval, intent: { index: 1, id: 'i' } });
    }
    const left = await Promise.all(
      pairs.map((pair) => pair.at.control.stages.consume.run(pair.call as never, at(SECOND))),
    );
    const codes = left.map(codeOf);
    assert.equal(codes.filter((code) => code === 'consumed').length, 1);
    assert.equal(codes.filter((code) => code === 'approval.consumed').length, 39);
    assert.equal([...one.log.kinds(), ...two.log.kinds()].filter((kind) => kind === 'consumed').length, 1);
  });

  test('an approval is of no use to another call, however it is handed over', async () => {
    const { check, act, control } = kit();
    const id = idIn(await check(callOf(), at(0)));
    await act('approve', approver1, { id }, at(0));
    const approval = await check(callOf(), at(0));
    const other = Object.assign(callOf({ arguments: { title: 'other' } }), { approval, intent: { index: 1, id: 'i' } });
    assert.equal(codeOf(await control.stages.consume.run(other as never, at(0))), 'approval.unavailable');
    const forged = Object.assign(callOf(), { approval: { ...(approval as object) }, intent: { index: 1, id: 'i' } });
    assert.equal(codeOf(await control.stages.consume.run(forged as never, at(0))), 'approval.unavailable');
  });

  test('200 replays with one argument changed are accepted 0 times', async () => {
    const { check, act } = kit({ settings: { maxPending: 100 } });
    const base = { title: 'Delete', count: 100, list: ['a', 'b'], nested: { path: '/tmp/x' } };
    const id = idIn(await check(callOf({ arguments: base }), at(0)));
    await act('approve', approver1, { id }, at(0));
    let asked = 0;
    for (let i = 0; i < 200; i++) {
      const left = await check(callOf({ arguments: mutated(base, i) }), at(SECOND));
      assert.notEqual(codeOf(left), 'consume', `mutation ${i}`);
      assert.notEqual(idIn(left), id);
      if (codeOf(left) === 'approval.required') asked++;
    }
    assert.equal(asked, 100, 'and not more than one caller may have waiting');
    assert.equal(
      codeOf(await check(callOf({ arguments: base }), at(SECOND))),
      'consume',
      'the approved call itself runs',
    );
  });

  const changes: [string, Parameters<typeof callOf>[0]][] = [
    ['the arguments', { arguments: { title: 'Delete the customer table', description: 'please ' } }],
    ['the tool definition', { target: { digest: 'definition-2' } }],
    ['the manifest', { target: { manifest: 'manifest-2' } }],
    ['the tool', { target: { key: 'jira/jira_delete', name: 'jira_delete' } }],
    ['the policy version', { decision: { policy: 'policy-2' } }],
    ['the policy rules', { decision: { rules: ['other'] } }],
    ['the approval rule', { approval: 'other' }],
    ['the principal', { principal: person('mallory') }],
    ['the issuer of the principal', { principal: person('alice', { issuer: 'https://other.test' }) }],
    ['the tenant', { principal: person('alice', { tenant: 'globex' }) }],
    ['the client', { principal: person('alice', { client: 'agent-9' }) }],
    [
      'the delegation chain',
      { principal: person('alice', { actors: [{ issuer: 'https://issuer.test', subject: 'agent' }] }) },
    ],
    ['what travels in _meta', { meta: { 'vendor/dry-run': false } }],
  ];
  for (const [what, change] of changes) {
    test(`a change of ${what} between approval and repeat asks again`, async () => {
      const settings = {
        rules: {
          destructive: { approvers: { groups: ['approvers'] } },
          other: { approvers: { groups: ['approvers'] } },
        },
      };
      const { check, act } = kit({ settings });
      const id = idIn(await check(callOf(), at(0)));
      await act('approve', approver1, { id }, at(0));
      const left = await check(callOf(change), at(SECOND));
      assert.equal(codeOf(left), 'approval.required');
      assert.notEqual(idIn(left), id);
    });
  }

  test('what changes with every repeat and means nothing to the tool does not ask again', async () => {
    const { check, act } = kit();
    const id = idIn(await check(callOf({ meta: { progressToken: 1 } }), at(0)));
    await act('approve', approver1, { id }, at(0));
    const meta = {
      progressToken: 2,
      traceparent: '00-x',
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'claudecode/toolUseId': 't2',
    };
    assert.equal(codeOf(await check(callOf({ meta }), at(SECOND))), 'consume');
  });

  test('one address of a pinned template approved is not another address approved', async () => {
    const { check, act } = kit();
    const target = { kind: 'template' as const, key: 'db/db://{table}', name: 'db://{table}' };
    const id = idIn(await check(callOf({ target, name: 'db://orders' }), at(0)));
    await act('approve', approver1, { id }, at(0));
    assert.equal(codeOf(await check(callOf({ target, name: 'db://customers' }), at(0))), 'approval.required');
    assert.equal(codeOf(await check(callOf({ target, name: 'db://orders' }), at(0))), 'consume');
  });

  test('when settings take the group of the approver away before the call runs, it asks again', async () => {
    const store = openMemoryStore();
    const before = kit({ store });
    const id = idIn(await before.check(callOf(), at(0)));
    await before.act('approve', approver1, { id }, at(0));
    const after = kit({ store, settings: { rules: { destructive: { approvers: { groups: ['security'] } } } } });
    const left = await after.check(callOf(), at(SECOND));
    assert.equal(codeOf(left), 'approval.required');
    assert.notEqual(idIn(left), id);
  });

  test('when the approver turns out to be the owner of the agent before the call runs, it asks again', async () => {
    const store = openMemoryStore();
    const before = kit({ store });
    const id = idIn(await before.check(callOf(), at(0)));
    await before.act('approve', approver1, { id }, at(0));
    const owners = { desktop: [{ issuer: approver1.issuer, subject: approver1.subject }] };
    const left = await kit({ store, settings: { owners } }).check(callOf(), at(SECOND));
    assert.equal(codeOf(left), 'approval.required');
    assert.notEqual(idIn(left), id);
  });

  test('an approval not used in two minutes expires: told once, then asked anew', async () => {
    const { check, act, log } = kit();
    const id = idIn(await check(callOf(), at(0)));
    await act('approve', approver1, { id }, at(MINUTE));
    assert.equal(codeOf(await check(callOf(), at(3 * MINUTE - 1))), 'consume');
    assert.equal(codeOf(await check(callOf(), at(3 * MINUTE))), 'approval.expired');
    const next = await check(callOf(), at(3 * MINUTE));
    assert.equal(codeOf(next), 'approval.required');
    assert.notEqual(idIn(next), id);
    assert.deepEqual(log.kinds(), ['requested', 'approved', 'expired', 'requested']);
    assert.equal(log.events[3]!.meta['supersedes'], id);
  });

  test('an approval that ends between check and consume is not used', async () => {
    const { check, act, control } = kit();
    const id = idIn(await check(callOf(), at(0)));
    await act('approve', approver1, { id }, at(0));
    const call = callOf();
    Object.assign(call, { approval: await check(call, at(2 * MINUTE - 1)), intent: { index: 1, id: 'i' } });
    assert.equal(codeOf(await control.stages.consume.run(call as never, at(2 * MINUTE))), 'approval.expired');
  });

  test('no approval outlives 15 minutes, however late it was given', async () => {
    const { check, act } = kit({ settings: { decisionMinutes: 15 } });
    const id = idIn(await check(callOf(), at(0)));
    const decided = await act('approve', approver1, { id }, at(15 * MINUTE - 1));
    assert.equal((decided as { runBy: number }).runBy, at(15 * MINUTE).utc);
    assert.equal(codeOf(await check(callOf(), at(15 * MINUTE))), 'approval.expired');
  });
});

describe('outcome', () => {
  async function executed(reply: Parameters<Consumed['settle']>[0]) {
    const made = kit();
    const id = idIn(await made.check(callOf(), at(0)));
    await made.act('approve', approver1, { id }, at(0));
    const consumed = (await made.run(callOf(), at(0))) as Consumed;
    await consumed.settle(reply, at(SECOND));
    return { ...made, id };
  }

  test('an identical repeat within two minutes gets the outcome, marked, and nothing runs; then it is asked anew', async () => {
    const { check, run, log } = await executed(replyOf('{"content":[{"type":"text","text":"PROJ-1"}],"n":1.50}'));
    const replay = await run(callOf(), at(2 * MINUTE + SECOND));
    assert.ok(replay instanceof Answer);
    assert.equal(
      Buffer.from(replay.result).toString(),
      '{"_meta":{"gatewrit/replayed":true},"content":[{"type":"text","text":"PROJ-1"}],"n":1.50}',
    );
    assert.equal(codeOf(await check(callOf(), at(2 * MINUTE + SECOND + 1))), 'approval.required');
    assert.deepEqual(log.kinds(), ['requested', 'approved', 'consumed', 'settled', 'requested']);
    assert.equal(log.events[3]!.meta['state'], 'returned');
  });

  test('a failure is an outcome too', async () => {
    const failed = await executed(replyOf('{"isError":true,"content":[],"_meta":{"a":{}}}'));
    assert.equal(failed.log.events[3]!.meta['state'], 'failed');
    const replay = (await failed.run(callOf(), at(MINUTE))) as Answer;
    assert.equal(
      Buffer.from(replay.result).toString(),
      '{"isError":true,"content":[],"_meta":{"gatewrit/replayed":true,"a":{}}}',
    );
    const error = await executed(replyOf('{"code":-32000,"message":"no such project"}', 'error'));
    const again = JSON.parse(Buffer.from(((await error.run(callOf(), at(MINUTE))) as Answer).result).toString());
    assert.equal(again.isError, true);
    assert.match(again.content[0].text, /no such project/);
  });

  test('an unknown outcome is never retried silently: refused for 15 minutes, then asked anew with a warning', async () => {
    const { check, act, log } = await executed(null);
    assert.equal(log.events[3]!.meta['state'], 'unknown');
    for (const ms of [2 * SECOND, 5 * MINUTE, 15 * MINUTE - 1]) {
      assert.equal(codeOf(await check(callOf(), at(ms))), 'approval.consumed');
    }
    const id = idIn(await check(callOf(), at(15 * MINUTE)));
    const shown = await act('show', approver1, { id }, at(15 * MINUTE));
    assert.equal((shown as { card: { before: string } }).card.before, 'unknown');
  });

  test('a process that dies between consume and settle leaves the outcome unknown', async () => {
    const store = openMemoryStore();
    const dying = kit({ store });
    const id = idIn(await dying.check(callOf(), at(0)));
    await dying.act('approve', approver1, { id }, at(0));
    assert.equal(codeOf(await dying.run(callOf(), at(0))), 'consumed');
    const next = kit({ store });
    assert.equal(codeOf(await next.check(callOf(), at(14 * MINUTE))), 'approval.consumed');
  });

  test('a call that may run for half an hour blocks its repeat as long', async () => {
    const { check, act, run } = kit();
    const limits = { ...callOf().target.limits, timeoutMs: 30 * MINUTE };
    const long = () => callOf({ target: { limits } });
    const id = idIn(await check(long(), at(0)));
    await act('approve', approver1, { id }, at(0));
    await run(long(), at(0));
    assert.equal(codeOf(await check(long(), at(31 * MINUTE))), 'approval.consumed');
  });
});

describe('records', () => {
  test('nothing is asked for that cannot be recorded', async () => {
    const { check, log, act } = kit();
    log.fails = true;
    assert.equal(codeOf(await check(callOf(), at(0))), 'approval.unavailable');
    log.fails = false;
    assert.deepEqual(await act('list', approver1, {}, at(0)), { approvals: [], more: 0 });
    assert.equal(codeOf(await check(callOf(), at(0))), 'approval.required');
  });

  test('a decision that cannot be recorded is not taken, and may be taken again', async () => {
    const { check, log, act } = kit();
    const id = idIn(await check(callOf(), at(0)));
    log.fails = true;
    assert.equal(codeOf(await act('approve', approver1, { id }, at(0))), 'approval.unavailable');
    assert.equal(codeOf(await check(callOf(), at(0))), 'approval.required');
    log.fails = false;
    await act('approve', approver1, { id }, at(0));
    assert.equal(codeOf(await check(callOf(), at(0))), 'consume');
  });

  test('while the record of an approval is not durable, no call uses it, in this process or another', async () => {
    const store = openMemoryStore();
    const [one, two] = [kit({ store }), kit({ store })];
    const id = idIn(await one.check(callOf(), at(0)));
    const during: string[] = [];
    one.log.before = async (event) => {
      if (event.kind !== 'approval.approved') return;
      during.push(codeOf(await two.check(callOf(), at(0))), codeOf(await one.check(callOf(), at(0))));
    };
    await one.act('approve', approver1, { id }, at(0));
    assert.deepEqual(during, ['approval.required', 'approval.required']);
    assert.equal(codeOf(await two.check(callOf(), at(0))), 'consume');
  });

  test('while the record of a request is not durable, nobody can see or decide it, and a repeat makes no second one', async () => {
    const store = openMemoryStore();
    const [one, two] = [kit({ store }), kit({ store })];
    const during: string[] = [];
    one.log.before = async () => {
      const id = idIn(await two.check(callOf(), at(0)));
      during.push(id, codeOf(await two.act('approve', approver1, { id }, at(0))));
      during.push(JSON.stringify(await two.act('list', approver1, {}, at(0))));
    };
    const id = idIn(await one.check(callOf(), at(0)));
    assert.deepEqual(during, [id, 'approval.not_found', '{"approvals":[],"more":0}']);
    assert.deepEqual(two.log.kinds(), []);
  });

  test('while a decision is being recorded by one process, another takes no other over it', async () => {
    const store = openMemoryStore();
    const [one, two] = [kit({ store }), kit({ store })];
    const id = idIn(await one.check(callOf(), at(0)));
    const during: string[] = [];
    one.log.before = async (event) => {
      if (event.kind === 'approval.denied') during.push(codeOf(await two.act('approve', approver2, { id }, at(0))));
    };
    assert.equal(((await one.act('deny', approver1, { id }, at(0))) as { state: string }).state, 'denied');
    assert.deepEqual(during, ['approval.unavailable']);
    assert.deepEqual(two.log.kinds(), []);
    assert.equal(codeOf(await two.check(callOf(), at(0))), 'approval.denied');
  });

  test('an approval that is used up but cannot be recorded so is gone, and the call does not run', async () => {
    const { check, run, act, log } = kit();
    const id = idIn(await check(callOf(), at(0)));
    await act('approve', approver1, { id }, at(0));
    log.fails = true;
    assert.equal(codeOf(await run(callOf(), at(0))), 'approval.unavailable');
    log.fails = false;
    assert.equal(codeOf(await check(callOf(), at(0))), 'approval.consumed');
  });

  test('a decision left half by a process that died is recorded again and takes effect', async () => {
    const rows = memoryRows();
    const dying = kit({ store: openMemoryStore(rows) });
    const id = idIn(await dying.check(callOf(), at(0)));
    dying.log.before = async () => {
      // The process ends here: its store handle takes nothing any more.
      await dying.store.close();
    };
    await dying.act('deny', approver1, { id }, at(0));
    const next = kit({ store: openMemoryStore(rows) });
    assert.equal(codeOf(await next.check(callOf(), at(SECOND))), 'approval.required', 'it may still be at work');
    assert.equal(codeOf(await next.check(callOf(), at(5 * SECOND))), 'approval.denied');
    assert.deepEqual(next.log.kinds(), ['denied']);
    assert.equal(next.log.events[0]!.meta['finished'], true);
  });

  test('expiry nobody came back for is recorded by the sweep, once', async () => {
    const { check, act, log, control } = kit();
    await check(callOf(), at(0));
    const id = idIn(await check(callOf({ arguments: { n: 2 } }), at(0)));
    await act('approve', approver1, { id }, at(0));
    assert.equal(await control.sweep(at(MINUTE)), 0);
    assert.equal(await control.sweep(at(10 * MINUTE)), 2);
    assert.equal(await control.sweep(at(10 * MINUTE)), 0);
    assert.deepEqual(log.kinds().slice(-2), ['expired', 'expired']);
    assert.equal(codeOf(await check(callOf(), at(11 * MINUTE))), 'approval.expired', 'the caller is still told once');
  });

  test('no record holds a value of the arguments', async () => {
    const { check, act, run, log } = kit();
    const call = () => callOf({ arguments: { title: 'canary-7f3a' } });
    const id = idIn(await check(call(), at(0)));
    await act('approve', approver1, { id }, at(0));
    await ((await run(call(), at(0))) as Consumed).settle(replyOf('{"content":"canary-7f3a"}'), at(0));
    assert.equal(log.events.length, 4);
    assert.doesNotMatch(JSON.stringify(log.events), /canary/);
  });
});

describe('deciding', () => {
  async function asked(options: Parameters<typeof kit>[0] = {}, call = callOf()) {
    const made = kit(options);
    return { ...made, id: idIn(await made.check(call, at(0))) };
  }

  test('a denial holds for its window, is told, and only then is there a new request', async () => {
    const { check, act, id, log } = await asked();
    assert.equal(((await act('deny', approver1, { id }, at(0))) as { state: string }).state, 'denied');
    for (const ms of [0, MINUTE, 10 * MINUTE - 1]) {
      assert.equal(codeOf(await check(callOf(), at(ms))), 'approval.denied');
    }
    assert.notEqual(idIn(await check(callOf(), at(10 * MINUTE))), id);
    assert.deepEqual(log.kinds(), ['requested', 'denied', 'requested']);
  });

  test('a caller who comes back after the window is still told of the denial once', async () => {
    const { check, act, id } = await asked();
    await act('deny', approver1, { id }, at(0));
    assert.equal(codeOf(await check(callOf(), at(20 * MINUTE))), 'approval.denied');
    assert.equal(codeOf(await check(callOf(), at(20 * MINUTE))), 'approval.required');
  });

  test('approve after deny, deny after approve and a double click change nothing', async () => {
    const denied = await asked();
    await denied.act('deny', approver1, { id: denied.id }, at(0));
    assert.equal(codeOf(await denied.act('approve', approver2, { id: denied.id }, at(0))), 'approval.not_pending');
    const approved = await asked();
    const clicks = await Promise.all(
      [approver1, approver1, approver2].map((who) => approved.act('approve', who, { id: approved.id }, at(0))),
    );
    assert.deepEqual(
      clicks.map((left) => (left as { state?: string }).state ?? codeOf(left)),
      ['approved', 'approval.not_pending', 'approval.not_pending'],
    );
    assert.equal(codeOf(await approved.act('deny', approver2, { id: approved.id }, at(0))), 'approval.not_pending');
    assert.deepEqual(approved.log.kinds(), ['requested', 'approved']);
  });

  test('of a yes and a no at once over two replicas one counts, and the log says which', async () => {
    const rows = memoryRows();
    const log = new Log();
    const [one, two] = [kit({ store: openMemoryStore(rows), log }), kit({ store: openMemoryStore(rows), log })];
    const id = idIn(await one.check(callOf(), at(0)));
    const left = await Promise.all([
      one.act('approve', approver1, { id }, at(0)),
      two.act('deny', approver2, { id }, at(0)),
    ]);
    const states = left.map((each) => (each as { state?: string }).state).filter(Boolean);
    assert.equal(states.length, 1);
    assert.deepEqual(log.kinds(), ['requested', states[0]]);
  });

  test('a click that comes at the end of the window is too late, whichever way round', async () => {
    const { check, act, id, log } = await asked();
    assert.equal(codeOf(await act('approve', approver1, { id }, at(10 * MINUTE))), 'approval.not_pending');
    assert.equal(codeOf(await check(callOf(), at(10 * MINUTE))), 'approval.expired');
    assert.deepEqual(log.kinds(), ['requested', 'expired']);
    const racing = await asked();
    const both = await Promise.all([
      racing.act('approve', approver1, { id: racing.id }, at(10 * MINUTE)),
      racing.check(callOf(), at(10 * MINUTE)),
    ]);
    assert.deepEqual(both.map(codeOf), ['approval.not_pending', 'approval.expired']);
    assert.deepEqual(racing.log.kinds(), ['requested', 'expired']);
  });

  test('the requester decides nothing: not himself, not for his agent, not through a delegate, not as its owner', async () => {
    const groups = ['approvers'];
    const agent = { issuer: 'https://issuer.test', subject: 'agent-1' };
    const byAgent = person('alice', { actors: [agent] });
    const cases = [
      [callOf(), person('alice', { groups })],
      [callOf(), person('alice', { groups, client: 'console' })],
      [callOf({ principal: byAgent }), person('agent-1', { groups })],
      [callOf({ principal: byAgent }), person('alice', { groups })],
      [callOf(), person('approver1', { groups, actors: [{ issuer: 'https://issuer.test', subject: 'alice' }] })],
      [callOf({ principal: person('bot', { client: 'bot' }) }), person('olga', { groups })],
    ] as const;
    for (const [i, [call, who]] of cases.entries()) {
      const settings = { owners: { bot: [{ issuer: 'https://issuer.test', subject: 'olga' }] } };
      const { act, id, check } = await asked({ settings }, call);
      for (const verb of ['approve', 'deny'] as const) {
        assert.equal(codeOf(await act(verb, who, { id }, at(0))), 'approval.self', `case ${i}`);
      }
      assert.equal(codeOf(await check(call, at(0))), 'approval.required');
    }
  });

  test('somebody of the same name at another issuer is another person, and no approver by that', async () => {
    const { act, id } = await asked();
    const namesake = person('approver1', { issuer: 'https://evil.test' });
    assert.equal(codeOf(await act('approve', namesake, { id }, at(0))), 'approval.not_entitled');
  });

  test('an empty list of groups means nobody', async () => {
    const { act, id } = await asked({ settings: { rules: { destructive: { approvers: { groups: [] } } } } });
    for (const who of [approver1, person('x', { groups: [''] }), person('root', { groups: ['admin', '*'] })]) {
      assert.equal(codeOf(await act('approve', who, { id }, at(0))), 'approval.not_entitled');
    }
  });

  test('an agent that acts for an approver, and an unproven credential, decide nothing', async () => {
    const { act, id } = await asked();
    const agent = { issuer: 'https://issuer.test', subject: 'agent-1' };
    for (const who of [
      { ...approver1, actors: [agent] },
      { ...approver1, proof: 'none' as const },
    ]) {
      assert.equal(codeOf(await act('approve', who, { id }, at(0))), 'approval.not_entitled');
    }
  });

  test('another tenant does not even see it', async () => {
    const { act, id } = await asked();
    const stranger = person('approver1', { groups: ['approvers'], tenant: 'globex' });
    for (const verb of ['show', 'approve', 'deny'] as const) {
      assert.equal(codeOf(await act(verb, stranger, { id }, at(0))), 'approval.not_found');
    }
    assert.deepEqual(await act('list', stranger, {}, at(0)), { approvals: [], more: 0 });
    const slash = kit();
    await slash.check(callOf({ principal: person('alice', { tenant: 'acme/x' }) }), at(0));
    assert.deepEqual(await slash.act('list', approver1, {}, at(0)), { approvals: [], more: 0 });
  });

  test('a quorum of two is two different people; one denial ends it', async () => {
    const settings = { rules: { destructive: { approvers: { groups: ['approvers'] }, quorum: 2 } } };
    const { act, id, check, log } = await asked({ settings });
    for (let i = 0; i < 3; i++) {
      const vote = await act('approve', approver1, { id }, at(i));
      assert.deepEqual([(vote as { state: string }).state, (vote as { votes: number }).votes], ['pending', 1]);
      assert.equal(codeOf(await check(callOf(), at(i))), 'approval.required');
    }
    assert.equal(((await act('approve', approver2, { id }, at(5))) as { state: string }).state, 'approved');
    assert.equal(codeOf(await check(callOf(), at(5))), 'consume');
    assert.deepEqual(log.kinds(), ['requested', 'approved', 'approved']);
    assert.deepEqual([log.events[1]!.meta['complete'], log.events[2]!.meta['complete']], [false, true]);
    const ended = await asked({ settings });
    await ended.act('approve', approver1, { id: ended.id }, at(0));
    await ended.act('deny', approver2, { id: ended.id }, at(0));
    assert.equal(codeOf(await ended.check(callOf(), at(0))), 'approval.denied');
    const both = await asked({ settings });
    const votes = await Promise.all(
      [approver1, approver2].map((who) => both.act('approve', who, { id: both.id }, at(0))),
    );
    assert.deepEqual(
      votes.map((vote) => (vote as { state: string }).state),
      ['pending', 'approved'],
    );
  });

  test('an id nobody has, of any shape, is not found', async () => {
    const { act } = await asked();
    for (const id of ['', 'x', '0123456789abcdef0123456789abcdef', 7, null, '../..', 'a\u0000b']) {
      assert.equal(codeOf(await act('approve', approver1, { id }, at(0))), 'approval.not_found', String(id));
    }
  });

  test('an id whose request was replaced is over', async () => {
    const { act, id, check } = await asked();
    const next = idIn(await check(callOf({ decision: { policy: 'policy-2' } }), at(0)));
    assert.equal(codeOf(await act('approve', approver1, { id }, at(0))), 'approval.not_found');
    assert.equal(((await act('approve', approver1, { id: next }, at(0))) as { state: string }).state, 'approved');
  });

  test('what belongs to a requester who was erased can be neither seen nor approved nor run', async () => {
    const carol = person('carol');
    const call = () => callOf({ principal: carol });
    const { act, id, check } = await asked({}, call());
    await act('approve', approver1, { id }, at(0));
    vault.erase('acme', carol.key);
    assert.equal(codeOf(await act('show', approver1, { id }, at(0))), 'approval.not_found');
    assert.notEqual(codeOf(await check(call(), at(0))), 'consume');
  });

  test('an approver lists what he may decide and sees the card; others see neither', async () => {
    const { act, id, check } = await asked();
    await check(callOf({ principal: person('bob'), arguments: { b: 1 } }), at(SECOND));
    const listed = (await act('list', approver1, {}, at(SECOND))) as { approvals: { id: string; yours: boolean }[] };
    assert.deepEqual(
      listed.approvals.map((each) => each.yours),
      [true, true],
    );
    assert.equal(listed.approvals[0]!.id, id, 'the one that ends first comes first');
    assert.doesNotMatch(JSON.stringify(listed), /customer table/, 'a list holds no argument');
    const shown = (await act('show', approver1, { id }, at(0))) as { card: { arguments: object[] }; phrase: string };
    assert.match(JSON.stringify(shown.card.arguments), /Delete the customer table/);
    assert.match(shown.phrase, /^[a-z]+( [a-z]+){3}$/);
    const own = (await act('list', alice, {}, at(0))) as { approvals: { id: string; yours: boolean }[] };
    assert.deepEqual(
      own.approvals.map((each) => [each.id, each.yours]),
      [[id, false]],
    );
    assert.equal(((await act('show', alice, { id }, at(0))) as { card: unknown }).card, null);
    const nobody = person('nobody');
    assert.equal(codeOf(await act('show', nobody, { id }, at(0))), 'approval.not_entitled');
    assert.deepEqual(await act('list', nobody, {}, at(0)), { approvals: [], more: 0 });
  });
});

function mutated(base: Record<string, unknown>, i: number): Record<string, unknown> {
  switch (i % 5) {
    case 0:
      return { ...base, title: `Delete${' '.repeat(i + 1)}` };
    case 1:
      return { ...base, count: 100 + i + 1 };
    case 2:
      return { ...base, list: ['a', 'b', i] };
    case 3:
      return { ...base, nested: { path: `/tmp/x/${i}` } };
    default:
      return { ...base, [`extra${i}`]: null };
  }
}

test('a reason is recorded as it was written, whatever characters it is of', async () => {
  const { check, act, log } = kit();
  const id = idIn(await check(callOf(), at(0)));
  // As long as the schema allows; a character that takes two code units stands at each place where it could be cut.
  const reason = `x${'🚫'.repeat(499)}`;
  await act('deny', approver1, { id, reason }, at(SECOND));
  // The audit log takes no text with half a character in it: the denial would not hold.
  assert.equal(log.events.at(-1)?.meta['reason'], reason);
});

test('however many calls of one principal ask at once, no more wait for people than may', async () => {
  const { check, log } = kit({ settings: { maxPending: 5 } });
  const asked = Array.from({ length: 40 }, (_, i) => check(callOf({ arguments: { title: `call ${i}` } }), at(0)));
  const codes = (await Promise.all(asked)).map(codeOf);
  assert.equal(codes.filter((code) => code === 'approval.required').length, 5);
  assert.equal(codes.filter((code) => code === 'approval.unavailable').length, 35);
  assert.equal(log.kinds().length, 5);
});
