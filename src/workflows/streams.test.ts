import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { ChangingList } from '../controls/registry/index.ts';
import type { Call, Principal, Revision, Target } from '../core/call.ts';
import { silentLog } from '../core/log.ts';
import { Refusal } from '../core/stage.ts';
import { ListChanges } from './list-changes.ts';
import type { Subscription } from './open-stream.ts';
import { openStreams, type StreamsPorts } from './streams.ts';

const START = 1_790_000_000_000;
const settled = () => pause(2);
/** A pending stream alone keeps no process alive; its tests have to. */
const keep = setInterval(() => {}, 1_000);
after(() => clearInterval(keep));

type ListenCall = Parameters<ReturnType<typeof openStreams>['stages']['listen']['run']>[0];

interface Shape {
  readonly revision?: Revision;
  readonly session?: string | null;
  readonly params?: object;
  readonly id?: string;
  readonly principal?: Partial<Principal>;
  readonly stream?: boolean;
  readonly method?: string;
  readonly name?: string;
}

function called({ revision = '2026-07-28', session = null, params = {}, id = '"L1"', ...shape }: Shape = {}) {
  const sent: { method: string; params: Record<string, unknown> }[] = [];
  const abort = new AbortController();
  const bytes = Buffer.from(id);
  const call = {
    id: 'c1',
    signal: abort.signal,
    events:
      shape.stream === false ? null : (message: Uint8Array) => sent.push(JSON.parse(Buffer.from(message).toString())),
    endpoint: { server: null, resource: 'https://localhost/mcp', admin: false },
    principal: { key: 'alice', tenant: 'default', expiresAt: START + 3_600_000, ...shape.principal },
    client: { revision, session: session === null ? null : { id: session, expiresAt: START + 3_600_000 } },
    message: {
      method: shape.method ?? 'subscriptions/listen',
      name: shape.name ?? '',
      params,
      bytes,
      spans: { id: { start: 0, end: bytes.length } },
    },
  } as unknown as Call as ListenCall;
  return { call, sent, abort };
}

/** Two servers; what is visible on them can be changed. */
function streams(more: Partial<StreamsPorts> = {}) {
  const changes = new ListChanges(5);
  const lists = new Map<string, Map<ChangingList, string>>([
    [
      'shop',
      new Map([
        ['tools', 't1'],
        ['resources', 'r1'],
      ]),
    ],
    ['bank', new Map()],
  ]);
  const subscribed: { server: string; resources: readonly string[]; tell: (uri: string) => void; ended: boolean }[] =
    [];
  const visible = new Set(['shop://a', 'shop://b', 'shop://a/part']);
  const records: Readonly<Record<string, unknown>>[] = [];
  const held = { now: 0 };
  const opened = openStreams({
    changes,
    judge: (_call, message) => message,
    judgeList: (_call, message) => message,
    targetOf: (_call, uri) => (visible.has(uri) ? ({ server: uri.split(':')[0] } as Target) : null),
    allows: () => null,
    outline: (_call, server) => new Map(lists.get(server)),
    servers: () => [...lists.keys()],
    async subscribe(server, { resources }, onEvent) {
      const tell = (uri: string) =>
        onEvent(Buffer.from(`{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"${uri}"}}`));
      const one = { server, resources, tell, ended: false };
      subscribed.push(one);
      const end = () => {
        one.ended = true;
      };
      return { honoured: resources, end } satisfies Subscription;
    },
    hold: () => {
      held.now++;
      return { release: () => held.now-- };
    },
    record: async (_call, meta) => void records.push(meta),
    tasks: {
      taskAt: () => null,
      decide: () => new Refusal('authorization.denied'),
      follow: async () => null,
      stateFor: () => null,
      record: async () => {},
    },
    clock: () => ({ utc: START, mono: 0 }),
    log: silentLog,
    ...more,
  });
  return { ...opened, changes, lists, subscribed, visible, records, held };
}

const NOW = { utc: START, mono: 0 };
const ID = 'io.modelcontextprotocol/subscriptionId';
const codeOf = (left: unknown) => (left instanceof Refusal ? left.code : left instanceof Promise ? 'open' : 'answered');
const textOf = (left: unknown) => Buffer.from((left as { bytes: Uint8Array }).bytes).toString();

test('the first message says what is honoured, every message names its listen, and nothing else is told', async () => {
  const { stages, changes, lists, subscribed, records, held, drain } = streams();
  const notifications = {
    toolsListChanged: true,
    promptsListChanged: false,
    resourceSubscriptions: ['shop://a', 'shop://hidden', 'shop://a'],
    taskIds: ['t'],
    unheardOf: true,
  };
  const { call, sent } = called({ params: { notifications }, id: '9007199254740993' });
  const reply = stages.listen.run(call, NOW);
  assert.equal(codeOf(reply), 'open');
  await settled();
  assert.deepEqual(records[0]?.['lists'], ['tools']);
  assert.equal(held.now, 1);
  assert.equal(sent.length, 1);
  assert.equal(sent[0]!.method, 'notifications/subscriptions/acknowledged');
  assert.deepEqual(sent[0]!.params['notifications'], { toolsListChanged: true, resourceSubscriptions: ['shop://a'] });
  lists.get('shop')!.set('tools', 't2').set('resources', 'r2');
  changes.tell('shop');
  subscribed[0]!.tell('shop://a');
  subscribed[0]!.tell('shop://b');
  assert.deepEqual(
    sent.slice(1).map(({ method, params }) => [method, params['uri']]),
    [
      ['notifications/tools/list_changed', undefined],
      ['notifications/resources/updated', 'shop://a'],
    ],
  );
  for (const { params } of sent) assert.deepEqual(Object.keys(params['_meta'] as object), [ID]);
  drain();
  const end = textOf(await reply);
  assert.equal(end, `{"resultType":"complete","_meta":{"${ID}":9007199254740993}}`, 'the id as it was written');
  assert.equal(subscribed[0]!.ended, true);
  assert.equal(held.now, 0);
  changes.tell('shop');
  subscribed[0]!.tell('shop://a');
  assert.equal(sent.length, 3, 'nothing is sent after the end');
  assert.equal(codeOf(stages.listen.run(called({ params: { notifications } }).call, NOW)), 'transport.draining');
});

test('nobody is told of a server he finds nothing of, or of a change he cannot find', async () => {
  const { stages, changes, lists, drain } = streams();
  const all = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };
  const { call, sent } = called({ params: { notifications: all } });
  const reply = stages.listen.run(call, NOW);
  await settled();
  sent.length = 0;
  changes.tell('shop');
  changes.noticed('bank', 'tools');
  changes.tell('bank');
  assert.equal(sent.length, 0);
  changes.noticed('shop', 'tools');
  changes.looked('shop');
  assert.deepEqual(
    sent.map(({ method }) => method),
    ['notifications/tools/list_changed'],
    'the server said so, and this caller uses something of it',
  );
  lists.get('bank')!.set('prompts', 'p1');
  changes.changed('bank');
  await pause(20);
  assert.equal(sent.at(-1)?.method, 'notifications/prompts/list_changed');
  drain();
  await reply;
});

test('a server that is looked at anew is told of once, when the look has ended', async () => {
  const changes = new ListChanges(10_000);
  const told: [string, ChangingList[]][] = [];
  changes.listen((server, noticed) => told.push([server, [...noticed]]));
  changes.noticed('shop', 'tools');
  changes.noticed('shop', 'prompts');
  changes.changed('shop');
  changes.changed('shop');
  assert.deepEqual(told, []);
  changes.looked('shop');
  changes.looked('shop');
  assert.deepEqual(told, [['shop', ['tools', 'prompts']]]);
  changes.noticed('shop');
  changes.close();
});

test('a listen without anything that can be heard is acknowledged and ends', async () => {
  const { stages, held } = streams();
  const { call, sent } = called({ params: { notifications: { resourceSubscriptions: ['shop://hidden'] } } });
  assert.match(textOf(await stages.listen.run(call, NOW)), /^\{"resultType":"complete"/);
  assert.deepEqual(
    sent.map(({ params }) => params['notifications']),
    [{}],
  );
  assert.equal(held.now, 0);
});

test('a client that leaves, a credential that ends and an event that is judged so end the stream', async () => {
  const { stages, held, subscribed } = streams();
  const notifications = { toolsListChanged: true, resourceSubscriptions: ['shop://a'] };
  const left = called({ params: { notifications } });
  const one = stages.listen.run(left.call, NOW);
  await settled();
  left.abort.abort();
  await one;
  const short = called({ params: { notifications }, principal: { expiresAt: START + 15 } });
  const begun = performance.now();
  await stages.listen.run(short.call, NOW);
  assert.ok(performance.now() - begun < 2_000);
  assert.equal(held.now, 0);
  assert.deepEqual(
    subscribed.map(({ ended }) => ended),
    [true, true],
  );
  const expired = streams({ judgeList: () => 'authentication.expired' });
  const third = called({ params: { notifications } });
  const reply = expired.stages.listen.run(third.call, NOW);
  await settled();
  expired.changes.noticed('shop');
  expired.changes.tell('shop');
  await reply;
  assert.equal(third.sent.length, 1, 'only the acknowledgement');
});

test('who may see a resource is judged at each event, and only its own server may speak of it', async () => {
  const { stages, subscribed, visible, drain } = streams();
  const two = { notifications: { resourceSubscriptions: ['shop://a', 'shop://b'] } };
  const { call, sent, abort } = called({ params: two });
  const reply = stages.listen.run(call, NOW);
  await settled();
  sent.length = 0;
  const [{ tell } = assert.fail()] = subscribed;
  visible.delete('shop://b');
  tell('shop://b');
  tell('bank://a');
  tell('shop://a/part');
  tell('shop://a/hidden');
  tell('shop://ab');
  assert.deepEqual(
    sent.map(({ params }) => params['uri']),
    ['shop://a/part'],
  );
  abort.abort();
  await reply;
  visible.add('bank://x');
  const both = called({ params: { notifications: { resourceSubscriptions: ['shop://a', 'bank://x'] } } });
  const again = stages.listen.run(both.call, NOW);
  await settled();
  both.sent.length = 0;
  const bank = subscribed.find(({ server }) => server === 'bank')!;
  bank.tell('shop://a');
  bank.tell('bank://x');
  assert.deepEqual(
    both.sent.map(({ params }) => params['uri']),
    ['bank://x'],
  );
  drain();
  await again;
});

test('what an upstream says of addresses is counted before policy is asked about each of them', async () => {
  let asked = 0;
  let budget = 3;
  const { stages, subscribed } = streams({
    targetOf: () => ({ server: 'shop' }) as Target,
    judge: (_call, message) => (budget-- > 0 ? message : 'limits.exceeded'),
    allows: (_call, _target, uri) => {
      asked++;
      return uri.endsWith('/1') ? new Refusal('authorization.denied') : null;
    },
  });
  const { call, sent, abort } = called({ params: { notifications: { resourceSubscriptions: ['shop://a'] } } });
  const ended = stages.listen.run(call, NOW);
  await settled();
  asked = 0;
  for (let i = 0; i < 1_000; i++) subscribed[0]!.tell(`shop://a/${i}`);
  assert.equal(asked, 3, 'a server can make up as many as it likes');
  const told = sent.filter(({ method }) => method === 'notifications/resources/updated');
  assert.deepEqual(
    told.map(({ params }) => params['uri']),
    ['shop://a/0', 'shop://a/2'],
    'and what may not be read is not told',
  );
  abort.abort();
  await ended;
});

test('an upstream that speaks too early is heard after the acknowledgement, one that cannot be subscribed to is not honoured', async () => {
  const early = streams({
    async subscribe(_server, { resources }, onEvent) {
      for (let i = 0; i < 200; i++)
        onEvent(
          Buffer.from('{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"shop://a"}}'),
        );
      return { honoured: resources, end: () => {} };
    },
  });
  const first = called({ params: { notifications: { resourceSubscriptions: ['shop://a'] } } });
  const reply = early.stages.listen.run(first.call, NOW);
  await settled();
  assert.equal(first.sent[0]!.method, 'notifications/subscriptions/acknowledged');
  assert.equal(first.sent.length, 65, 'what waits for the acknowledgement is bounded');
  early.drain();
  await reply;
  for (const subscribe of [async () => null, () => Promise.reject(new Error('gone'))]) {
    const deaf = streams({ subscribe });
    const second = called({ params: { notifications: { resourceSubscriptions: ['shop://a'] } } });
    await deaf.stages.listen.run(second.call, NOW);
    assert.deepEqual(second.sent[0]!.params['notifications'], {});
  }
});

test('what is no filter is refused, and so is whoever cannot read a stream or holds too many', async () => {
  const { stages, held } = streams();
  const refused: [Shape, string][] = [
    [{ params: {} }, 'validation.params'],
    [{ params: { notifications: [] } }, 'validation.params'],
    [{ params: { notifications: { resourceSubscriptions: 'shop://a' } } }, 'validation.params'],
    [{ params: { notifications: { resourceSubscriptions: [1] } } }, 'validation.params'],
    [{ params: { notifications: { resourceSubscriptions: Array(65).fill('shop://a') } } }, 'validation.params'],
    [{ params: { notifications: { resourceSubscriptions: ['x'.repeat(8_193)] } } }, 'validation.params'],
    [{ params: { notifications: {} }, stream: false }, 'transport.not_acceptable'],
    [{ params: { notifications: {} }, revision: '2025-11-25', session: 's1' }, 'validation.method'],
  ];
  for (const [shape, code] of refused) assert.equal(codeOf(stages.listen.run(called(shape).call, NOW)), code);
  assert.equal(held.now, 0);
  const full = streams({ hold: () => new Refusal('limits.streams') });
  const { call } = called({ params: { notifications: { toolsListChanged: true } } });
  assert.equal(codeOf(full.stages.listen.run(call, NOW)), 'limits.streams');
  const unrecorded = streams({ record: () => Promise.reject(new Error('disk full')) });
  assert.equal(codeOf(await unrecorded.stages.listen.run(call, NOW)), 'audit.unavailable');
  assert.equal(unrecorded.held.now, 0);
});

const LEGACY = { revision: '2025-11-25', session: 's1' } as const;
const subscribing = (uri: string, more: Shape = {}) =>
  called({ ...LEGACY, method: 'resources/subscribe', name: uri, ...more }).call as never;

test('a session hears on its GET stream of every list and of what it subscribed to, before or after', async () => {
  const { stages, changes, lists, subscribed, drain } = streams();
  assert.equal(textOf(stages.subscribed.run(subscribing('shop://a'), NOW)), '{"resultType":"complete"}');
  const { call, sent } = called(LEGACY);
  const reply = stages.opened.run(call, NOW);
  await settled();
  assert.equal(sent.length, 0, 'nothing but events');
  await stages.subscribed.run(subscribing('shop://b'), NOW);
  assert.deepEqual(
    subscribed.map(({ resources }) => resources),
    [['shop://a'], ['shop://b']],
  );
  for (const { tell, resources } of subscribed) tell(resources[0]!);
  lists.get('shop')!.set('tools', 't2');
  changes.tell('shop');
  assert.deepEqual(sent as unknown, [
    { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'shop://a' } },
    { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'shop://b' } },
    { jsonrpc: '2.0', method: 'notifications/tools/list_changed' },
  ]);
  await stages.subscribed.run(subscribing('shop://a', { method: 'resources/unsubscribe' }), NOW);
  assert.equal(subscribed[0]!.ended, true);
  subscribed[0]!.tell('shop://a');
  assert.equal(sent.length, 3);
  drain();
  assert.equal(((await reply) as { status: number }).status, 202);
});

test('each message goes out on one stream: a newer GET of the session takes over, another session hears nothing of it', async () => {
  const { stages, changes, held, subscribed, drain } = streams();
  await stages.subscribed.run(subscribing('shop://a'), NOW);
  const [old, other] = [called(LEGACY), called({ ...LEGACY, session: 's2' })];
  const first = stages.opened.run(old.call, NOW);
  const foreign = stages.opened.run(other.call, NOW);
  const fresh = called(LEGACY);
  const second = stages.opened.run(fresh.call, NOW);
  await first;
  await settled();
  assert.equal(held.now, 2);
  subscribed.at(-1)!.tell('shop://a');
  changes.noticed('shop', 'tools');
  changes.tell('shop');
  assert.equal(old.sent.length, 0);
  assert.equal(fresh.sent.length, 2);
  assert.equal(other.sent.length, 1, 'lists are for every session');
  drain();
  await Promise.all([second, foreign]);
});

test('a session that opened a newer GET stream, with nothing subscribed yet, hears on it of what it subscribes to then', async () => {
  const { stages, subscribed, drain } = streams();
  const first = stages.opened.run(called(LEGACY).call, NOW);
  const fresh = called(LEGACY);
  const second = stages.opened.run(fresh.call, NOW);
  await first;
  await stages.subscribed.run(subscribing('shop://a'), NOW);
  assert.deepEqual(
    subscribed.map(({ resources }) => resources),
    [['shop://a']],
  );
  subscribed[0]!.tell('shop://a');
  assert.equal(fresh.sent.length, 1);
  drain();
  await second;
});

test('who may not read a resource does not subscribe to it', async () => {
  const { stages, subscribed } = streams({ allows: () => new Refusal('authorization.insufficient_scope') });
  assert.equal(codeOf(stages.subscribed.run(subscribing('shop://a'), NOW)), 'authorization.insufficient_scope');
  const { call, abort } = called(LEGACY);
  const reply = stages.opened.run(call, NOW);
  await settled();
  assert.deepEqual(subscribed, []);
  abort.abort();
  await reply;
});

test('a session of another principal with the same name has its own subscriptions', async () => {
  const { stages, subscribed, drain } = streams();
  await stages.subscribed.run(subscribing('shop://a'), NOW);
  const { call } = called({ ...LEGACY, principal: { key: 'bob' } });
  const reply = stages.opened.run(call, NOW);
  await settled();
  assert.deepEqual(subscribed, []);
  drain();
  await reply;
});

test('subscriptions are bounded for a session and for a principal, and cost nobody else', async () => {
  const visible = (uri: string) => uri.startsWith('shop://');
  const { stages } = streams({
    targetOf: (_call, uri) => (visible(uri) ? ({ server: 'shop' } as Target) : null),
  });
  const add = (uri: string, session = 's1', key = 'alice') =>
    codeOf(stages.subscribed.run(subscribing(uri, { session, principal: { key } }), NOW));
  for (let i = 0; i < 64; i++) assert.equal(add(`shop://${i}`), 'answered');
  assert.equal(add('shop://64'), 'limits.streams');
  assert.equal(add('shop://1'), 'answered', 'what it has already');
  for (let i = 0; i < 50; i++) assert.equal(add('shop://a', `more-${i}`), 'answered');
  assert.equal(add('shop://64', 's1', 'bob'), 'answered');
  assert.equal(add('shop://64'), 'answered', 'his own oldest sessions were forgotten');
});

test('nothing is remembered of a session that was ended: however many come and go, the next one can subscribe', async () => {
  const { stages, sessionEnded } = streams();
  const come = (key: string) =>
    codeOf(stages.subscribed.run(subscribing('shop://a', { session: 's1', principal: { key } }), NOW));
  const go = (key: string) => sessionEnded({ key } as Principal, 's1');
  for (let i = 0; i < 5_000; i++) {
    assert.equal(come(`caller-${i}`), 'answered', `${i}`);
    go(`caller-${i}`);
  }
  go('nobody');
});

test('a modern or sessionless client finds no GET stream and no resources/subscribe', () => {
  const { stages } = streams();
  for (const shape of [
    { revision: '2026-07-28', session: 's1' },
    { revision: '2025-11-25', session: null },
  ] as const) {
    assert.equal(codeOf(stages.opened.run(called(shape).call, NOW)), 'transport.method');
    assert.equal(codeOf(stages.subscribed.run(called(shape).call as never, NOW)), 'validation.method');
  }
});
