import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Consumed } from '../../core/call.ts';
import { memoryRows, openMemoryStore } from '../../core/store/memory.ts';
import { openSqliteStore } from '../../core/store/sqlite.ts';
import type { Store } from '../../core/store/store.ts';
import { openApproval } from './approval.ts';
import {
  alice,
  approver1,
  at,
  callOf,
  codeOf,
  idIn,
  kit,
  Log,
  MINUTE,
  mac,
  replyOf,
  SECOND,
  vault,
} from './approval-kit.test.ts';
import { approvalSettings } from './settings.ts';

const folders: string[] = [];
const place = () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatewrit-approval-'));
  folders.push(folder);
  return join(folder, 'store', 'store.sqlite');
};
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

describe('over SQLite', () => {
  test('a restart loses no pending request, no approval, and no use of one', async () => {
    const path = place();
    const calls = Array.from({ length: 12 }, (_, n) => () => callOf({ arguments: { n } }));
    let store = openSqliteStore({ path });
    const ids = [];
    for (const call of calls) ids.push(idIn(await kit({ store }).check(call(), at(0))));
    await store.close();

    store = openSqliteStore({ path });
    let next = kit({ store });
    const listed = (await next.act('list', approver1, {}, at(SECOND))) as { approvals: { id: string }[] };
    assert.deepEqual(new Set(listed.approvals.map((each) => each.id)), new Set(ids));
    assert.equal(idIn(await next.check(calls[0]!(), at(SECOND))), ids[0]);
    await next.act('approve', approver1, { id: ids[0] }, at(SECOND));
    await store.close();

    store = openSqliteStore({ path });
    next = kit({ store });
    assert.equal(codeOf(await next.run(calls[0]!(), at(2 * SECOND))), 'consumed');
    await store.close();

    store = openSqliteStore({ path });
    next = kit({ store });
    assert.equal(codeOf(await next.check(calls[0]!(), at(3 * SECOND))), 'approval.consumed');
    assert.equal(idIn(await next.check(calls[1]!(), at(3 * SECOND))), ids[1]);
    await store.close();
  });

  test('of 40 parallel repeats through two handles on one file exactly one runs', async () => {
    const path = place();
    const handles = [openSqliteStore({ path }), openSqliteStore({ path })] as const;
    const [one, two] = [kit({ store: handles[0] }), kit({ store: handles[1] })];
    const id = idIn(await one.check(callOf(), at(0)));
    await two.act('approve', approver1, { id }, at(0));
    const left = await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 ? one : two).run(callOf(), at(SECOND))));
    assert.equal(left.filter((each) => codeOf(each) === 'consumed').length, 1);
    assert.equal(left.filter((each) => codeOf(each) === 'approval.consumed').length, 39);
    for (const handle of handles) await handle.close();
  });

  test('what came with the call is never in clear in any file: arguments, outcome, names, reasons', async () => {
    const path = place();
    const store = openSqliteStore({ path });
    const { check, run, act } = kit({ store });
    const principal = { ...alice, subject: 'canary-subject', client: 'canary-client' };
    const call = () =>
      callOf({
        principal,
        arguments: { 'canary-key': 'canary-argument', deep: [{ iban: 'canary-iban' }] },
        meta: { 'canary-meta': 1 },
        target: { kind: 'template', name: 'db://{table}', key: 'db/db://{table}' },
        name: 'db://canary-resource',
      });
    const id = idIn(await check(call(), at(0)));
    const canaries = () => {
      const folder = join(path, '..');
      return readdirSync(folder).flatMap((name) => {
        const bytes = readFileSync(join(folder, name));
        const base64 = ['canary', '-canary', 'a-canary'].map((text) =>
          Buffer.from(text).toString('base64').slice(2, 8),
        );
        const utf16 = Buffer.from('canary', 'utf16le');
        const found = bytes.includes('canary') || bytes.includes(utf16) || base64.some((text) => bytes.includes(text));
        return found ? [name] : [];
      });
    };
    assert.deepEqual(canaries(), [], 'while it waits');
    await act('approve', { ...approver1, subject: 'canary-approver' }, { id, reason: 'canary-reason' }, at(0));
    assert.deepEqual(canaries(), [], 'when it is approved');
    const consumed = (await run(call(), at(0))) as Consumed;
    await consumed.settle(replyOf('{"content":[{"type":"text","text":"canary-outcome"}]}'), at(0));
    assert.deepEqual(canaries(), [], 'with its outcome');
    assert.ok(readFileSync(`${path}-wal`).includes('"rule":"destructive"'), 'what is in clear would be found');
    await store.close();
    assert.deepEqual(canaries(), [], 'after the log was folded in');
  });
});

test('every row ends by itself', async () => {
  const rows = memoryRows();
  const { check, act, run } = kit({ store: openMemoryStore(rows) });
  const id = idIn(await check(callOf(), at(0)));
  await act('approve', approver1, { id }, at(0));
  await ((await run(callOf(), at(0))) as Consumed).settle(replyOf('{}'), at(0));
  const all = [...rows.tables.values()].flatMap((table) => [...table.values()]);
  assert.equal(all.length, 3);
  for (const row of all) assert.ok(row.expiresAt !== null && row.expiresAt <= at(75 * MINUTE).utc);
});

test('a row that somebody edited, moved or copied in the store is not believed', async () => {
  const rows = memoryRows();
  const store = openMemoryStore(rows);
  const { check, act } = kit({ store });
  const bob = callOf({ arguments: { n: 2 } });
  await check(callOf(), at(0));
  const id = idIn(await check(bob, at(0)));
  await act('approve', approver1, { id }, at(0));
  const table = rows.tables.get('approval')!;
  const places = [...table.keys()];
  const approved = places.find((key) => Buffer.from(table.get(key)!.value).includes('"state":"approved"'))!;
  const pending = places.find((key) => key !== approved)!;
  const original = table.get(pending)!;
  const put = (text: string) => table.set(pending, { ...original, value: Buffer.from(text) });

  const text = Buffer.from(original.value).toString();
  put(text.replace('"state":"pending"', '"state":"approved"').replace('"runBy":null', `"runBy":${at(MINUTE).utc}`));
  assert.equal(codeOf(await check(callOf(), at(0))), 'approval.unavailable', 'edited');
  put(Buffer.from(table.get(approved)!.value).toString());
  assert.equal(codeOf(await check(callOf(), at(0))), 'approval.unavailable', 'copied');
  for (const broken of ['', '.', '{}', text.slice(0, -1), `${text} `, `.${text.slice(44)}`]) {
    put(broken);
    assert.equal(codeOf(await check(callOf(), at(0))), 'approval.unavailable', JSON.stringify(broken));
  }
});

test('a row that is not believed hides no other: of a key that was taken away, or forged', async () => {
  const rows = memoryRows();
  const store = openMemoryStore(rows);
  await kit({ store }).check(callOf(), at(0));
  const fresh = [{ kid: 'mac-2', secret: new Uint8Array(32).fill(9) }] as const;
  const log = new Log();
  const { check, act, control } = kit({ store, mac: fresh, log });
  const asked = [idIn(await check(callOf(), at(SECOND)))];
  const table = rows.tables.get('approval')!;
  // First and last in order: whatever stands behind a bad row is reached too.
  for (const place of ['acme/', 'acme/~']) table.set(place, { ...[...table.values()][0]!, value: Buffer.from('x.{}') });
  asked.push(idIn(await check(callOf({ arguments: { n: 2 } }), at(SECOND))));
  const { approvals } = (await act('list', approver1, {}, at(SECOND))) as { approvals: { id: string }[] };
  assert.deepEqual(approvals.map((one) => one.id).sort(), asked.sort());
  await assert.rejects(control.sweep(at(11 * MINUTE)), /not made by this gateway/, 'the operator is told');
  assert.deepEqual(log.kinds(), ['requested', 'requested', 'expired', 'expired'], 'of those that are believed');
});

test('the sealed request of one call put in place of another is not opened', async () => {
  const rows = memoryRows();
  const { check, act } = kit({ store: openMemoryStore(rows) });
  const id = idIn(await check(callOf({ arguments: { harmless: true } }), at(0)));
  await check(callOf({ arguments: { harmful: true } }), at(0));
  const table = rows.tables.get('approval_request')!;
  const [one, two] = [...table.keys()] as [string, string];
  const parts = [one, two].map((key) => {
    const value = Buffer.from(table.get(key)!.value);
    const end = value.indexOf(0x0a) + 1;
    return { place: value.subarray(0, end), sealed: value.subarray(end) };
  });
  table.set(one, { ...table.get(one)!, value: Buffer.concat([parts[0]!.place, parts[1]!.sealed]) });
  table.set(two, { ...table.get(two)!, value: Buffer.concat([parts[1]!.place, parts[0]!.sealed]) });
  assert.equal(codeOf(await act('show', approver1, { id }, at(0))), 'approval.not_found');
  assert.equal(codeOf(await act('approve', approver1, { id }, at(0))), 'approval.not_found');
});

test('a store that fails refuses everything and runs nothing', async () => {
  const store = openMemoryStore();
  const { check, act, control } = kit({ store });
  const id = idIn(await check(callOf(), at(0)));
  await act('approve', approver1, { id }, at(0));
  const call = callOf();
  Object.assign(call, { approval: await check(call, at(0)), intent: { index: 1, id: 'i' } });
  await store.close();
  assert.equal(codeOf(await control.stages.consume.run(call as never, at(0))), 'approval.unavailable');
  assert.equal(codeOf(await check(callOf(), at(0))), 'approval.unavailable');
  for (const verb of ['list', 'show', 'approve', 'deny'] as const) {
    assert.equal(codeOf(await act(verb, approver1, { id }, at(0))), 'approval.unavailable');
  }
});

test('a vault that fails refuses, and leaves nothing behind', async () => {
  const rows = memoryRows();
  const broken = {
    seal: () => {
      throw new Error('no key');
    },
    open: () => null,
  };
  const store = openMemoryStore(rows);
  const settings = approvalSettings.parse({});
  const control = openApproval({ settings, store, vault: broken, records: new Log(), mac });
  assert.equal(codeOf(await control.stages.check.run(callOf(), at(0))), 'approval.unavailable');
  assert.deepEqual([...rows.tables.values()].map((table) => table.size).filter(Boolean), []);
});

test('while keys are exchanged, requests made under the previous key go on', async () => {
  const store = openMemoryStore();
  const settings = approvalSettings.parse({});
  const old = kit({ store });
  const id = idIn(await old.check(callOf(), at(0)));
  const fresh = { kid: 'mac-2', secret: new Uint8Array(32).fill(9) };
  const ports = { settings, store, vault, records: new Log() };
  const both = openApproval({ ...ports, mac: [fresh, mac[0]] });
  assert.equal(idIn(await both.stages.check.run(callOf(), at(0))), id);
  const asked = { principal: approver1, arguments: { id }, now: at(0) };
  const decided = await both.operations['admin.approvals.approve'].run(asked);
  assert.equal((decided as { state: string }).state, 'approved');
  const call = callOf();
  Object.assign(call, { approval: await both.stages.check.run(call, at(0)), intent: { index: 1, id: 'i' } });
  const consumed = (await both.stages.consume.run(call as never, at(0))) as Consumed;
  await consumed.settle(replyOf('{"content":[]}'), at(0));
  assert.equal(codeOf(await both.stages.check.run(callOf(), at(SECOND))), 'replay');
  const after = openApproval({ ...ports, mac: [fresh] });
  assert.equal(codeOf(await after.stages.check.run(callOf(), at(SECOND))), 'approval.required', 'the key is gone');
});

describe('after keys were exchanged', () => {
  const exchanged = [{ kid: 'mac-2', secret: new Uint8Array(32).fill(9) }, mac[0]] as const;

  test('a call whose request is over can be asked for anew', async () => {
    const store = openMemoryStore();
    const id = idIn(await kit({ store }).check(callOf(), at(0)));
    await kit({ store }).act('deny', approver1, { id }, at(SECOND));
    const next = kit({ store, mac: exchanged });
    assert.equal(codeOf(await next.check(callOf(), at(2 * SECOND))), 'approval.denied');
    const asked = idIn(await next.check(callOf(), at(11 * MINUTE)));
    assert.match(asked, /^[0-9a-f]{32}$/);
    assert.notEqual(asked, id);
    await next.act('approve', approver1, { id: asked }, at(11 * MINUTE));
    assert.equal(codeOf(await next.run(callOf(), at(12 * MINUTE))), 'consumed');
    assert.equal(
      codeOf(await next.run(callOf(), at(12 * MINUTE))),
      'approval.consumed',
      'one use of it, and none of the old',
    );
  });

  test('a call that policy judges otherwise now replaces its old request, which nobody can decide on any more', async () => {
    const store = openMemoryStore();
    const id = idIn(await kit({ store }).check(callOf(), at(0)));
    const next = kit({ store, mac: exchanged });
    const changed = () => callOf({ decision: { policy: 'policy-2' } });
    const asked = idIn(await next.check(changed(), at(SECOND)));
    assert.match(asked, /^[0-9a-f]{32}$/);
    assert.notEqual(asked, id);
    assert.equal(codeOf(await next.act('approve', approver1, { id }, at(2 * SECOND))), 'approval.not_found');
    const { approvals } = (await next.act('list', approver1, {}, at(2 * SECOND))) as { approvals: { id: string }[] };
    assert.deepEqual(
      approvals.map((one) => one.id),
      [asked],
    );
  });

  test('as many requests of one principal wait as before, not twice as many', async () => {
    const store = openMemoryStore();
    const settings = { maxPending: 2 };
    for (const n of [1, 2]) await kit({ store, settings }).check(callOf({ arguments: { n } }), at(0));
    const next = kit({ store, settings, mac: exchanged });
    assert.equal(codeOf(await next.check(callOf({ arguments: { n: 3 } }), at(SECOND))), 'approval.unavailable');
  });
});

test('an outcome that cannot be stored leaves the approval used up', async () => {
  const failing = failingOn('approval_outcome');
  const { check, act, run } = kit({ store: failing });
  const id = idIn(await check(callOf(), at(0)));
  await act('approve', approver1, { id }, at(0));
  const consumed = (await run(callOf(), at(0))) as Consumed;
  await assert.rejects(async () => consumed.settle(replyOf('{}'), at(0)));
  assert.equal(codeOf(await check(callOf(), at(SECOND))), 'approval.consumed');
});

/** A store whose one table takes nothing. */
function failingOn(table: string): Store {
  const store = openMemoryStore();
  return {
    get: (...args) => store.get(...args),
    set: (name, ...args) => (name === table ? Promise.reject(new Error('disk full')) : store.set(name, ...args)),
    delete: (...args) => store.delete(...args),
    list: (...args) => store.list(...args),
    close: () => store.close(),
  };
}
