import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Dispatcher, request } from 'undici';
import { wordOf } from '../../examples/quickstart/tour/gateway.ts';
import { AskingUpstream, startAsking } from './asking-upstream.ts';
import { bareMessage } from './bare.ts';
import { type Quickstart, READ } from './quickstart.ts';
import { recordsOf } from './recorded.ts';

const ID = 'io.modelcontextprotocol/subscriptionId';
const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';

/** A rule about what is asked for: the resource stays listed, and cannot be read. */
const DENY = `@id("not-this-address")
@public("This address may not be read.")
forbid (principal, action == Action::"read_resource", resource)
when { context.arguments has uri && context.arguments.uri == "demo://denied" };
`;

let upstream: AskingUpstream;
let quickstart: Quickstart;
let bob: string;

before(async () => {
  upstream = await AskingUpstream.start();
  const hide = '@id("hide")\nforbid (principal, action, resource == Target::"demo/demo://hidden");\n';
  quickstart = await startAsking(upstream, {
    settings: { limits: { streams: { perPrincipal: 3 } } },
    policy: { '40-hidden.cedar': hide, '41-denied.cedar': DENY },
  });
  bob = await quickstart.token('bob', READ);
});
after(async () => {
  await quickstart?.close();
  await upstream?.close();
});

interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
}

/** One event stream as it is read: everything heard so far, and whether it has ended. */
class Heard {
  readonly messages: Message[] = [];
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  ended = false;
  readonly #abort: AbortController;

  constructor({ statusCode, headers, body }: Dispatcher.ResponseData, abort: AbortController) {
    this.status = statusCode;
    this.headers = headers;
    this.#abort = abort;
    void this.#read(body).catch(() => {});
  }

  async #read(body: AsyncIterable<Buffer>): Promise<void> {
    let text = '';
    try {
      for await (const chunk of body) {
        text += chunk;
        for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
          const data = /^data: (\{.*)$/m.exec(text.slice(0, end))?.[1];
          text = text.slice(end + 2);
          if (data) this.messages.push(JSON.parse(data) as Message);
        }
      }
    } finally {
      this.ended = true;
    }
  }

  methods(): (string | undefined)[] {
    return this.messages.map(({ method }) => method);
  }

  async until(holds: (heard: Heard) => boolean, what: string): Promise<void> {
    for (const deadline = Date.now() + 5_000; Date.now() < deadline; await pause(5)) if (holds(this)) return;
    assert.fail(`${what}; heard ${JSON.stringify(this.messages)}`);
  }

  leave(): void {
    this.#abort.abort();
  }
}

interface Opening {
  readonly method: 'POST' | 'GET';
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly token: string;
  readonly url?: string;
}

async function open({ method, headers, body, token, url = quickstart.gateway.ready.mcp }: Opening) {
  const abort = new AbortController();
  const accept = method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream';
  const answer = await request(url, {
    method,
    dispatcher: quickstart.gateway.agent,
    signal: abort.signal,
    headers: { accept, authorization: `Bearer ${token}`, ...headers },
    ...(body === undefined ? {} : { body }),
  });
  return new Heard(answer, abort);
}

function listen(notifications: object, id: string | number = 'L1', token = bob, url?: string): Promise<Heard> {
  const method = 'subscriptions/listen';
  const _meta = { [VERSION]: '2026-07-28', [CAPABILITIES]: {} };
  const body = JSON.stringify({ jsonrpc: '2.0', id, method, params: { notifications, _meta } });
  const headers = { 'content-type': 'application/json', 'mcp-protocol-version': '2026-07-28', 'mcp-method': method };
  return open({ method: 'POST', headers, body, token, ...(url === undefined ? {} : { url }) });
}

const acknowledged = (heard: Heard) => heard.until(({ messages }) => messages.length > 0, 'no acknowledgement');
const listening = async (of: 'toolsListChanged' | 'resourceSubscriptions', count: number) => {
  for (const deadline = Date.now() + 5_000; Date.now() < deadline; await pause(5))
    if (upstream.listening(of) >= count) return;
  assert.fail(`the gateway does not listen for ${of}: ${upstream.listening(of)}`);
};

describe('subscriptions/listen', () => {
  test('says first what it honours, and then only that, each time with the id of the request', async () => {
    const heard = await listen({
      toolsListChanged: true,
      resourceSubscriptions: ['demo://a', 'demo://nowhere', 'mystery://x'],
      taskIds: ['t'],
    });
    assert.match(String(heard.headers['content-type']), /^text\/event-stream/);
    assert.equal(heard.headers['x-accel-buffering'], 'no');
    await acknowledged(heard);
    assert.deepEqual(heard.messages[0] as unknown, {
      jsonrpc: '2.0',
      method: 'notifications/subscriptions/acknowledged',
      params: {
        _meta: { [ID]: 'L1' },
        notifications: { toolsListChanged: true, resourceSubscriptions: ['demo://a'] },
      },
    });
    upstream.updated('demo://b');
    upstream.updated('demo://a');
    await heard.until(({ messages }) => messages.length > 1, 'no update');
    assert.deepEqual(heard.messages[1] as unknown, {
      jsonrpc: '2.0',
      method: 'notifications/resources/updated',
      params: { _meta: { [ID]: 'L1' }, uri: 'demo://a' },
    });
    await listening('toolsListChanged', 1);
    upstream.toolsChanged();
    await heard.until(({ messages }) => messages.length > 2, 'no change of tools');
    assert.deepEqual(heard.methods().slice(2), ['notifications/tools/list_changed']);
    assert.deepEqual(heard.messages[2]?.params, { _meta: { [ID]: 'L1' } });
    heard.leave();
  });

  test('tells of a resource only whoever may read it, and of a server only where it is served', async () => {
    const stranger = await quickstart.token('stranger', ['s3:list']);
    const heard = await listen({ resourceSubscriptions: ['demo://a'] }, 7, stranger);
    await acknowledged(heard);
    assert.deepEqual(heard.messages[0]?.params?.['notifications'], {});
    const { mcp } = quickstart.gateway.ready;
    const at = async (server: string) => {
      const token = await quickstart.token('bob', READ, { audience: `${mcp}/${server}` });
      return listen({ toolsListChanged: true }, 8, token, `${mcp}/${server}`);
    };
    const [elsewhere, here] = [await at('internal-readonly'), await at('demo')];
    await Promise.all([elsewhere, here].map(acknowledged));
    await listening('toolsListChanged', 1);
    upstream.toolsChanged();
    await here.until(({ messages }) => messages.length > 1, 'no change of tools');
    assert.equal(elsewhere.messages.length, 1);
    elsewhere.leave();
    here.leave();
  });

  test('ends with the credential, in order', async () => {
    const short = await quickstart.token('carol', READ, { ttlSeconds: 2 });
    const heard = await listen({ toolsListChanged: true }, 9, short);
    await heard.until(({ ended }) => ended, 'it did not end');
    assert.deepEqual(bareMessage(heard.messages.at(-1)), {
      jsonrpc: '2.0',
      id: 9,
      result: { resultType: 'complete', _meta: { [ID]: 9 } },
    });
  });

  test('is held as often as a principal may, and given back when the client leaves', async () => {
    const dave = await quickstart.token('dave', READ);
    const open = await Promise.all([1, 2, 3].map((id) => listen({ toolsListChanged: true }, id, dave)));
    await Promise.all(open.map(acknowledged));
    const refused = await quickstart.gateway.rpc('subscriptions/listen', { notifications: {} }, dave);
    assert.equal(refused.status, 429);
    assert.equal(wordOf(refused), 'TOO_MANY_STREAMS');
    open[0]!.leave();
    await pause(50);
    const again = await listen({ toolsListChanged: true }, 4, dave);
    await acknowledged(again);
    for (const one of [...open, again]) one.leave();
  });

  test('refuses what is no filter, and ends at once where nothing can be heard', async () => {
    const refused = await quickstart.gateway.rpc('subscriptions/listen', { notifications: 'all' }, bob);
    assert.equal(refused.json.error?.code, -32602, refused.text);
    const heard = await listen({ resourceSubscriptions: ['demo://nowhere'] });
    await heard.until(({ ended }) => ended, 'it did not end');
    assert.deepEqual(heard.messages[0]?.params?.['notifications'], {});
    assert.equal(heard.messages[1]?.result?.['resultType'], 'complete');
  });
});

/** A legacy session by hand. */
class Session {
  readonly #headers: Record<string, string>;
  readonly #token: string;

  constructor(token: string, headers: Record<string, string> = {}) {
    this.#token = token;
    this.#headers = headers;
  }

  static async begin(token = bob): Promise<{ session: Session; capabilities: Record<string, unknown> }> {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'e2e', version: '1' } };
    const answer = await new Session(token).#post({ id: 0, method: 'initialize', params });
    const { result } = (await answer.body.json()) as { result: { capabilities: Record<string, unknown> } };
    const headers = {
      'mcp-session-id': String(answer.headers['mcp-session-id']),
      'mcp-protocol-version': '2025-11-25',
    };
    return { session: new Session(token, headers), capabilities: result.capabilities };
  }

  async ask(method: string, params: object): Promise<Record<string, unknown>> {
    return (await (await this.#post({ id: 1, method, params })).body.json()) as Record<string, unknown>;
  }

  hear(): Promise<Heard> {
    return open({ method: 'GET', headers: this.#headers, token: this.#token });
  }

  async end(): Promise<number> {
    const { statusCode, body } = await request(quickstart.gateway.ready.mcp, {
      method: 'DELETE',
      dispatcher: quickstart.gateway.agent,
      headers: { authorization: `Bearer ${this.#token}`, ...this.#headers },
    });
    await body.dump();
    return statusCode;
  }

  #post(message: object): Promise<Dispatcher.ResponseData> {
    return request(quickstart.gateway.ready.mcp, {
      method: 'POST',
      dispatcher: quickstart.gateway.agent,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${this.#token}`,
        ...this.#headers,
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
  }
}

describe('a legacy session', () => {
  test('is promised what is honoured, subscribes, and hears on its GET stream of that and no more', async () => {
    const { session, capabilities } = await Session.begin();
    assert.deepEqual(capabilities['resources'], { listChanged: true, subscribe: true });
    assert.deepEqual(await session.ask('resources/subscribe', { uri: 'demo://a' }), {
      jsonrpc: '2.0',
      id: 1,
      result: {},
    });
    const before = upstream.listening('resourceSubscriptions');
    const heard = await session.hear();
    await listening('resourceSubscriptions', before + 1);
    await session.ask('resources/subscribe', { uri: 'demo://b' });
    const { session: other } = await Session.begin();
    const elsewhere = await other.hear();
    upstream.updated('demo://a');
    upstream.updated('demo://b');
    await heard.until(({ messages }) => messages.length >= 2, 'no updates');
    assert.deepEqual(
      heard.messages.map(({ method, params }) => [method, params?.['uri']]),
      [
        ['notifications/resources/updated', 'demo://a'],
        ['notifications/resources/updated', 'demo://b'],
      ],
    );
    await session.ask('resources/unsubscribe', { uri: 'demo://b' });
    upstream.updated('demo://b');
    await listening('toolsListChanged', 1);
    upstream.toolsChanged();
    await Promise.all(
      [heard, elsewhere].map((one) =>
        one.until((so) => so.methods().includes('notifications/tools/list_changed'), 'no change of tools'),
      ),
    );
    assert.equal(heard.messages.length, 3);
    assert.deepEqual(elsewhere.methods(), ['notifications/tools/list_changed'], 'nothing of the other session');
    assert.equal(await session.end(), 200);
    await heard.until(({ ended }) => ended, 'the stream outlived its session');
    elsewhere.leave();
  });

  test('cannot tell a hidden resource from one that does not exist', async () => {
    const { session } = await Session.begin();
    for (const method of ['resources/subscribe', 'resources/unsubscribe']) {
      const [hidden, nowhere] = [
        JSON.stringify(await session.ask(method, { uri: 'demo://hidden' })),
        JSON.stringify(await session.ask(method, { uri: 'demo://nowhere' })),
      ];
      assert.equal(hidden, nowhere.replaceAll('demo://nowhere', 'demo://hidden'));
      assert.match(hidden, /"error"/);
    }
    const heard = await listen({ resourceSubscriptions: ['demo://hidden'] });
    await heard.until(({ ended }) => ended, 'it did not end');
    assert.deepEqual(heard.messages[0]?.params?.['notifications'], {});
  });

  test('needs every scope of a resource to hear of it', async () => {
    const { session } = await Session.begin(await quickstart.token('stranger', ['s3:list']));
    const refused = await session.ask('resources/subscribe', { uri: 'demo://a' });
    assert.match(JSON.stringify(refused), /INSUFFICIENT_SCOPE/);
  });
});

test('who may not read an address by policy does not hear of it either, in both eras', async () => {
  const { session } = await Session.begin();
  const read = JSON.stringify(await session.ask('resources/read', { uri: 'demo://denied' }));
  assert.match(read, /This address may not be read/);
  const subscribed = JSON.stringify(await session.ask('resources/subscribe', { uri: 'demo://denied' }));
  assert.match(subscribed, /This address may not be read/);
  const heard = await listen({ resourceSubscriptions: ['demo://denied', 'demo://a'] });
  await acknowledged(heard);
  assert.deepEqual(heard.messages[0]?.params?.['notifications'], { resourceSubscriptions: ['demo://a'] });
  heard.leave();
});

test('the official client listens, hears of both, and closes', async () => {
  const client = await quickstart.gateway.client(await quickstart.token('frank', READ));
  const heard: string[] = [];
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void heard.push(params.uri));
  client.setNotificationHandler('notifications/tools/list_changed', () => void heard.push('tools'));
  const subscription = await client.listen({ toolsListChanged: true, resourceSubscriptions: ['demo://a', 'demo://q'] });
  assert.deepEqual(subscription.honoredFilter, { toolsListChanged: true, resourceSubscriptions: ['demo://a'] });
  upstream.updated('demo://a');
  await listening('toolsListChanged', 1);
  upstream.toolsChanged();
  for (const deadline = Date.now() + 5_000; heard.length < 2 && Date.now() < deadline; ) await pause(5);
  assert.deepEqual(heard.sort(), ['demo://a', 'tools']);
  await subscription.close();
  await client.close();
});

test('the end of the gateway ends every stream in order, and the log tells of each opening and end', async () => {
  const listened = await listen({ toolsListChanged: true }, 'last');
  await acknowledged(listened);
  const { session } = await Session.begin(await quickstart.token('erin', READ));
  const got = await session.hear();
  // Not through the helper, which hangs up first.
  process.kill(quickstart.gateway.ready.pid, 'SIGTERM');
  await listened.until(({ ended }) => ended, 'it did not end');
  assert.deepEqual(bareMessage(listened.messages.at(-1)), {
    jsonrpc: '2.0',
    id: 'last',
    result: { resultType: 'complete', _meta: { [ID]: 'last' } },
  });
  await got.until(({ ended }) => ended, 'it did not end');
  assert.equal(await quickstart.gateway.stop(), 0);
  const records = await recordsOf(quickstart.gateway.home);
  const openings = records.filter(({ meta }) => meta?.['event'] === 'stream.opened').map(({ meta }) => meta?.['call']);
  const ends = records
    .filter(({ meta, envelope }) => envelope.kind === 'outcome' && openings.includes(String(meta?.['call'])))
    .map(({ meta }) => meta?.['call']);
  assert.ok(openings.length >= 10, `${openings.length}`);
  assert.deepEqual([...ends].sort(), [...openings].sort());
});
