import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { TASKS_EXTENSION } from '../core/mcp/tasks.ts';
import { Refusal } from '../core/stage.ts';
import { bridged, NOTHING_BRIDGED } from './capabilities.ts';
import { clientWith, requestFor } from './fixture.test.ts';
import { legacyServer } from './legacy-fixture.test.ts';
import { classify } from './message-kind.ts';
import { outgoingMessage } from './outgoing.ts';
import type { TaskNames } from './tasks.ts';
import { stateFor, taskToldOf } from './told-tasks.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

const takesTasks = clientWith({ extensions: { [TASKS_EXTENSION]: { any: 'thing' } } });
const names: TaskNames = { id: 'own', name: () => 'ours' };
const STATE = {
  ...{
    taskId: 'own',
    status: 'working',
    createdAt: '2026-11-22T10:00:00Z',
    lastUpdatedAt: '2026-11-22T10:00:00+01:00',
  },
  ttlMs: 1_000,
};
const told = (state: object, client = takesTasks) => {
  const found = stateFor(client, names, Buffer.from(JSON.stringify(state)));
  return found && JSON.parse(Buffer.from(found.bytes).toString());
};

test('an upstream hears of the extension for a modern client that declared it, in our words, and a legacy one never', () => {
  const modern = bridged(takesTasks, [], true);
  assert.deepEqual(
    [modern.tasks, modern.silent, modern.json],
    [true, true, `{"extensions":{"${TASKS_EXTENSION}":{}}}`],
  );
  assert.equal(bridged(takesTasks, [TASKS_EXTENSION]).json, NOTHING_BRIDGED.json);
  const old = clientWith(takesTasks.capabilities, '2025-11-25');
  assert.equal(bridged(old, [TASKS_EXTENSION], true).json, NOTHING_BRIDGED.json);
  assert.equal(bridged(clientWith({ extensions: { [TASKS_EXTENSION]: true } }), [], true).tasks, false);
  const both = bridged(
    clientWith({ extensions: { 'com.example/x': {}, [TASKS_EXTENSION]: {} } }),
    ['com.example/x'],
    true,
  );
  assert.deepEqual(JSON.parse(both.json), { extensions: { 'com.example/x': {}, [TASKS_EXTENSION]: {} } });
});

test('answers to a task go on as they are, under its own id; an empty set of them stays one', () => {
  const { message, ...request } = requestFor();
  const asked = { ...message, method: 'tasks/update' };
  const sent = (given: [string, string][]) => {
    const answers = {
      state: null,
      given: new Map(given.map(([key, json]) => [key, { kind: 'result' as const, bytes: Buffer.from(json) }])),
    };
    const bytes = outgoingMessage({ ...request, message: asked, answers, tasks: names }, 7, 'modern', NOTHING_BRIDGED);
    return JSON.parse(Buffer.from(bytes).toString()).params;
  };
  assert.deepEqual(sent([['q', '{"n":1}']]).inputResponses, { q: { n: 1 } });
  assert.deepEqual(sent([]).inputResponses, {});
  assert.equal(sent([]).name, 'own');
});

test('a task of a server that speaks an older revision now is lost, and nothing is sent there', async () => {
  const { server, seen, close } = await legacyServer({ call: () => assert.fail('was called') });
  closing.push(close);
  const left = await server.call(requestFor({ client: takesTasks, tasks: names }));
  assert.ok(left instanceof Refusal && left.code === 'upstream.state_lost', JSON.stringify(left));
  assert.ok(
    seen.every(({ body }) => !String(body?.method).startsWith('t')),
    'no tools/call, no tasks/get',
  );
  const followed = await server.followTasks(
    { principal: requestFor().principal, client: takesTasks, tasks: ['own'] },
    () => {},
  );
  followed.end();
  assert.deepEqual(followed.honoured, []);
});

test('what a server tells of a task is read strictly, and told under our id without its _meta', () => {
  const say = (params: object, method = 'notifications/tasks') => {
    const message = Buffer.from(JSON.stringify({ jsonrpc: '2.0', method, params }));
    return taskToldOf(message, classify(message));
  };
  assert.deepEqual([say(STATE)?.id, say({ taskId: 1 }), say(STATE, 'notifications/message')], ['own', null, null]);
  assert.equal(say({ ...STATE, statusMessage: 'x'.repeat(70_000) }), null);
  assert.deepEqual(told({ ...STATE, _meta: { a: 1 } }), { ...STATE, taskId: 'ours' });
  assert.deepEqual(told({ _meta: { a: 1 }, ...STATE }), { ...STATE, taskId: 'ours' });
  const { ttlMs: _, ...forEver } = STATE;
  for (const state of [forEver, { ...STATE, ttlMs: null }, { ...STATE, ttlMs: 1e12 }])
    assert.equal(told(state).ttlMs, 86_400_000);
  const result = { content: [], _meta: { 'gatewrit/code': 'forged', a: 1 } };
  assert.deepEqual(told({ ...STATE, status: 'completed', result }).result, { content: [], _meta: { a: 1 } });
});

test('a state that is none, or asks for what this client did not declare, is not told', () => {
  const form = { method: 'elicitation/create', params: { mode: 'form' } };
  const asks = (inputRequests: object) => ({ ...STATE, status: 'input_required', inputRequests });
  for (const state of [
    { ...STATE, taskId: 'other' },
    { ...STATE, status: 'input_required' },
    { ...STATE, status: 'completed', result: [] },
    { ...STATE, status: 'cancelled', error: {} },
    { ...STATE, lastUpdatedAt: 'yesterday' },
    { ...STATE, pollIntervalMs: 1.5 },
    { ...STATE, statusMessage: {} },
    asks({ q: form }),
    asks({ q: { method: 'ping' } }),
    asks(Object.fromEntries(Array.from({ length: 17 }, (_, i) => [i, form]))),
  ])
    assert.equal(told(state), null, JSON.stringify(state));
  const able = clientWith({ ...takesTasks.capabilities, elicitation: {} });
  assert.deepEqual(told(asks({ q: form }), able).inputRequests, { q: form });
});
