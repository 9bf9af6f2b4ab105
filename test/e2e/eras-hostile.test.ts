import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, request } from 'undici';
import { type Sight, STRANGE, type Started, startTwoEras, TwoEras } from './eras-upstream.ts';
import { READ } from './quickstart.ts';
import { endings, recordsOf } from './recorded.ts';

const SECRET = 'AKIAIOSFODNN7EXAMPLE';
const META = 'io.modelcontextprotocol';
const BIG = '{"n":9007199254740993,"x":1.0,"region":"eu"}';

let two: TwoEras;
let started: Started;
let bob: string;
let eve: string;

before(async () => {
  two = await TwoEras.start();
  started = await startTwoEras(two, { limits: { waiting: { perPrincipal: 20 } } });
  bob = await started.quickstart.token('bob', READ);
  eve = await started.quickstart.token('eve', READ);
});
after(async () => {
  await started?.quickstart.close();
  await two?.close();
});

type Headers = Readonly<Record<string, string>>;
function send(
  method: 'POST' | 'GET' | 'DELETE',
  more: { headers?: Headers; token?: string | null; body?: string; signal?: AbortSignal } = {},
): Promise<Dispatcher.ResponseData> {
  const { headers = {}, token = bob, body, signal } = more;
  const { gateway } = started.quickstart;
  return request(gateway.ready.mcp, {
    method,
    dispatcher: gateway.agent,
    headers: {
      accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: body ?? null,
    signal: signal ?? null,
  });
}

const capabilities = '{"elicitation":{"form":{}}}';
/** A tools/call of a modern client, as bytes. */
function modern(tool: string, { args = '{}', more = '', meta = '' } = {}): { headers: Headers; body: string } {
  const _meta = `{"${META}/protocolVersion":"2026-07-28","${META}/clientCapabilities":${capabilities}${meta}}`;
  return {
    headers: {
      ...{ 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': tool },
      ...(args === BIG ? { 'mcp-param-region': 'eu' } : {}),
    },
    body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${tool}","arguments":${args}${more},"_meta":${_meta}}}`,
  };
}
const call = (id: string | number, tool: string, args = '{}') =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":"tools/call","params":{"name":"${tool}","arguments":${args}}}`;

/** A session that has begun: the headers that name it. */
async function session({ revision = '2025-11-25', token = bob, can = capabilities } = {}): Promise<Headers> {
  const body = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"${revision}","capabilities":${can},"clientInfo":{"name":"h","version":"1"}}}`;
  const answer = await send('POST', { body, token });
  await answer.body.dump();
  return { 'mcp-session-id': String(answer.headers['mcp-session-id']), 'mcp-protocol-version': revision };
}
async function status(answer: Promise<Dispatcher.ResponseData>): Promise<number> {
  const { statusCode, body } = await answer;
  await body.dump();
  return statusCode;
}

/** Reads the stream of a call: its messages one by one. */
async function* messages(answer: Promise<Dispatcher.ResponseData>): AsyncGenerator<Record<string, unknown>> {
  let text = '';
  for await (const chunk of (await answer).body) {
    text += String(chunk);
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const data = /^data: (\{.*)$/m.exec(text.slice(0, end))?.[1];
      text = text.slice(end + 2);
      if (data) yield JSON.parse(data) as Record<string, unknown>;
    }
  }
}

/** What comes within two seconds, or undefined. */
async function soon<T>(look: () => T | undefined): Promise<T | undefined> {
  for (let i = 0; i < 100; i++) {
    const found = look();
    if (found !== undefined) return found;
    await sleep(20);
  }
  return undefined;
}
/** Without the correlation id. */
const plain = (text: string) => text.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID');
const since = (from: number) => two.seen.slice(from);
const called = (era: string, from: number) =>
  soon(() => since(from).find((one) => one.era === era && one.verb === 'POST' && one.raw.includes('"tools/call"')));
const left = (sight: Sight) => sight.verb === 'left';
const cancelled = ({ raw }: Sight) => raw.includes('"notifications/cancelled"');

describe('each pair of eras', () => {
  for (const server of ['new', 'old', 'line']) {
    for (const client of ['modern', 'legacy']) {
      test(`${client} client before ${server}: numbers, unknown fields and content types arrive as they were sent`, async () => {
        const from = two.seen.length;
        const sent =
          client === 'modern'
            ? modern(`${server}__echo`, { args: BIG, meta: ',"vendor/x":{"n":9007199254740993}' })
            : { headers: await session(), body: call('9007199254740993', `${server}__echo`, BIG) };
        const answer = await send('POST', sent);
        const text = await answer.body.text();
        assert.equal(answer.statusCode, 200, text);
        assert.ok(text.includes(STRANGE), text);
        const raw =
          server === 'line'
            ? started.lines().findLast((line) => line.includes('tools/call'))
            : since(from).findLast((one) => one.raw.includes('"tools/call"'))?.raw;
        assert.ok(raw);
        assert.ok(raw.includes(`"arguments":${BIG}`), raw);
        if (client === 'modern') assert.ok(raw.includes('"vendor/x":{"n":9007199254740993}'), raw);
        if (server !== 'new') return;
        const seen = since(from).findLast((one) => one.raw.includes('"tools/call"'));
        assert.equal(seen?.headers['mcp-param-region'], 'eu');
      });
    }
  }

  test('an id no double holds is refused as a number, and comes back as it was sent as text', async () => {
    const named = await session();
    for (const id of ['9007199254740993', '"9007199254740993"']) {
      const body = call(0, 'old__echo', '{"region":"eu"}').replace('"id":0', `"id":${id}`);
      const answer = await send('POST', { headers: named, body });
      const text = await answer.body.text();
      // A number two readers could understand differently names no request; as text it does.
      if (id.startsWith('"')) assert.ok(text.includes(`"id":${id}`), text);
      else assert.equal(answer.statusCode, 400, text);
    }
  });
});

test('clients of one process with the same ids and progress tokens hear what is theirs', async () => {
  const meta = ',"progressToken":"p"';
  const clients = await Promise.all(
    ['bob', 'eve', 'bob again'].map(async (who) => {
      const args = JSON.stringify({ who });
      const token = who === 'eve' ? eve : bob;
      const legacy = call(1, 'line__wait', args).replace('"arguments"', '"_meta":{"progressToken":"p"},"arguments"');
      const sent =
        who === 'bob again' ? { headers: await session(), body: legacy } : modern('line__wait', { args, meta });
      const heard: Record<string, unknown>[] = [];
      for await (const message of messages(send('POST', { ...sent, token }))) heard.push(message);
      return { who, heard };
    }),
  );
  for (const { who, heard } of clients) {
    const [progress, answer] = heard as [{ params: object }, { id: number; result: object }];
    assert.equal(heard.length, 2, JSON.stringify(heard));
    assert.deepEqual(progress.params, { progressToken: 'p', progress: 1, message: who });
    assert.equal(answer.id, 1);
    assert.ok(JSON.stringify(answer.result).includes(`"${who}"`));
  }
});

describe('cancellation', () => {
  for (const [server, era] of [
    ['new', 'modern'],
    ['old', 'legacy'],
  ] as const) {
    test(`a modern client that closes reaches ${server}`, async () => {
      const from = two.seen.length;
      const abort = new AbortController();
      const answer = send('POST', { ...modern(`${server}__wait`), signal: abort.signal });
      answer.catch(() => {});
      assert.ok(await called(era, from));
      abort.abort();
      assert.ok(await soon(() => since(from).find(era === 'modern' ? left : cancelled)));
    });
  }

  test('a modern client that closes reaches a process', async () => {
    const abort = new AbortController();
    const before = started.lines().length;
    const answer = send('POST', { ...modern('line__wait'), signal: abort.signal });
    answer.catch(() => {});
    const fresh = (word: string) =>
      soon(() =>
        started
          .lines()
          .slice(before)
          .find((line) => line.includes(word)),
      );
    assert.ok(await fresh('"tools/call"'));
    abort.abort();
    assert.ok(await fresh('"notifications/cancelled"'));
  });

  for (const how of ['a call', 'a batch'])
    test(`a legacy client that loses its connection cancels nothing of ${how}`, async () => {
      const from = two.seen.length;
      const abort = new AbortController();
      const named = await session({ revision: how === 'a call' ? '2025-06-18' : '2025-03-26' });
      const one = call(1, 'new__wait');
      const answer = send('POST', {
        headers: named,
        body: how === 'a call' ? one : `[${one},${call(2, 'new__wait')}]`,
        signal: abort.signal,
      });
      answer.catch(() => {});
      assert.ok(await called('modern', from));
      abort.abort();
      await sleep(400);
      assert.equal(since(from).filter(left).length, 0);
      two.answerAll();
    });

  test('a message of a batch is cancelled by its own session alone, and the others go on', async () => {
    const from = two.seen.length;
    const [named, other] = [await session({ revision: '2025-03-26' }), await session({ token: eve })];
    const answer = send('POST', { headers: named, body: `[${call('a', 'new__wait')},${call('b', 'new__wait')}]` });
    const both = () => since(from).filter((one) => one.verb === 'POST').length === 2 || undefined;
    assert.ok(await soon(both));
    const cancel = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}';
    assert.equal(await status(send('POST', { headers: other, token: eve, body: cancel })), 202);
    assert.equal(await status(send('POST', { headers: named, token: eve, body: cancel })), 404);
    await sleep(200);
    assert.equal(since(from).filter(left).length, 0);
    assert.equal(await status(send('POST', { headers: named, body: cancel })), 202);
    assert.ok(await soon(() => since(from).find(left)));
    two.answerAll();
    const text = await (await answer).body.text();
    assert.match(text, /"id":"b","result"/);
    assert.equal(since(from).filter(left).length, 1);
  });
});

describe('a question that will not be answered', () => {
  for (const server of ['old', 'new'])
    test(`ends with its session: the call is over at once, and ${server} is told what it can be told`, async () => {
      const from = two.seen.length;
      const named = await session();
      const stream = messages(send('POST', { headers: named, body: call(1, `${server}__ask`) }));
      const { value: question } = await stream.next();
      assert.equal(question?.['method'], 'elicitation/create');
      const ending = stream.next();
      const begun = performance.now();
      assert.equal(await status(send('DELETE', { headers: named, token: eve })), 404);
      assert.equal(await status(send('DELETE', { headers: named })), 200);
      let last: unknown = await Promise.race([ending, sleep(3_000, 'still waiting')]);
      while (last !== 'still waiting' && !(last as IteratorResult<unknown>).done)
        last = await Promise.race([stream.next(), sleep(3_000, 'still waiting')]);
      assert.notEqual(last, 'still waiting');
      assert.ok(performance.now() - begun < 3_000);
      if (server === 'old') assert.ok(await soon(() => since(from).find(cancelled)), 'the upstream goes on waiting');
    });

  test('because its server has gone on without it keeps nobody waiting', async () => {
    const named = await session();
    const stream = messages(send('POST', { headers: named, body: call(1, 'old__ask') }));
    const { value: question } = await stream.next();
    assert.equal(question?.['method'], 'elicitation/create', JSON.stringify(question));
    two.answerAll();
    const heard: unknown[] = [];
    const rest = (async () => {
      for await (const message of stream) heard.push(message);
    })();
    assert.notEqual(await Promise.race([rest, sleep(3_000, 'still waiting')]), 'still waiting');
    const [taken, answer] = heard as [{ method: string; params: { requestId: string } }, { result: object }];
    assert.deepEqual([taken.method, taken.params.requestId], ['notifications/cancelled', question?.['id']]);
    assert.deepEqual((answer.result as { content: unknown[] }).content, []);
  });

  test('for a secret in its answer ends the call at the legacy server', async () => {
    const from = two.seen.length;
    const named = await session();
    const stream = messages(send('POST', { headers: named, body: call(1, 'old__ask') }));
    const { value: question } = await stream.next();
    const result = `{"action":"accept","content":{"a":"${SECRET}"}}`;
    const body = `{"jsonrpc":"2.0","id":${JSON.stringify(question?.['id'])},"result":${result}}`;
    assert.equal(await status(send('POST', { headers: named, body })), 202);
    const { value: end } = await stream.next();
    assert.match(JSON.stringify(end), /BLOCKED_CONTENT/);
    assert.ok(await soon(() => since(from).find(cancelled)), 'the upstream goes on waiting');
    assert.ok(!since(from).some(({ raw }) => raw.includes(SECRET)));
  });

  test('of a modern client is answered by nobody else, who cannot tell whether it is open', async () => {
    const first = await send('POST', modern('old__ask'));
    const { result } = (await first.body.json()) as { result: { requestState: string; inputRequests: object } };
    const [key] = Object.keys(result.inputRequests);
    const round = (state: string) =>
      modern('old__ask', {
        more: `,"requestState":"${state}","inputResponses":{"${key}":{"action":"accept","content":{"a":"blue"}}}`,
      });
    const foreign = await send('POST', { ...round(result.requestState), token: eve });
    const invented = await send('POST', { ...round('A'.repeat(result.requestState.length)), token: eve });
    assert.equal(foreign.statusCode, invented.statusCode);
    const refused = plain(await invented.body.text());
    assert.match(refused, /REQUEST_STATE_REFUSED/);
    assert.equal(plain(await foreign.body.text()), refused);
    const from = two.seen.length;
    const mine = send('POST', round(result.requestState));
    assert.ok(await soon(() => since(from).find(({ raw }) => raw.includes('"blue"'))));
    two.answerAll();
    assert.equal(await status(mine), 200);
  });
});

describe('every way in', () => {
  const ways = (named: Headers): [string, Parameters<typeof send>][] => [
    ['GET', ['GET', { headers: named }]],
    ['DELETE', ['DELETE', { headers: named }]],
    ['a batch', ['POST', { body: `[${call(1, 'new__echo')}]` }]],
    ['a notification', ['POST', { headers: named, body: '{"jsonrpc":"2.0","method":"notifications/initialized"}' }]],
    ['a response', ['POST', { headers: named, body: '{"jsonrpc":"2.0","id":"r1.x.y.1.z","result":{}}' }]],
    ['initialize', ['POST', { body: '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}' }]],
  ];

  test('without a credential is a 401, the same with a session that exists as with none', async () => {
    const named = await session();
    for (const [way, [method, more]] of ways(named)) {
      const answer = await send(method, { ...more, token: null });
      const { statusCode, headers } = answer;
      await answer.body.dump();
      assert.equal(statusCode, 401, way);
      assert.ok(headers['www-authenticate'], way);
    }
    assert.equal(await status(send('DELETE', { headers: named })), 200);
  });

  test('with the session of somebody else is the same 404 as with one nobody has', async () => {
    const named = await session();
    const none = { ...named, 'mcp-session-id': `s1.${'A'.repeat(11)}.${'B'.repeat(200)}` };
    for (const [way, [method, more]] of ways(named)) {
      if (way === 'a batch' || way === 'initialize') continue;
      const [foreign, unknown] = [
        await send(method, { ...more, token: eve }),
        await send(method, { ...more, headers: none, token: eve }),
      ];
      assert.deepEqual([foreign.statusCode, unknown.statusCode], [404, 404], way);
      assert.equal(plain(await foreign.body.text()), plain(await unknown.body.text()), way);
      const names = (answer: Dispatcher.ResponseData) => Object.keys(answer.headers).sort();
      assert.deepEqual(names(foreign), names(unknown), way);
    }
    assert.equal(await status(send('DELETE', { headers: named })), 200);
  });

  test('a batch hides no message of another era and no batch in a batch', async () => {
    const old = await session({ revision: '2025-03-26' });
    const from = two.seen.length;
    const { 'mcp-protocol-version': _said, ...silent } = old;
    const { body } = modern('new__echo', { args: '{}' });
    const headers = { ...silent, 'mcp-method': 'tools/call', 'mcp-name': 'new__echo' };
    const answer = await send('POST', { headers, body: `[${body},[${call(1, 'new__echo')}]]` });
    const text = await answer.body.text();
    assert.ok(!text.includes('hologram'), text);
    assert.equal(since(from).length, 0);
  });
});

test('ids of many KB are turned away like any session that is none', async () => {
  const headers = { 'mcp-session-id': `s1.${'A'.repeat(9_000)}` };
  assert.equal(await status(send('POST', { headers, body: call(1, 'new__echo') })), 404);
});

test('what a modern client answered is in the log under the key of the principal, and every refusal stands there', async () => {
  const { quickstart } = started;
  const more = `,"requestState":"%","inputResponses":{"one":{"action":"accept","content":{"a":"green"}}}`;
  const first = await send('POST', modern('new__ask'));
  const { result } = (await first.body.json()) as { result: { requestState: string } };
  assert.ok(result.requestState);
  await status(send('POST', modern('new__ask', { more: more.replace('%', result.requestState) })));
  await quickstart.stop();
  const records = await recordsOf(quickstart.gateway.home);
  const answers = records.filter(({ payload }) => payload?.get('answers')?.includes('green'));
  assert.equal(answers.length, 1);
  assert.equal(answers[0]!.envelope.kind, 'intent');
  assert.equal(answers[0]!.payload!.get('answers')!.toString(), '{"one":{"action":"accept","content":{"a":"green"}}}');
  const codes = endings(records);
  assert.equal(codes.get('authentication.missing'), 6);
  assert.ok((codes.get('authentication.session') ?? 0) >= 10);
});
