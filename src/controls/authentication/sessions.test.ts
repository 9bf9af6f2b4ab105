import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Client, Message, Principal } from '../../core/call.ts';
import { Refusal } from '../../core/stage.ts';
import { sessionStage } from './session.ts';
import { openSessions, type Place, type SessionsOptions } from './sessions.ts';

const HOUR = 3_600_000;
const NOW = { utc: Date.UTC(2026, 10, 22), mono: 0 };
const FIRST = { kid: 'first', secret: Buffer.alloc(32, 1) };
const SECOND = { kid: 'second key.', secret: Buffer.alloc(32, 2) };
const ALICE = { issuer: 'https://issuer.example', subject: 'alice', client: 'cli', tenant: 'default' };
const HERE: Place = { resource: 'https://gw.example/mcp', principal: ALICE };
const CLIENT: Client = {
  revision: '2025-11-25',
  capabilities: { elicitation: { form: {}, url: {} }, roots: { listChanged: true } },
  name: 'test',
  version: '1',
  logLevel: null,
  session: null,
};

const open = (more: Partial<SessionsOptions> = {}) =>
  openSessions({ seal: [FIRST], lifeMs: HOUR, remembered: 100, ended: 100, ...more });
const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);

test('a sealed session says again what the client said of itself, in any process that has the key', () => {
  const sealed = open().begin(CLIENT, HERE, NOW.utc);
  assert.match(sealed, /^s1\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/);
  for (const sessions of [open(), open({ seal: [SECOND, FIRST] })]) {
    const client = sessions.open(sealed, HERE, NOW.utc + 1) as Client;
    assert.equal(client.session?.expiresAt, NOW.utc + HOUR);
    assert.match(client.session.id, /^[A-Za-z0-9_-]{22}$/);
    assert.deepEqual({ ...client, session: null }, CLIENT);
    assert.equal(sessions.open(sealed, HERE, NOW.utc + 2), client, 'what was opened is remembered');
  }
});

test('a session is nobody else’s, however often its owner has used it', () => {
  const sessions = open();
  const sealed = sessions.begin(CLIENT, HERE, NOW.utc);
  for (let round = 0; round < 2; round++) {
    for (const member of ['issuer', 'subject', 'client'] as const) {
      const other = { ...HERE, principal: { ...ALICE, [member]: 'other' } };
      assert.equal(sessions.open(sealed, other, NOW.utc), 'another principal', member);
    }
    const elsewhere = { ...HERE, resource: 'https://gw.example/mcp/crm' };
    assert.equal(sessions.open(sealed, elsewhere, NOW.utc), 'does not open');
    const tenant = { ...HERE, principal: { ...ALICE, tenant: 'other' } };
    assert.equal(typeof sessions.open(sealed, tenant, NOW.utc), 'string');
    assert.equal(typeof sessions.open(sealed, HERE, NOW.utc), 'object');
  }
});

test('a session ends when its time is over, and when it was ended, also where it is remembered', () => {
  const sessions = open();
  const sealed = sessions.begin(CLIENT, HERE, NOW.utc);
  const { id, expiresAt } = (sessions.open(sealed, HERE, NOW.utc + HOUR - 1) as Client).session!;
  assert.equal(sessions.open(sealed, HERE, NOW.utc + HOUR), 'expired');
  assert.equal(open().open(sealed, HERE, NOW.utc + HOUR), 'expired');
  assert.equal(sessions.end(id, expiresAt, NOW.utc), true);
  assert.equal(sessions.open(sealed, HERE, NOW.utc), 'ended');
});

test('when no more ended sessions can be remembered, none is said to have ended', () => {
  const sessions = open({ ended: 2 });
  assert.equal(sessions.end('a', NOW.utc + 10, NOW.utc), true);
  assert.equal(sessions.end('b', NOW.utc + HOUR, NOW.utc), true);
  assert.equal(sessions.end('c', NOW.utc + HOUR, NOW.utc), false);
  assert.equal(sessions.end('c', NOW.utc + HOUR, NOW.utc + 10), true, 'what has expired makes room');
});

test('a key that is no longer live opens nothing', () => {
  const sealed = open().begin(CLIENT, HERE, NOW.utc);
  assert.equal(open({ seal: [SECOND] }).open(sealed, HERE, NOW.utc), 'unknown key');
  const forged = { kid: 'first', secret: Buffer.alloc(32, 9) };
  assert.equal(open({ seal: [forged] }).open(sealed, HERE, NOW.utc), 'does not open');
});

test('whatever else a client sends as a session id is none, and no exception', () => {
  const sessions = open();
  const sealed = sessions.begin(CLIENT, HERE, NOW.utc);
  const changed = fc.tuple(fc.nat(sealed.length - 1), fc.constantFrom(...'abcXYZ019_-.=~')).map(([at, letter]) => {
    const text = `${sealed.slice(0, at)}${letter}${sealed.slice(at + 1)}`;
    return text === sealed ? '' : text;
  });
  const anything = fc.oneof(changed, fc.string({ maxLength: 3000 }), fc.constant(`${sealed}=`), fc.constant('s1.a.'));
  fc.assert(
    fc.property(anything, (text) => typeof sessions.open(text, HERE, NOW.utc) === 'string'),
    { numRuns: 300 * scale },
  );
});

test('a session id stays below 2 KB, whatever a client says of itself, and keeps what can be acted on', () => {
  const stage = sessionStage(open());
  const sessions = open();
  const initialize = (params: Record<string, unknown>) =>
    ({ method: 'initialize', revision: '2025-03-26', params }) as unknown as Message;
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 500 }),
    fc.constant('"'.repeat(500)),
    fc.constant('😀'.repeat(500)),
  );
  fc.assert(
    fc.property(text, text, fc.object({ maxDepth: 3, maxKeys: 20 }), (name, version, extra) => {
      const capabilities = {
        experimental: { ...extra, padding: 'x'.repeat(1000) },
        elicitation: { form: {}, url: {}, more: 'y'.repeat(500) },
        roots: { listChanged: true },
      };
      const client = stage.run(
        callOf(initialize({ protocolVersion: '2025-11-25', capabilities, clientInfo: { name, version } })),
        NOW,
      ) as Client;
      assert.deepEqual(client.capabilities, { elicitation: { form: {}, url: {} }, roots: { listChanged: true } });
      const sealed = sessions.begin(client, HERE, NOW.utc);
      assert.ok(sealed.length <= 2048, `${sealed.length}`);
      assert.deepEqual({ ...(sessions.open(sealed, HERE, NOW.utc) as Client), session: null }, client);
    }),
    { numRuns: 50 * scale },
  );
});

function callOf(message: Message | undefined, headers: Record<string, string> = {}) {
  return {
    way: 'http',
    head: { headers },
    endpoint: { server: null, resource: HERE.resource, admin: false },
    principal: ALICE as unknown as Principal,
    message,
  } as unknown as Parameters<ReturnType<typeof sessionStage>['run']>[0];
}
const legacy = { method: 'tools/list', revision: '2025-03-26', params: {} } as unknown as Message;

test('initialize settles on the revision that was asked for, or the newest with sessions; never the modern one', () => {
  const stage = sessionStage(open());
  for (const [asked, settled] of [
    ['2025-03-26', '2025-03-26'],
    ['2025-06-18', '2025-06-18'],
    ['2025-11-25', '2025-11-25'],
    ['2026-07-28', '2025-11-25'],
    ['2024-11-05', '2025-11-25'],
    ['1.0', '2025-11-25'],
    [7, '2025-11-25'],
  ]) {
    const message = { method: 'initialize', revision: '2025-03-26', params: { protocolVersion: asked } };
    const client = stage.run(callOf(message as unknown as Message), NOW) as Client;
    assert.equal(client.revision, settled, String(asked));
    assert.deepEqual(client.capabilities, {});
  }
});

test('a legacy request is its session’s, or without one has no capabilities; a session that is none is refused', () => {
  const sessions = open();
  const stage = sessionStage(sessions);
  const sealed = sessions.begin(CLIENT, HERE, NOW.utc);
  const run = (headers: Record<string, string>, message: Message | undefined = legacy) =>
    stage.run(callOf(message, headers), NOW);
  for (const said of [{}, { 'mcp-protocol-version': '2025-11-25' }]) {
    const client = run({ 'mcp-session-id': sealed, ...said }) as Client;
    assert.equal(client.revision, '2025-11-25');
    assert.ok(client.session);
    assert.equal(run({ 'mcp-session-id': sealed, ...said }, undefined), client, 'GET and DELETE alike');
  }
  const other = run({ 'mcp-session-id': sealed, 'mcp-protocol-version': '2025-06-18' });
  assert.ok(other instanceof Refusal && other.code === 'authentication.session');
  const unknown = run({ 'mcp-session-id': 'something' });
  assert.ok(unknown instanceof Refusal && unknown.code === 'authentication.session');
  assert.match(unknown.facts.evidence ?? '', /malformed/);
  const bare = run({}) as Client;
  assert.deepEqual([bare.revision, bare.capabilities, bare.session], ['2025-03-26', {}, null]);
  assert.equal((run({ 'mcp-protocol-version': '2025-06-18' }) as Client).revision, '2025-06-18');
});

test('a modern request says all of itself, and a session it names is not looked at', () => {
  const stage = sessionStage(open());
  const meta = {
    'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
    'io.modelcontextprotocol/clientInfo': { name: `n\u0000\u202e${'a'.repeat(100)}`, version: '2.0' },
    'io.modelcontextprotocol/logLevel': 'warning',
  };
  const message = { method: 'tools/call', revision: '2026-07-28', params: { _meta: meta } } as unknown as Message;
  const client = stage.run(callOf(message, { 'mcp-session-id': 'something' }), NOW) as Client;
  assert.deepEqual(client, {
    revision: '2026-07-28',
    capabilities: { elicitation: {} },
    name: `n${'a'.repeat(63)}`,
    version: '2.0',
    logLevel: 'warning',
    session: null,
  });
});

test('the log level of a session follows what was set last, and ends with it', () => {
  const sessions = open();
  const sealed = sessions.begin(CLIENT, HERE, NOW.utc);
  const now = () => sessions.open(sealed, HERE, NOW.utc) as Client;
  assert.equal(now().logLevel, null);
  sessions.setLevel(now().session!.id, 'debug');
  assert.equal(now().logLevel, 'debug');
  sessions.setLevel(now().session!.id, 'error');
  assert.equal(now().logLevel, 'error');
});

test('what is remembered is bounded, and forgetting it costs nobody his session', () => {
  const sessions = open({ remembered: 4 });
  const many = Array.from({ length: 20 }, () => sessions.begin(CLIENT, HERE, NOW.utc));
  const ids = new Set<string>();
  for (let round = 0; round < 2; round++)
    for (const sealed of many) ids.add((sessions.open(sealed, HERE, NOW.utc) as Client).session!.id);
  assert.equal(ids.size, many.length);
});
