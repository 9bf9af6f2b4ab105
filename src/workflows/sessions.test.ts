import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSessions, type Place } from '../controls/authentication/index.ts';
import type { Call, Client, Message, Reply, Result } from '../core/call.ts';
import { InFlight } from '../core/in-flight.ts';
import { scanMessage } from '../core/mcp/scanner.ts';
import { Refusal } from '../core/stage.ts';
import { resumable } from './resuming.ts';
import { sessionStages, TAKEN } from './sessions.ts';

const NOW = { utc: Date.UTC(2026, 10, 22), mono: 0 };
const PRINCIPAL = { issuer: 'https://issuer.example', subject: 'alice', client: '', tenant: 'default', key: 'alice' };
const PLACE: Place = { resource: 'https://gw.example/mcp', principal: PRINCIPAL };
const INFO = { name: 'gatewrit', version: '0' };
const OFFERED = {
  resultType: 'complete',
  supportedVersions: ['2026-07-28'],
  capabilities: { tools: { listChanged: true } },
  instructions: 'Words of ours.',
  ttlMs: 1,
  _meta: { 'io.modelcontextprotocol/serverInfo': INFO },
};

function bench() {
  const sessions = openSessions({
    seal: [{ kid: 'k', secret: Buffer.alloc(32, 7) }],
    lifeMs: 1000,
    remembered: 10,
    ended: 10,
  });
  const inFlight = new InFlight();
  const ended: string[] = [];
  const stages = sessionStages({
    sessions,
    inFlight,
    onEnded: (session) => ended.push(session),
    discover: () => JSON.stringify(OFFERED),
  });
  return { sessions, inFlight, stages, ended };
}

const client = (session: string | null): Client => ({
  revision: '2025-11-25',
  capabilities: {},
  name: '',
  version: '',
  logLevel: null,
  session: session === null ? null : { id: session, expiresAt: NOW.utc + 1000 },
});

let count = 0;
/** A call that has come as far as its client; `text` is its message. */
function callOf(text: string | null, session: string | null, more: Partial<Call> & { method?: string } = {}) {
  const abort = new AbortController();
  const { method = 'POST', ...rest } = more;
  return {
    id: `call-${count++}`,
    head: { method, headers: {} },
    endpoint: { server: null, resource: PLACE.resource, admin: false },
    principal: PRINCIPAL,
    client: client(session),
    message: text === null ? undefined : messageOf(text),
    signal: abort.signal,
    cancel: () => abort.abort(),
    events: null,
    ...rest,
  } as unknown as Call & Parameters<ReturnType<typeof sessionStages>['local']['run']>[0];
}

function messageOf(text: string): Message {
  const bytes = Buffer.from(text);
  const spans = scanMessage(bytes);
  assert.ok(typeof spans !== 'string', String(spans));
  const { id = null, method = '', params = {} } = JSON.parse(text) as Partial<Message>;
  const kind = id === null ? 'notification' : 'request';
  return { revision: '2025-11-25', kind, method, id, name: '', params, bytes, spans } as unknown as Message;
}

test('initialize offers what discovery offers, and begins a session that opens for its own principal', () => {
  const { sessions, stages } = bench();
  const call = callOf('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}', null);
  const { bytes } = stages.local.run(call, NOW) as Result;
  assert.deepEqual(JSON.parse(Buffer.from(bytes).toString()), {
    protocolVersion: '2025-11-25',
    capabilities: { tools: { listChanged: true }, logging: {} },
    serverInfo: INFO,
    instructions: 'Words of ours.',
  });
  const opened = sessions.open(call.opened!, PLACE, NOW.utc) as Client;
  assert.equal(opened.revision, '2025-11-25');
});

test('ping is answered; a log level is kept for the session and no other; one that is none is refused', () => {
  const { sessions, stages } = bench();
  const opened = () => {
    const sealed = sessions.begin(client(null), PLACE, NOW.utc);
    return () => sessions.open(sealed, PLACE, NOW.utc) as Client;
  };
  const [mine, other] = [opened(), opened()];
  const run = (text: string, who: Client = mine()) => stages.local.run(callOf(text, null, { client: who }), NOW);
  const level = (text: string) => `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":${text}}}`;
  assert.equal(Buffer.from((run('{"jsonrpc":"2.0","id":1,"method":"ping"}') as Result).bytes).toString(), '{}');
  assert.equal(Buffer.from((run(level('"warning"')) as Result).bytes).toString(), '{}');
  assert.deepEqual([mine().logLevel, other().logLevel], ['warning', null]);
  for (const wrong of ['"loud"', '7', 'null', '"__proto__"']) {
    const refusal = run(level(wrong)) as Refusal;
    assert.equal(refusal.code, 'validation.params', wrong);
  }
  assert.ok(!(run(level('"info"'), client(null)) instanceof Refusal), 'without a session it is taken and does nothing');
});

test('a cancellation ends the request it names, and only in its own session of its own principal', () => {
  const { inFlight, stages } = bench();
  const request = (id: string, session: string | null, more: Partial<Call> = {}, method = 'tools/call') => {
    const call = callOf(`{"jsonrpc":"2.0","id":${id},"method":"${method}"}`, session, more);
    inFlight.enter(call);
    return call;
  };
  const mallory = { principal: { ...PRINCIPAL, key: 'mallory' } } as unknown as Partial<Call>;
  const calls = {
    seven: request('7', 'a'),
    text: request('"7"', 'a'),
    escaped: request('"\\u0061b"', 'a'),
    large: request('9007199254740993', 'a'),
    larger: request('9007199254740992', 'a'),
    otherSession: request('7', 'b'),
    otherPrincipal: request('7', 'a', mallory),
    sessionless: request('7', null),
    initialize: request('8', 'a', {}, 'initialize'),
  };
  const cancel = (id: string, session: string | null = 'a') => {
    const notice = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"x","requestId":${id}}}`;
    assert.equal(stages.notified.run(callOf(notice, session), NOW), TAKEN);
    return Object.entries(calls).flatMap(([name, call]) => (call.signal.aborted ? [name] : []));
  };
  assert.deepEqual(cancel('99'), []);
  assert.deepEqual(cancel('7', null), []);
  assert.deepEqual(cancel('8'), []);
  assert.deepEqual(cancel('{"a":7}'), []);
  assert.deepEqual(cancel('7'), ['seven']);
  assert.deepEqual(cancel('"ab"'), ['seven', 'escaped']);
  assert.deepEqual(cancel('9007199254740993'), ['seven', 'escaped', 'large']);
  assert.equal(stages.notified.run(callOf('{"jsonrpc":"2.0","method":"notifications/initialized"}', 'a'), NOW), TAKEN);
});

test('DELETE ends the session, its streams and what waits for its client, not its calls; without room to remember it, it ends nothing', () => {
  const { inFlight, sessions, stages, ended } = bench();
  const stream = callOf(null, 'a', { method: 'GET' });
  const other = callOf(null, 'b', { method: 'GET' });
  const running = callOf('{"jsonrpc":"2.0","id":1,"method":"tools/call"}', 'a');
  for (const call of [stream, other, running]) inFlight.enter(call);
  assert.equal((stages.ended.run(callOf(null, 'a', { method: 'DELETE' }), NOW) as Reply).status, 200);
  assert.deepEqual(
    [stream, other, running].map((call) => call.signal.aborted),
    [true, false, false],
  );
  for (let i = 0; i < 9; i++) sessions.end(`other-${i}`, NOW.utc + 1000, NOW.utc);
  for (const session of ['b', null]) {
    const refusal = stages.ended.run(callOf(null, session, { method: 'DELETE' }), NOW) as Refusal;
    assert.equal(refusal.code, 'transport.method');
  }
  assert.equal(other.signal.aborted, false);
  assert.deepEqual(ended, ['a']);
  assert.equal(sessions.isOver({ id: 'a', expiresAt: NOW.utc + 1000 }, NOW.utc), true);
  assert.equal(sessions.isOver({ id: 'b', expiresAt: NOW.utc + 1000 }, NOW.utc), false);
  assert.equal(sessions.isOver({ id: 'b', expiresAt: NOW.utc }, NOW.utc), true);
});

test('a GET without a session has no stream; one that names an earlier event gets the rest of that stream alone', async () => {
  const log: string[] = [];
  const stage = resumable({
    name: 'streams.opened',
    leaves: 'reply',
    run: () => {
      log.push('opened');
      return Promise.resolve(TAKEN);
    },
  });
  const call = (session: string | null, rest: Promise<void> | null) =>
    callOf(null, session, {
      method: 'GET',
      events: () => {},
      stream: { resume: () => rest, begin: () => {} },
    } as Partial<Call>);
  const refusal = stage.run(call(null, null), NOW) as Refusal;
  assert.equal(refusal.code, 'transport.method');
  assert.equal(await stage.run(call('a', Promise.resolve()), NOW), TAKEN);
  assert.deepEqual(log, []);
  assert.equal(await stage.run(call('a', null), NOW), TAKEN);
  assert.deepEqual(log, ['opened']);
});
