import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../core/log.ts';
import { InputRequired } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import { clientWith, json, requestFor, type Seen, scripted } from './fixture.test.ts';
import { legacyServer, type Script } from './legacy-fixture.test.ts';
import { openServer } from './servers.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

const { principal } = requestFor();
const sse = (res: ServerResponse) => res.writeHead(200, { 'content-type': 'text/event-stream' });
const say = (res: ServerResponse, message: object) =>
  res.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
const uris = (events: readonly Uint8Array[]) =>
  events.map((bytes) => JSON.parse(Buffer.from(bytes).toString()).params.uri as string);
const until = async (what: () => boolean) => {
  for (let i = 0; i < 100 && !what(); i++) await sleep(10);
  assert.ok(what());
};
const updated = (uri: string, more: object = {}) => ({
  method: 'notifications/resources/updated',
  params: { uri, ...more },
});

async function legacy(script: Script) {
  const opened = await legacyServer(script);
  closing.push(opened.close);
  return opened;
}

describe('updates of resources of a modern server', () => {
  const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

  async function listening(onListen: (seen: Seen, res: ServerResponse) => void) {
    const changed: (string | undefined)[] = [];
    const upstream = await scripted((seen, res) => {
      const capabilities = { tools: { listChanged: true }, resources: { subscribe: true } };
      const result = { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities };
      if (seen.body.method === 'server/discover') return json(res, 200, { jsonrpc: '2.0', id: seen.body.id, result });
      if (seen.body.method === 'subscriptions/listen') return onListen(seen, res);
      json(res, 200, { jsonrpc: '2.0', id: seen.body.id, result: { resultType: 'complete', content: [], tools: [] } });
    });
    const server = openServer(
      'shop',
      { http: { url: upstream.url, ca: undefined, authorization: undefined, maxConnections: 8 } },
      {
        clock: () => ({ utc: 0, mono: performance.now() }),
        log: silentLog,
        onChanged: (list) => changed.push(list),
        onEnded: () => {},
      },
    );
    closing.push(() => server.close(), upstream.close);
    return { ...upstream, server, changed };
  }
  const acknowledge = (seen: Seen, res: ServerResponse, notifications: object) =>
    say(res, {
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications, _meta: { [SUBSCRIPTION]: seen.body.id } },
    });

  test('one stream for the lists, one for each who follows; only what was acknowledged is heard, and the end ends it', async () => {
    let stream: ServerResponse | undefined;
    let id = 0;
    let closed = false;
    const { server, changed, seen } = await listening((seen, res) => {
      sse(res);
      const filter = seen.body.params['notifications'] as { resourceSubscriptions?: string[] };
      if (!filter.resourceSubscriptions) {
        assert.deepEqual(filter, { toolsListChanged: true });
        acknowledge(seen, res, filter);
        return void say(res, {
          method: 'notifications/tools/list_changed',
          params: { _meta: { [SUBSCRIPTION]: seen.body.id } },
        });
      }
      [stream, id] = [res, seen.body.id];
      res.on('close', () => (closed = true));
      say(res, updated('a:1', { _meta: { [SUBSCRIPTION]: id } }));
      acknowledge(seen, res, { resourceSubscriptions: ['a:1', 'never-asked'] });
    });
    const events: Uint8Array[] = [];
    const followed = await server.subscribe({ principal, resources: ['a:1', 'b:2'] }, (event) => events.push(event));
    assert.deepEqual(followed.honoured, ['a:1']);
    say(stream!, updated('a:1', { _meta: { [SUBSCRIPTION]: id }, secret: 1 }));
    say(stream!, updated('b:2', { _meta: { [SUBSCRIPTION]: id } }));
    say(stream!, updated('a:1', { _meta: { [SUBSCRIPTION]: id + 1 } }));
    say(stream!, updated('a:1'));
    await until(() => events.length > 0 && changed.length > 0);
    await sleep(30);
    assert.deepEqual(
      events.map((bytes) => Buffer.from(bytes).toString()),
      ['{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1"}}'],
    );
    assert.deepEqual(changed, ['tools']);
    followed.end();
    await until(() => closed);
    assert.equal(seen.filter(({ body }) => body.method === 'subscriptions/listen').length, 2);
  });

  test('a stream that breaks is opened again', async () => {
    let opened = 0;
    const { server } = await listening((seen, res) => {
      const filter = seen.body.params['notifications'] as { resourceSubscriptions?: string[] };
      if (!filter.resourceSubscriptions) return void sse(res);
      sse(res);
      acknowledge(seen, res, filter);
      if (++opened === 1) return void res.end();
      say(res, updated('a:1', { _meta: { [SUBSCRIPTION]: seen.body.id } }));
    });
    const events: Uint8Array[] = [];
    const followed = await server.subscribe({ principal, resources: ['a:1'] }, (event) => events.push(event));
    for (let i = 0; i < 200 && events.length === 0; i++) await sleep(10);
    assert.equal(opened, 2);
    assert.deepEqual(uris(events), ['a:1']);
    followed.end();
  });

  test('whoever wants to listen, half of the connections stay for calls', async () => {
    const { server } = await listening((seen, res) => {
      sse(res);
      acknowledge(seen, res, seen.body.params['notifications'] as object);
    });
    const everybody = Array.from({ length: 8 }, (_, i) =>
      server.subscribe({ principal: { ...principal, key: `principal ${i}` }, resources: ['a:1'] }, () => {}),
    );
    const followed = await Promise.all(everybody);
    assert.equal(
      followed.filter(({ honoured }) => honoured.length > 0).length,
      3,
      'the fourth stream is for the lists',
    );
    assert.ok(!((await server.call(requestFor())) instanceof Refusal));
    for (const { end } of followed) end();
  });

  test('a server that refuses to listen honours nothing, and is not asked again', async () => {
    const { server, seen } = await listening(({ body }, res) =>
      json(res, 200, { jsonrpc: '2.0', id: body.id, error: { code: -32603, message: 'no' } }),
    );
    const { honoured } = await server.subscribe({ principal, resources: ['a:1'] }, () => {});
    assert.deepEqual(honoured, []);
    assert.ok(seen.filter(({ body }) => body.method === 'subscriptions/listen').length <= 2);
  });
});

describe('updates of resources of a legacy server over HTTP', () => {
  const streams: { session: string; res: ServerResponse }[] = [];
  const script = (): Script => ({
    capabilities: { tools: {}, resources: { subscribe: true } },
    call: () => {},
    other: ({ verb, headers }, res) => {
      if (verb !== 'GET') return false;
      sse(res).flushHeaders();
      streams.push({ session: String(headers['mcp-session-id']), res });
      return true;
    },
  });
  const sent = (seen: readonly Seen[], method: string) => seen.filter(({ body }) => body.method === method);

  test('one subscription however many follow, in the session of the principal; the last who leaves ends it', async () => {
    const { server, seen } = await legacy(script());
    const heard: Uint8Array[][] = [[], [], []];
    const other = { ...principal, key: 'other' };
    const [one, two] = await Promise.all([
      server.subscribe({ principal, resources: ['a:1'] }, (event) => heard[0]!.push(event)),
      server.subscribe({ principal, resources: ['a:1', 'b:2'] }, (event) => heard[1]!.push(event)),
    ]);
    const three = await server.subscribe({ principal: other, resources: ['a:1'] }, (event) => heard[2]!.push(event));
    assert.deepEqual([one.honoured, two.honoured, three.honoured], [['a:1'], ['a:1', 'b:2'], ['a:1']]);
    const subscribed = sent(seen, 'resources/subscribe').map(({ body, headers }) => [
      body.params['uri'],
      headers['mcp-session-id'],
    ]);
    assert.equal(subscribed.length, 3);
    const session = subscribed.find(([uri]) => uri === 'b:2')![1];
    const { res } = streams.find((stream) => stream.session === session)!;
    say(res, updated('a:1'));
    say(res, updated('c:3'));
    await until(() => heard[0]!.length > 0 && heard[1]!.length > 0);
    assert.deepEqual(heard.map(uris), [['a:1'], ['a:1'], []]);
    one.end();
    await sleep(30);
    assert.equal(sent(seen, 'resources/unsubscribe').length, 0);
    two.end();
    await until(() => sent(seen, 'resources/unsubscribe').length === 2);
    three.end();
  });

  test('a server without such a stream honours nothing', async () => {
    const { server } = await legacy({ ...script(), other: () => false });
    assert.deepEqual((await server.subscribe({ principal, resources: ['a:1'] }, () => {})).honoured, []);
  });

  test('a list that changes is told by name; a request on the stream belongs to the only call that runs, or to none', async () => {
    const answers: Record<string, unknown>[] = [];
    let finish: (() => void) | undefined;
    const opened = await legacy({
      call: ({ body }, stream) => {
        finish = () => {
          stream.say({ id: body.id, result: { content: [] } });
          stream.end();
        };
      },
      other: (seen, res) => {
        if (seen.verb === 'POST' && seen.body.method === undefined) answers.push(seen.body as never);
        return script().other!(seen, res);
      },
    });
    streams.length = 0;
    const { server, seen, told } = opened;
    const asked = server.call(requestFor({ client: clientWith({ roots: {} }) }));
    await until(() => sent(seen, 'tools/call').length === 1);
    const session = sent(seen, 'tools/call')[0]!.headers['mcp-session-id'];
    const { res } = streams.find((stream) => stream.session === session)!;
    // Lists of a client's session may hang on the client; the gateway's own is what counts.
    say(res, { method: 'notifications/prompts/list_changed' });
    const own = streams.find((stream) => stream.session !== session)!.res;
    say(own, { method: 'notifications/prompts/list_changed' });
    say(res, { id: 'q', method: 'roots/list' });
    const question = await asked;
    assert.ok(question instanceof InputRequired, JSON.stringify(question));
    const [key] = question.questions.keys();
    const rest = server.call(
      requestFor({
        client: clientWith({ roots: {} }),
        answers: {
          state: question.state,
          given: new Map([[key!, { kind: 'result', bytes: Buffer.from('{"roots":[]}') }]]),
        },
      }),
    );
    await until(() => answers.length === 1);
    finish!();
    assert.ok(!((await rest) instanceof Refusal));
    assert.equal(told.changed, 1);
    say(res, { id: 'late', method: 'roots/list' });
    say(res, { id: 'p', method: 'ping' });
    await until(() => answers.length === 3);
    // Two answers of ours travel on connections of their own.
    answers.sort((one, two) => Number(one['id'] === 'p') - Number(two['id'] === 'p'));
    assert.deepEqual(
      answers.map(({ id, result, error }) => [id, result ?? (error as { code: number }).code]),
      [
        ['q', { roots: [] }],
        ['late', -32601],
        ['p', {}],
      ],
    );
  });
});

describe('a legacy call', () => {
  test('is told cancelled when its client leaves, by its own id', async () => {
    const { server, seen } = await legacy({ call: () => {} });
    const gone = new AbortController();
    const running = server.call(requestFor({ signal: gone.signal }));
    await until(() => seen.some(({ body }) => body.method === 'tools/call'));
    gone.abort();
    const refused = await running;
    assert.ok(refused instanceof Refusal && refused.code === 'upstream.cancelled');
    const id = seen.find(({ body }) => body.method === 'tools/call')!.body.id;
    await until(() =>
      seen.some(({ body }) => body.method === 'notifications/cancelled' && body.params['requestId'] === id),
    );
  });

  test('is sent once more in a new session when the server forgot the old one, and never when it was lost', async () => {
    const { server, seen, sessions } = await legacy({
      call: ({ body }, { say, end, res }) => {
        if (body.params['_meta'] && sessions.size > 90) return void res.destroy();
        say({ id: body.id, result: { content: [] } });
        end();
      },
    });
    await server.call(requestFor());
    sessions.clear();
    const answer = await server.call(requestFor());
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), JSON.stringify(answer));
    for (let i = 0; i < 100; i++) sessions.set(`x${i}`, {});
    const lost = await server.call(requestFor());
    assert.ok(lost instanceof Refusal && /may have run/.test(lost.facts.text ?? ''), JSON.stringify(lost));
    assert.equal(seen.filter(({ body }) => body.method === 'tools/call').length, 4);
  });

  test('hears log lines of the level its client asked for, and progress only as it grows', async () => {
    const { server, seen } = await legacy({
      capabilities: { tools: {}, logging: {} },
      call: ({ body }, { say, end }) => {
        for (const level of ['debug', 'warning', 'emergency', 'made-up'])
          say({ method: 'notifications/message', params: { level, data: level } });
        for (const progress of [1, 1, 0.5, 2, 'x'])
          say({ method: 'notifications/progress', params: { progressToken: body.id, progress } });
        say({ id: body.id, result: { content: [] } });
        end();
      },
    });
    const heard = async (level: string | null) => {
      const lines: { data?: string; progress?: number }[] = [];
      await server.call(
        requestFor({
          client: clientWith({}, '2025-11-25', level),
          onNotification: (bytes) => lines.push(JSON.parse(Buffer.from(bytes).toString()).params),
        }),
      );
      return lines.map(({ data, progress }) => data ?? progress);
    };
    assert.deepEqual(await heard('notice'), ['warning', 'emergency', 1, 2]);
    assert.deepEqual(await heard(null), [1, 2]);
    assert.deepEqual(await heard('made-up'), [1, 2]);
    assert.deepEqual(
      seen.filter(({ body }) => body.method === 'logging/setLevel').map(({ body }) => body.params),
      [{ level: 'notice' }],
    );
  });

  test('goes on by GET and Last-Event-ID when its stream was closed after an event with an id', async () => {
    const waits: number[] = [];
    let id = 0;
    let cut = 0;
    const { server, seen } = await legacy({
      call: ({ body }, { res }) => {
        id = body.id;
        sse(res).end('id: first\nretry: 60\ndata: \n\n');
        cut = performance.now();
      },
      other: ({ verb, headers }, res) => {
        const last = headers['last-event-id'];
        if (verb !== 'GET' || last === undefined) return false;
        waits.push(performance.now() - cut);
        cut = performance.now();
        sse(res);
        if (last === 'first') res.end('id: second\ndata:\n\n');
        else res.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: { content: [], last } })}\n\n`);
        return true;
      },
    });
    const answer = await server.call(requestFor());
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), JSON.stringify(answer));
    assert.equal((answer.view() as { last: string }).last, 'second');
    assert.ok(waits.length === 2 && waits.every((wait) => wait >= 50 && wait < 1_000), waits.join());
    assert.equal(seen.filter(({ body }) => body.method === 'tools/call').length, 1);
  });

  test('whose server forgets the stream is lost: nothing is sent again', async () => {
    const { server, seen } = await legacy({
      call: (_seen, { res }) => void sse(res).end('id: 1\nretry: 10\ndata:\n\n'),
    });
    const lost = await server.call(requestFor());
    assert.ok(lost instanceof Refusal && lost.code === 'upstream.unavailable', JSON.stringify(lost));
    assert.match(lost.facts.text ?? '', /may have run/);
    assert.equal(seen.filter(({ body }) => body.method === 'tools/call').length, 1);
  });

  test('for a resource that does not exist is -32602 and says which', async () => {
    const { server } = await legacy({
      call: ({ body }, { res }) =>
        json(res, 200, { jsonrpc: '2.0', id: body.id, error: { code: -32002, message: 'gone' } }),
    });
    const answer = await server.call(requestFor());
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired));
    assert.deepEqual(answer.view(), { code: -32602, message: 'gone', data: { uri: 'shop__buy' } });
  });
});

describe('a hostile legacy server', () => {
  test('that asks 20,000 times at once is answered until 64 answers wait, and its call ends', async () => {
    let answers = 0;
    const { server } = await legacy({
      call: ({ body }, { res, say: speak, end }) => {
        sse(res);
        const ping = `data: {"jsonrpc":"2.0","method":"ping","id":"${'x'.repeat(200)}"}\n\n`;
        const question = `data: {"jsonrpc":"2.0","method":"roots/list","id":1}\n\n`;
        res.write(ping.repeat(10_000) + question.repeat(10_000), () => {
          speak({ id: body.id, result: { content: [] } });
          end();
        });
      },
      other: ({ verb, body }, res) => {
        if (verb !== 'POST' || body.method !== undefined) return false;
        answers++;
        return void res.writeHead(202).end() === undefined;
      },
    });
    const answer = await server.call(requestFor());
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), JSON.stringify(answer));
    assert.ok(answers < 5_000, `${answers} answers`);
  });

  test('whose session id is no header value is a protocol fault', async () => {
    const upstream = await scripted(({ body }, res) => {
      if (body.method === 'server/discover') return json(res, 400, {});
      res.setHeader('mcp-session-id', 'caf\u00e9');
      json(res, 200, { jsonrpc: '2.0', id: body.id, result: { protocolVersion: '2025-06-18', capabilities: {} } });
    });
    const server = openServer(
      'shop',
      { http: { url: upstream.url, ca: undefined, authorization: undefined, maxConnections: 4 } },
      { clock: () => ({ utc: 0, mono: 0 }), log: silentLog, onChanged: () => {}, onEnded: () => {} },
    );
    closing.push(() => server.close(), upstream.close);
    const refused = await server.call(requestFor());
    assert.ok(refused instanceof Refusal && refused.code === 'upstream.protocol', JSON.stringify(refused));
  });
});

describe('sessions at a legacy server', () => {
  test('are of one principal and one set of capabilities each; closing ends them with DELETE', async () => {
    const opened = await legacyServer({
      call: ({ body }, { say, end }) => {
        say({ id: body.id, result: { content: [] } });
        end();
      },
    });
    const { server, seen, sessions } = opened;
    const other = { ...principal, key: 'other' };
    for (const request of [
      requestFor(),
      requestFor(),
      requestFor({ principal: other }),
      requestFor({ client: clientWith({ roots: {} }) }),
    ])
      await server.call(request);
    const used = seen
      .filter(({ body }) => body.method === 'tools/call')
      .map(({ headers }) => headers['mcp-session-id']);
    assert.equal(used[0], used[1]);
    assert.equal(new Set(used).size, 3);
    assert.equal(sessions.size, 4);
    await opened.close();
    assert.equal(sessions.size, 0);
  });

  test('one principal holds eight at most; the one unused for longest gives way', async () => {
    const { server, sessions } = await legacy({
      call: ({ body }, { say, end }) => {
        say({ id: body.id, result: { content: [] } });
        end();
      },
    });
    const sets = [
      { roots: {} },
      { sampling: {} },
      { elicitation: {} },
      { elicitation: { url: {} } },
      { elicitation: { url: {}, form: {} } },
    ];
    for (const a of sets) await server.call(requestFor({ client: clientWith(a) }));
    for (const a of sets.slice(1)) await server.call(requestFor({ client: clientWith({ ...a, roots: {} }) }));
    await until(() => sessions.size === 9);
  });
});
