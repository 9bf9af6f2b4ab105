import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { request } from 'undici';
import { type Answer, wordOf } from '../../examples/quickstart/tour/gateway.ts';
import { bare } from './bare.ts';
import { type Quickstart, READ } from './quickstart.ts';
import { recordsOf } from './recorded.ts';
import { STATE, startTasks, TASKS, TaskUpstream } from './task-upstream.ts';

const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const VERSION = 'io.modelcontextprotocol/protocolVersion';
const SECRET = 'AKIAIOSFODNN7EXAMPLE';
const POLICY = `
@id("not-too-much")
@public("Not more than 100.")
forbid (principal, action == Action::"call_tool", resource == Target::"demo/work")
when { context has arguments && context.arguments has amount && context.arguments.amount > 100 };

@id("small-where-asked")
@obligation("cap")
@bytes("2000")
permit (principal, action == Action::"call_tool", resource == Target::"demo/work")
when { context.arguments has capped && context.arguments.capped };

@id("barred")
forbid (principal in Group::"barred", action, resource);
`;

let demo: TaskUpstream;
let other: TaskUpstream;
let quickstart: Quickstart;
let bob: string;

before(async () => {
  [demo, other] = [await TaskUpstream.start(), await TaskUpstream.start()];
  quickstart = await startTasks({ demo, other }, { policy: { '40-tasks.cedar': POLICY } });
  bob = await quickstart.token('bob', READ);
});
after(async () => {
  await quickstart?.close();
  await demo?.close();
  await other?.close();
});

interface From {
  readonly token?: string;
  readonly capabilities?: object;
  readonly url?: string;
}
const DECLARES = { elicitation: { form: {} }, extensions: { [TASKS]: { mine: true } } };

function rpc(
  method: string,
  params: object,
  { token = bob, capabilities = DECLARES, url }: From = {},
): Promise<Answer> {
  const { taskId } = params as { taskId?: string };
  return quickstart.gateway.rpc(method, { ...params, _meta: { [CAPABILITIES]: capabilities } }, token, {
    ...(taskId === undefined ? {} : { headers: { 'mcp-name': taskId } }),
    ...(url === undefined ? {} : { url }),
  });
}
const call = (args: object, from: From = {}, name = 'demo__work') => rpc('tools/call', { name, arguments: args }, from);
const get = (taskId: string, from: From = {}) => rpc('tasks/get', { taskId }, from);

/** How often the server heard of tasks; it is also asked for its lists again and again. */
const ofTasks = () => demo.arrived.filter(({ method }) => method.startsWith('tasks/')).length;

let serial = 0;
/** Begins a task that the upstream knows under `own`. */
async function begin(args: object = {}, from: From = {}, name?: string): Promise<{ id: string; own: string }> {
  const own = `task-${++serial}`;
  const { json, text } = await call({ task: own, ...args }, from, name);
  assert.equal(json.result?.['resultType'], 'task', text);
  return { id: String(json.result?.['taskId']), own };
}

const FORM = {
  method: 'elicitation/create',
  params: {
    mode: 'form',
    message: 'Which?',
    requestedSchema: { type: 'object', properties: { a: { type: 'string' } } },
  },
};

describe('a task', () => {
  test('is begun, asked after, answered and cancelled: the server hears its own id, the client only ours', async () => {
    const { id, own } = await begin({ task: 'T/1', state: { ttlMs: null } }).then((one) => ({ ...one, own: 'T/1' }));
    assert.ok(!Buffer.from(id, 'base64url').toString('latin1').includes(own));
    assert.deepEqual(demo.of('tools/call').at(-1)?.params._meta?.[CAPABILITIES], {
      elicitation: { form: {} },
      extensions: { [TASKS]: {} },
    });
    demo.states.set(own, { taskId: own, ...STATE, ttlMs: null, status: 'input_required', inputRequests: { q: FORM } });
    const asked = await get(id);
    assert.deepEqual(bare(asked.json.result), {
      ...{ resultType: 'complete', taskId: id, ...STATE, ttlMs: 86_400_000 },
      ...{ status: 'input_required', inputRequests: { q: FORM } },
    });
    const inputResponses = { q: { action: 'accept', content: { a: 'b' } } };
    const done = [await rpc('tasks/update', { taskId: id, inputResponses }), await rpc('tasks/cancel', { taskId: id })];
    for (const { json } of done)
      assert.deepEqual(bare(json.result), { resultType: 'complete' }, 'an acknowledgement holds nothing');
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      const [sent, ...more] = demo.of(method);
      assert.equal(more.length, 0);
      assert.equal(sent?.params['taskId'], own);
      assert.equal(sent?.headers['mcp-name'], own);
      assert.equal(sent?.headers['mcp-method'], method);
    }
    const { _meta, ...updated } = demo.of('tasks/update')[0]!.params;
    assert.deepEqual(updated, { taskId: own, inputResponses });
  });

  test('is in discovery, and nothing of it for who does not declare the extension', async () => {
    const extensions = async (token: string) => {
      const { json } = await rpc('server/discover', {}, { token });
      return (json.result?.['capabilities'] as { extensions?: object } | undefined)?.extensions;
    };
    assert.deepEqual(await extensions(bob), { [TASKS]: {} });
    assert.equal(await extensions(await quickstart.token('bob', READ, { groups: ['barred'] })), undefined);
    const { id } = await begin();
    const before = ofTasks();
    for (const params of [{ taskId: id }, { taskId: 'nothing' }]) {
      for (const [method, more] of [
        ['tasks/get', {}],
        ['tasks/update', { inputResponses: {} }],
        ['tasks/cancel', {}],
      ] as const) {
        const { status, json } = await rpc(method, { ...params, ...more }, { capabilities: {} });
        assert.deepEqual([status, json.error?.code], [400, -32021]);
        assert.deepEqual(json.error?.data?.['requiredCapabilities'], { extensions: { [TASKS]: {} } });
      }
    }
    assert.equal(ofTasks(), before);
    const { json } = await call({ task: 'x' }, { capabilities: {} });
    assert.equal(json.result?.['resultType'], 'complete');
    assert.deepEqual(demo.of('tools/call').at(-1)?.params._meta?.[CAPABILITIES], {}, 'nothing was declared for it');
  });

  test('of a server that begins one where nobody declared it, or in a form nobody knows, is no answer', async () => {
    const task = { resultType: 'task', taskId: 't', ...STATE };
    const cases: [object, object][] = [
      [task, {}],
      [{ ...task, result: { content: [] } }, DECLARES],
      [{ ...task, taskId: '' }, DECLARES],
      [{ ...task, taskId: 'x'.repeat(1_100) }, DECLARES],
      [{ ...task, status: 'thinking' }, DECLARES],
      [{ ...task, ttlMs: -1 }, DECLARES],
      [{ ...task, createdAt: '<b>' }, DECLARES],
    ];
    for (const [raw, capabilities] of cases) {
      const answer = await call({ raw }, { capabilities });
      assert.equal(wordOf(answer), 'UPSTREAM_PROTOCOL', `${JSON.stringify(raw)}: ${answer.text}`);
    }
    const { id, own } = await begin();
    const fine = { taskId: own, ...STATE };
    for (const state of [
      { ...fine, taskId: 'another' },
      { ...fine, status: 'completed' },
      { ...fine, result: {} },
      { ...fine, status: 'failed', error: 'text' },
      { ...fine, status: 'input_required', inputRequests: { q: { method: 'tasks/list' } } },
    ]) {
      demo.states.set(own, state);
      const answer = await get(id);
      assert.equal(wordOf(answer), 'UPSTREAM_PROTOCOL', `${JSON.stringify(state)}: ${answer.text}`);
    }
  });

  test('of somebody else, changed, expired, at another endpoint, of a hidden tool: as if it never was', async () => {
    const { id } = await begin();
    const short = await begin({ state: { ttlMs: 150 } });
    const elsewhere = `${quickstart.gateway.ready.mcp}/demo`;
    const ofServer = await quickstart.token('bob', READ, { audience: elsewhere });
    await pause(200);
    const changed = `${id.slice(0, 90)}${id[90] === 'A' ? 'B' : 'A'}${id.slice(91)}`;
    const alice = await quickstart.token('alice', READ);
    const barred = await quickstart.token('bob', READ, { groups: ['barred'] });
    const before = ofTasks();
    const tries: [string, string, From][] = [
      ['never was', 'no-such-task', {}],
      ['somebody else', id, { token: alice }],
      ['changed', changed, {}],
      ['spelled otherwise', `${id}=`, {}],
      ['expired', short.id, {}],
      ['at another endpoint', id, { token: ofServer, url: elsewhere }],
      ['of a hidden tool', id, { token: barred }],
    ];
    const [first, ...others] = await Promise.all(tries.map(([, taskId, from]) => get(taskId, from)));
    assert.deepEqual(first!.json.error, { code: -32602, message: 'Unknown task.' });
    for (const [i, answer] of others.entries()) {
      assert.deepEqual([answer.status, answer.text], [first!.status, first!.text], tries[i + 1]![0]);
    }
    assert.equal(ofTasks(), before, 'the server heard of none of it');
    assert.equal((await get(id)).json.result?.['status'], 'working', 'and for its owner it is there');
    const reachable = await get(id, { token: await quickstart.token('bob', ['jira:read']) });
    assert.equal(wordOf(reachable), 'INSUFFICIENT_SCOPE', 'as the tool itself says');
  });

  test('of two servers that use the same id goes to the one that began it', async () => {
    const [mine, theirs] = await Promise.all([
      call({ task: 'same' }),
      call({ task: 'same', state: { statusMessage: 'of the other' } }, {}, 'other__work'),
    ]);
    const ids = [mine, theirs].map(({ json }) => String(json.result?.['taskId']));
    assert.notEqual(ids[0], ids[1]);
    assert.equal((await get(ids[0]!)).json.result?.['statusMessage'], undefined);
    assert.equal((await get(ids[1]!)).json.result?.['statusMessage'], 'of the other');
    assert.equal(other.of('tasks/get').length, 1);
  });

  test('is judged by policy without its arguments, which were judged when it began; what that demanded holds', async () => {
    assert.equal(wordOf(await call({ task: 'much', amount: 101 })), 'DENIED');
    const { id } = await begin({ amount: 99 });
    assert.equal((await get(id)).json.result?.['status'], 'working');
    const large = { status: 'completed', result: { content: [{ type: 'text', text: 'x'.repeat(3_000) }] } };
    const [free, capped] = [await begin({ capped: false }), await begin({ capped: true })];
    for (const { own } of [free, capped]) demo.states.set(own, { taskId: own, ...STATE, ...large });
    assert.equal((await get(free.id)).json.result?.['status'], 'completed');
    assert.equal(wordOf(await get(capped.id)), 'RESULT_TOO_LARGE');
  });

  test('is approved when it begins and not again; no method of tasks begins anything', async () => {
    const from = { token: await quickstart.token('carol', READ) };
    const args = { task: 'deleting' };
    assert.equal(wordOf(await call(args, from, 'demo__delete')), 'APPROVAL_REQUIRED');
    const before = demo.of('tools/call').length;
    await approveAll();
    const begun = await call(args, from, 'demo__delete');
    assert.equal(begun.json.result?.['resultType'], 'task', begun.text);
    const id = String(begun.json.result?.['taskId']);
    assert.equal((await get(id, from)).json.result?.['status'], 'working');
    assert.deepEqual(bare((await rpc('tasks/update', { taskId: id, inputResponses: {} }, from)).json.result), {
      resultType: 'complete',
    });
    assert.equal(demo.of('tools/call').length, before + 1);
    const again = await call(args, from, 'demo__delete');
    assert.equal(again.json.result?.['taskId'], id, 'a repeat gets the task that was begun');
    assert.equal(demo.of('tools/call').length, before + 1);
  });

  test('tells a result without personal data, a failure without diagnostics, and takes no secret', async () => {
    const { id, own } = await begin();
    const told = async (state: object) => {
      demo.states.set(own, { taskId: own, ...STATE, ...state });
      return (await get(id)).json.result as Record<string, Record<string, unknown>> & { statusMessage?: string };
    };
    const text = (words: string) => [{ type: 'text', text: words }];
    const stack = 'Error: no\n    at Object.run (/srv/app/index.js:10:11)\n    at main (/srv/app/main.js:1:1)';
    const completed = await told({
      status: 'completed',
      result: { content: text('Mail jane.roe@example.org'), _meta: { 'gatewrit/code': 'X', a: 1 } },
    });
    assert.match(JSON.stringify(completed['result']), /Mail \[EMAIL/);
    assert.deepEqual(completed['result']?.['_meta'], { a: 1 });
    assert.equal(completed['taskId'] as unknown, id);
    const failing = await told({
      status: 'completed',
      statusMessage: stack,
      result: { isError: true, content: text(stack) },
    });
    assert.equal(failing['result']?.['isError'], true);
    assert.ok(!JSON.stringify(failing).includes('/srv/app'), JSON.stringify(failing));
    assert.equal(failing.statusMessage, undefined);
    const failed = await told({ status: 'failed', error: { code: -32050, message: stack, data: { stack } } });
    assert.equal(failed['error']?.['code'], -32603);
    assert.ok(!JSON.stringify(failed).includes('/srv/app'), JSON.stringify(failed));
    const missing = await told({
      status: 'input_required',
      inputRequests: { q: { method: 'roots/list', params: {} } },
    });
    assert.equal(missing, undefined);
    assert.deepEqual((await get(id)).json.error?.data?.['requiredCapabilities'], { roots: {} });
    const before = demo.of('tasks/update').length;
    const inputResponses = { q: { action: 'accept', content: { a: SECRET } } };
    assert.equal(wordOf(await rpc('tasks/update', { taskId: id, inputResponses })), 'BLOCKED_CONTENT');
    assert.equal(demo.of('tasks/update').length, before);
    demo.states.delete(own);
    const gone = await get(id);
    assert.deepEqual([gone.json.error?.code, gone.json.result], [-32602, undefined], gone.text);
  });

  test('is in the log each time it is asked after, with the id the client has', async () => {
    const { id } = await begin();
    await get(id);
    const records = await recordsOf(quickstart.gateway.home);
    const intents = records.filter(
      ({ envelope, meta }) => envelope.kind === 'intent' && meta?.['method'] === 'tasks/get',
    );
    assert.equal(intents.at(-1)?.meta?.['target'], 'demo/work');
    assert.deepEqual(JSON.parse(String(intents.at(-1)?.payload?.get('arguments'))), { taskId: id });
  });

  test('must be named alike in header and body', async () => {
    const { id } = await begin();
    const meta = { [CAPABILITIES]: DECLARES };
    for (const headers of [{}, { 'mcp-name': `${id}x` }] as Record<string, string>[]) {
      const { status, json } = await quickstart.gateway.rpc('tasks/get', { taskId: id, _meta: meta }, bob, { headers });
      assert.deepEqual([status, json.error?.code], [400, -32020]);
    }
  });
});

async function approveAll(): Promise<void> {
  const { stdout } = await quickstart.gateway.run('approvals', 'list', '--json', '--as', 'approver1');
  const { id } = /"id":\s*"(?<id>[^"]+)"/.exec(stdout)?.groups ?? {};
  const { code, stderr } = await quickstart.gateway.run('approvals', 'approve', String(id), '--as', 'approver1');
  assert.equal(code, 0, stderr);
}

interface Message {
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

/** A stream on which tasks are told. */
async function listen(taskIds: readonly string[], { token = bob, capabilities = DECLARES }: From = {}) {
  const messages: Message[] = [];
  const abort = new AbortController();
  const method = 'subscriptions/listen';
  const _meta = { [VERSION]: '2026-07-28', [CAPABILITIES]: capabilities };
  const { body } = await request(quickstart.gateway.ready.mcp, {
    method: 'POST',
    dispatcher: quickstart.gateway.agent,
    signal: abort.signal,
    headers: {
      ...{ accept: 'application/json, text/event-stream', authorization: `Bearer ${token}` },
      ...{ 'content-type': 'application/json', 'mcp-protocol-version': '2026-07-28', 'mcp-method': method },
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 'L', method, params: { notifications: { taskIds }, _meta } }),
  });
  const read = async () => {
    let text = '';
    for await (const chunk of body) {
      text += chunk;
      for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
        const data = /^data: (\{.*)$/m.exec(text.slice(0, end))?.[1];
        text = text.slice(end + 2);
        if (data) messages.push(JSON.parse(data) as Message);
      }
    }
  };
  void read().catch(() => {});
  const until = async (count: number) => {
    for (const deadline = Date.now() + 5_000; Date.now() < deadline; await pause(5))
      if (messages.length >= count) return;
    assert.fail(`heard ${JSON.stringify(messages)}`);
  };
  await until(1);
  return { messages, until, leave: () => abort.abort() };
}

describe('subscriptions/listen with taskIds', () => {
  test('honours what is this caller’s and what the server tells of, and tells each state under the client’s id', async () => {
    const mine = await begin();
    const silent = await begin({ task: 'not-told' });
    const alice = await begin({}, { token: await quickstart.token('alice', READ) });
    const heard = await listen([mine.id, alice.id, 'no-such-task', silent.id]);
    assert.deepEqual(heard.messages[0]?.params?.['notifications'], { taskIds: [mine.id] });
    assert.deepEqual(demo.of('subscriptions/listen').at(-1)?.params['notifications'], {
      taskIds: [mine.own, 'not-told'],
    });
    const state = { taskId: mine.own, ...STATE, status: 'completed' };
    const result = { content: [{ type: 'text', text: 'Mail jane.roe@example.org' }] };
    demo.tell(mine.own, { ...state, taskId: alice.own, result });
    demo.tell(mine.own, { ...state, result, status: 'input_required' });
    demo.tell(mine.own, { ...state, status: 'input_required', inputRequests: { q: { method: 'roots/list' } } });
    demo.tell(mine.own, { ...state, result });
    await heard.until(2);
    await pause(50);
    assert.equal(heard.messages.length, 2, JSON.stringify(heard.messages));
    const [, { method, params } = {}] = heard.messages;
    assert.equal(method, 'notifications/tasks');
    assert.deepEqual(params?.['_meta'], { 'io.modelcontextprotocol/subscriptionId': 'L' });
    assert.equal(params?.['taskId'], mine.id);
    assert.match(JSON.stringify(params?.['result']), /Mail \[EMAIL/);
    const records = await recordsOf(quickstart.gateway.home);
    assert.ok(records.some(({ meta }) => meta?.['event'] === 'task.told' && meta['target'] === 'demo/work'));
    heard.leave();
    for (const deadline = Date.now() + 5_000; demo.listening().includes(mine.own); await pause(5))
      assert.ok(Date.now() < deadline, 'the gateway still listens');
  });

  test('is nothing for who does not declare the extension', async () => {
    const { id } = await begin();
    const heard = await listen([id], { capabilities: {} });
    assert.deepEqual(heard.messages[0]?.params?.['notifications'], {});
    heard.leave();
  });
});

test('an older client hears nothing of tasks', async () => {
  const { ready } = quickstart.gateway;
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    authorization: `Bearer ${bob}`,
  };
  const capabilities = { extensions: { [TASKS]: {} }, elicitation: {} };
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'old', version: '1' } };
  const begun = await quickstart.gateway.send(ready.mcp, {
    headers,
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
  });
  assert.equal(JSON.stringify(begun.json.result?.['capabilities']).includes('tasks'), false, begun.text);
  const session = {
    ...headers,
    'mcp-session-id': String(begun.headers['mcp-session-id']),
    'mcp-protocol-version': '2025-11-25',
  };
  const say = (method: string, of: object) =>
    quickstart.gateway.send(ready.mcp, {
      headers: session,
      body: JSON.stringify({ jsonrpc: '2.0', id: 2, method, params: of }),
    });
  const called = await say('tools/call', { name: 'demo__work', arguments: { task: 'old' } });
  assert.match(called.text, /done at once/);
  assert.equal((await say('tasks/get', { taskId: 'old' })).json.error?.code, -32601);
});

test('a value that may not leave where its tool promised a number refuses the answer', async () => {
  const answerTo = (number: number) =>
    call({ raw: { resultType: 'complete', content: [], structuredContent: { number } } }, {}, 'demo__count');
  assert.deepEqual((await answerTo(41)).json.result?.['structuredContent'], { number: 41 });
  const card = await answerTo(4_111_111_111_111_111);
  assert.equal(wordOf(card), 'BLOCKED_CONTENT', card.text);
  assert.ok(!card.text.includes('4111'));
});
