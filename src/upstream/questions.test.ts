import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../core/log.ts';
import { type Answers, InputRequired, type QuestionAnswer } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import { clientWith, json, requestFor, type Seen, scripted } from './fixture.test.ts';
import { legacyServer, type Script } from './legacy-fixture.test.ts';
import { openServer } from './servers.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const shown = (value: unknown) =>
  value instanceof Refusal ? `${value.code} ${JSON.stringify(value.facts)}` : JSON.stringify(value);
const calls = (seen: readonly Seen[]) => seen.filter(({ body }) => body.method === 'tools/call');
const answered = (state: string | null, given: Record<string, string> = {}, kind: 'result' | 'error' = 'result') =>
  ({
    state,
    given: new Map(
      Object.entries(given).map(([key, value]): [string, QuestionAnswer] => [key, { kind, bytes: Buffer.from(value) }]),
    ),
  }) satisfies Answers;

function asksFor(value: unknown): InputRequired {
  assert.ok(value instanceof InputRequired, shown(value));
  return value;
}

const FORM = { method: 'elicitation/create', params: { mode: 'form', message: 'sure?', requestedSchema: { big: 1 } } };
const able = clientWith({ elicitation: {}, sampling: {}, roots: { listChanged: true } });

async function modern(answer: (seen: Seen, res: ServerResponse) => void, extensions: readonly string[] = []) {
  const upstream = await scripted((seen, res) => {
    const result = { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } };
    if (seen.body.method === 'server/discover') return json(res, 200, { jsonrpc: '2.0', id: seen.body.id, result });
    answer(seen, res);
  });
  const server = openServer(
    'shop',
    { http: { url: upstream.url, ca: undefined, authorization: undefined, maxConnections: 4 }, extensions },
    { clock: () => ({ utc: 0, mono: performance.now() }), log: silentLog, onChanged: () => {}, onEnded: () => {} },
  );
  closing.push(() => server.close(), upstream.close);
  return { ...upstream, server };
}

async function legacy(script: Script) {
  const opened = await legacyServer(script);
  closing.push(opened.close);
  return opened;
}

const replies = (result: object) => (seen: Seen, res: ServerResponse) =>
  json(res, 200, { jsonrpc: '2.0', id: seen.body.id, result });

describe('capabilities told to an upstream', () => {
  test('are what the client declared and this bridge can carry; extensions only where the operator allows them', async () => {
    const { server, seen } = await modern(replies({ resultType: 'complete', content: [] }), ['com.example/ui']);
    const extensions = {
      'com.example/ui': { mime: ['x'] },
      'com.example/other': {},
      'io.modelcontextprotocol/tasks': {},
    };
    const client = clientWith({
      elicitation: { url: {} },
      sampling: { tools: {} },
      roots: { listChanged: true },
      tasks: {},
      extensions,
    });
    await server.call(requestFor({ client }));
    const meta = calls(seen)[0]!.body.params['_meta'] as Record<string, unknown>;
    assert.deepEqual(meta['io.modelcontextprotocol/clientCapabilities'], {
      elicitation: { url: {} },
      sampling: { tools: {} },
      roots: {},
      extensions: { 'com.example/ui': { mime: ['x'] } },
    });
  });

  test('a client of an older revision is not said to know what its revision does not', async () => {
    const { server, seen } = await modern(replies({ resultType: 'complete', content: [] }));
    const declared = { elicitation: { form: {}, url: {} }, sampling: { tools: {} } };
    for (const revision of ['2025-11-25', '2025-06-18', '2025-03-26'] as const)
      await server.call(requestFor({ client: clientWith(declared, revision) }));
    assert.deepEqual(
      calls(seen).map(
        ({ body }) => (body.params['_meta'] as Record<string, unknown>)['io.modelcontextprotocol/clientCapabilities'],
      ),
      [
        { elicitation: { form: {}, url: {} }, sampling: { tools: {} } },
        { elicitation: { form: {} }, sampling: {} },
        { sampling: {} },
      ],
    );
  });
});

describe('questions of a modern upstream', () => {
  const asking = (inputRequests: object, requestState?: string) =>
    replies({
      resultType: 'input_required',
      inputRequests,
      ...(requestState ? { requestState } : {}),
      _meta: { 'gatewrit/code': 1, x: 1 },
    });

  test('come out by its own keys with their bytes and its state; our marks do not', async () => {
    const { server } = await modern(asking({ ok: FORM, roots: { method: 'roots/list' } }, 'state "1"'));
    const asked = asksFor(await server.call(requestFor({ client: able })));
    assert.deepEqual([...asked.questions.keys()], ['ok', 'roots']);
    assert.equal(text(asked.questions.get('ok')!.params), JSON.stringify(FORM.params));
    assert.equal(text(asked.questions.get('roots')!.params), '{}');
    assert.equal(asked.state, 'state "1"');
    assert.equal(text(asked.meta!), '{"x":1}');
  });

  test('a retry carries the answers byte for byte and the exact state; what the client itself put there does not travel', async () => {
    const { server, seen } = await modern(replies({ resultType: 'complete', content: [] }));
    await server.call(
      requestFor({
        client: able,
        answers: answered('st\u00e4te"', { 'a"b': '{"action":"accept","content":{"n":12345678901234567890}}' }),
      }),
    );
    const { body, raw } = calls(seen)[0]!;
    assert.equal(body.params['requestState'], 'st\u00e4te"');
    assert.match(raw, /"inputResponses":\{"a\\"b":\{"action":"accept","content":\{"n":12345678901234567890\}\}\}/);
    assert.match(raw, /"arguments":\{"n":12345678901234567890, "t":"\\u0061"\}/);
  });

  test('a state alone is a round, too; neither questions nor a state is a fault', async () => {
    const { server } = await modern(asking({}, 'wait'));
    assert.equal(asksFor(await server.call(requestFor())).state, 'wait');
    const { server: mute } = await modern(asking({}));
    assert.match(shown(await mute.call(requestFor())), /^upstream.protocol/);
  });

  const refused: [string, object, object, RegExp][] = [
    [
      'a kind that was not declared',
      { roots: {} },
      { q: FORM },
      /^upstream.capability .*"requiredCapabilities":\{"elicitation":\{"form":\{\}\}\}/,
    ],
    [
      'a mode that was not declared',
      { elicitation: {} },
      { q: { method: 'elicitation/create', params: { mode: 'url', url: 'https://x', message: '' } } },
      /^upstream.capability .*"url"/,
    ],
    [
      'sampling with tools, undeclared',
      { sampling: {} },
      { q: { method: 'sampling/createMessage', params: { tools: [] } } },
      /^upstream.capability .*"tools"/,
    ],
    [
      'a mode nobody knows',
      { elicitation: { form: {}, url: {} } },
      { q: { method: 'elicitation/create', params: { mode: 'voice' } } },
      /^upstream.capability/,
    ],
    [
      'a method no client is asked',
      { elicitation: {} },
      { q: { method: 'tools/call', params: {} } },
      /^upstream.protocol/,
    ],
    [
      '17 questions at once',
      { roots: {} },
      Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`q${i}`, { method: 'roots/list' }])),
      /^upstream.protocol/,
    ],
    ['questions that are no object', { roots: {} }, [], /^upstream.protocol/],
  ];
  for (const [what, declared, inputRequests, expected] of refused) {
    test(`${what} is refused`, async () => {
      const { server } = await modern(asking(inputRequests));
      assert.match(shown(await server.call(requestFor({ client: clientWith({ ...declared }) }))), expected);
    });
  }

  test('a legacy client that answers with an error has cancelled an elicitation; other questions end the call', async () => {
    const { server, seen } = await modern(replies({ resultType: 'complete', content: [] }));
    const error = '{"code":-1,"message":"no"}';
    const asked = new Map([
      ['e', { method: 'elicitation/create', params: Buffer.from('{}') }],
      ['s', { method: 'sampling/createMessage', params: Buffer.from('{}') }],
    ] as const);
    await server.call(requestFor({ client: able, asked, answers: answered(null, { e: error }, 'error') }));
    assert.deepEqual(calls(seen)[0]!.body.params['inputResponses'], { e: { action: 'cancel' } });
    const ended = await server.call(
      requestFor({ client: able, asked, answers: answered(null, { s: error }, 'error') }),
    );
    assert.match(shown(ended), /^upstream.capability/);
    assert.equal(calls(seen).length, 1);
  });

  test('-32021 about the client is told to it; other words about our request are not', async () => {
    const required = { elicitation: { form: {} } };
    const { server } = await modern(({ body }, res) =>
      json(res, 400, {
        jsonrpc: '2.0',
        id: body.id,
        error: { code: -32021, message: 'x', data: { requiredCapabilities: required } },
      }),
    );
    assert.match(
      shown(await server.call(requestFor())),
      /^upstream.capability .*"requiredCapabilities":\{"elicitation":\{"form":\{\}\}\}/,
    );
    const { server: other } = await modern(({ body }, res) =>
      json(res, 400, { jsonrpc: '2.0', id: body.id, error: { code: -32022, message: 'x', data: { supported: [] } } }),
    );
    assert.match(shown(await other.call(requestFor())), /^upstream.protocol .*the call was not made/);
  });

  test('-32021 tells a client the names that it could declare, and no word of the server’s own', async () => {
    const lacking = { now: {} as unknown };
    const { server } = await modern(
      ({ body }, res) =>
        json(res, 400, {
          jsonrpc: '2.0',
          id: body.id,
          error: { code: -32021, message: 'x', data: { requiredCapabilities: lacking.now } },
        }),
      ['com.example/known'],
    );
    const told = async (of: unknown) => {
      lacking.now = of;
      return shown(await server.call(requestFor()));
    };
    const words = 'jane.roe@example.org AKIAIOSFODNN7EXAMPLE';
    const lacks = {
      [words]: { [words]: words },
      elicitation: { url: { [words]: words }, [words]: {} },
      sampling: words,
      extensions: { 'com.example/known': { [words]: 1 }, [words]: {} },
      nothing: null,
    };
    const all = await told(lacks);
    assert.ok(!all.includes('jane.roe') && !all.includes('AKIA'), all);
    assert.match(
      all,
      /^upstream.capability .*"requiredCapabilities":\{"elicitation":\{"url":\{\}\},"sampling":\{\},"extensions":\{"com.example\/known":\{\}\}\}/,
    );
    for (const required of [{ [words]: {} }, { x: null }, {}]) {
      const nothing = await told(required);
      assert.match(nothing, /^upstream.protocol .*no client can declare/);
      assert.ok(!nothing.includes('jane.roe'), nothing);
    }
  });

  test('-32021 about an extension that we kept from the server is not told as a lack of the client', async () => {
    const required = { extensions: { 'com.example/x': {} } };
    const { server } = await modern(({ body }, res) =>
      json(res, 400, {
        jsonrpc: '2.0',
        id: body.id,
        error: { code: -32021, message: 'x', data: { requiredCapabilities: required } },
      }),
    );
    assert.match(shown(await server.call(requestFor({ client: clientWith(required) }))), /^upstream.protocol /);
    assert.match(shown(await server.call(requestFor())), /^upstream.capability /);
  });

  test('-32020 is tried once more when the live definition is the pinned one, and not when it changed', async () => {
    const { target } = requestFor();
    const schema = { type: 'object' };
    for (const [inputSchema, times] of [
      [schema, 2],
      [{ type: 'object', properties: { a: {} } }, 1],
    ] as const) {
      const { server, seen } = await modern(({ body }, res) => {
        if (body.method === 'tools/list')
          return json(res, 200, {
            jsonrpc: '2.0',
            id: body.id,
            result: { resultType: 'complete', tools: [{ name: 'buy', inputSchema }] },
          });
        json(res, 400, { jsonrpc: '2.0', id: body.id, error: { code: -32020, message: 'mismatch' } });
      });
      assert.match(shown(await server.call(requestFor({ target }))), /^upstream.protocol .*not made/);
      assert.equal(calls(seen).length, times);
    }
  });
});

describe('questions of a legacy upstream over HTTP', () => {
  /** Asks one question, answers the call with what it was answered. */
  const oneQuestion = (question: object): Script => {
    let stream: { say(message: object): void; end(): void };
    let id: number;
    return {
      call: (seen, opened) => {
        [stream, id] = [opened, seen.body.id];
        stream.say({ id: 'q-1', ...question });
      },
      other: ({ raw, body, verb }, res) => {
        if (verb !== 'POST' || body.method !== undefined) return false;
        res.writeHead(202).end();
        stream.say({ id, result: { content: [], got: JSON.parse(raw) } });
        stream.end();
        return true;
      },
    };
  };

  test('park the call; the next round posts the answer, and brings the result', async () => {
    const { server, seen, sessions } = await legacy(oneQuestion(FORM));
    const asked = asksFor(await server.call(requestFor({ client: able })));
    assert.deepEqual(
      [...asked.questions.values()].map(({ method, params }) => [method, text(params)]),
      [[FORM.method, JSON.stringify(FORM.params)]],
    );
    assert.ok(
      [...sessions.values()].some(
        (params) => JSON.stringify(params['capabilities']) === '{"elicitation":{"form":{}},"sampling":{},"roots":{}}',
      ),
    );
    const [key] = asked.questions.keys();
    const result = await server.call(
      requestFor({
        client: able,
        answers: answered(asked.state, { [key!]: '{"action":"accept","content":{"n":1.0}}' }),
      }),
    );
    assert.ok(!(result instanceof Refusal || result instanceof InputRequired), shown(result));
    assert.deepEqual((result.view() as { got: unknown }).got, {
      jsonrpc: '2.0',
      id: 'q-1',
      result: { action: 'accept', content: { n: 1 } },
    });
    assert.equal(calls(seen).length, 1);
    assert.match(seen.find(({ body }) => body.method === undefined && body.id === ('q-1' as never))!.raw, /"n":1\.0/);
  });

  test('a progress token of the question stays behind: it is about our connection', async () => {
    for (const [meta, left] of [
      [{ progressToken: 0 }, undefined],
      [
        { a: 1, progressToken: 0, b: 2 },
        { a: 1, b: 2 },
      ],
    ]) {
      const { server } = await legacy(oneQuestion({ ...FORM, params: { ...FORM.params, _meta: meta } }));
      const asked = asksFor(await server.call(requestFor({ client: able })));
      const params = JSON.parse(text([...asked.questions.values()][0]!.params));
      assert.deepEqual(params, { ...FORM.params, ...(left ? { _meta: left } : {}) });
    }
  });

  test('an error of the client goes on as one', async () => {
    const { server } = await legacy(oneQuestion({ method: 'roots/list' }));
    const asked = asksFor(await server.call(requestFor({ client: able })));
    const [key] = asked.questions.keys();
    const result = await server.call(
      requestFor({ client: able, answers: answered(asked.state, { [key!]: '{"code":-1,"message":"no"}' }, 'error') }),
    );
    assert.ok(!(result instanceof Refusal || result instanceof InputRequired), shown(result));
    assert.deepEqual((result.view() as { got: { error: unknown } }).got.error, { code: -1, message: 'no' });
  });

  test('what this client did not declare is answered -32601 at once, a ping is answered, the call goes on', async () => {
    const answers: { id: number; result?: object; error?: { code: number } }[] = [];
    let finish = () => {};
    const { server } = await legacy({
      call: ({ body }, { say, end }) => {
        say({ id: 1, method: 'ping' });
        say({ id: 2, method: 'sampling/createMessage', params: {} });
        say({ id: 3, method: 'no/such' });
        finish = () => {
          say({ id: body.id, result: { content: [] } });
          end();
        };
      },
      other: ({ verb, body }, res) => {
        if (verb !== 'POST' || body.method !== undefined) return false;
        res.writeHead(202).end();
        if (answers.push(body as never) === 3) finish();
        return true;
      },
    });
    const result = await server.call(requestFor({ client: clientWith({ elicitation: {} }) }));
    assert.ok(!(result instanceof Refusal || result instanceof InputRequired), shown(result));
    assert.deepEqual(answers.map(({ id, result: ok, error }) => [id, ok ?? error?.code]).sort(), [
      [1, {}],
      [2, -32601],
      [3, -32601],
    ]);
  });

  test('a parked call is good once, and for its own principal only', async () => {
    const { server } = await legacy(oneQuestion(FORM));
    const asked = asksFor(await server.call(requestFor({ client: able })));
    const { principal } = requestFor();
    const answers = answered(asked.state);
    const stranger = await server.call(
      requestFor({ client: able, answers, principal: { ...principal, key: 'other' } }),
    );
    assert.match(shown(stranger), /^upstream.state_lost .*"mayHaveExecuted":true/);
    const guessed = await server.call(requestFor({ client: able, answers: answered('guess') }));
    assert.match(shown(guessed), /^upstream.state_lost/);
    const [key] = asked.questions.keys();
    const result = await server.call(
      requestFor({ client: able, answers: answered(asked.state, { [key!]: '{"action":"decline"}' }) }),
    );
    assert.ok(!(result instanceof Refusal));
    assert.match(shown(await server.call(requestFor({ client: able, answers }))), /^upstream.state_lost/);
  });

  test('an answer that is missing is asked for again; two questions at once come in one round', async () => {
    let stream: { say(message: object): void; end(): void };
    let id: number;
    const got: unknown[] = [];
    const { server } = await legacy({
      call: (seen, opened) => {
        [stream, id] = [opened, seen.body.id];
        stream.say({ id: 1, ...FORM });
        stream.say({ id: 2, method: 'roots/list' });
      },
      other: ({ body, verb }, res) => {
        if (verb !== 'POST' || body.method !== undefined) return false;
        res.writeHead(202).end();
        if (got.push(body.id) === 2) {
          stream.say({ id, result: { content: [] } });
          stream.end();
        }
        return true;
      },
    });
    const first = asksFor(await server.call(requestFor({ client: able })));
    assert.equal(first.questions.size, 2);
    const [a, b] = first.questions.keys();
    const second = asksFor(
      await server.call(
        requestFor({ client: able, answers: answered(first.state, { [a!]: '{"action":"cancel"}', nobody: '{}' }) }),
      ),
    );
    assert.deepEqual([...second.questions.keys()], [b]);
    assert.notEqual(second.state, first.state);
    const result = await server.call(
      requestFor({ client: able, answers: answered(second.state, { [b!]: '{"roots":[]}' }) }),
    );
    assert.ok(!(result instanceof Refusal || result instanceof InputRequired), shown(result));
    assert.deepEqual(got, [1, 2]);
  });

  test('nobody comes back: the upstream is told, and the call is lost', async () => {
    const { server, seen } = await legacy({ ...oneQuestion(FORM), settings: { answerMs: 60 } });
    const asked = asksFor(await server.call(requestFor({ client: able })));
    await sleep(150);
    assert.ok(
      seen.some(
        ({ body }) => body.method === 'notifications/cancelled' && body.params['requestId'] === calls(seen)[0]!.body.id,
      ),
    );
    assert.match(
      shown(await server.call(requestFor({ client: able, answers: answered(asked.state) }))),
      /^upstream.state_lost/,
    );
  });

  test('while it waits for a person the deadline of the tool does not run', async () => {
    const { server } = await legacy(oneQuestion(FORM));
    const { target } = requestFor();
    const hasty = { ...target, limits: { ...target.limits, timeoutMs: 120 } };
    const asked = asksFor(await server.call(requestFor({ client: able, target: hasty })));
    await sleep(250);
    const [key] = asked.questions.keys();
    const result = await server.call(
      requestFor({ client: able, target: hasty, answers: answered(asked.state, { [key!]: '{"action":"accept"}' }) }),
    );
    assert.ok(!(result instanceof Refusal || result instanceof InputRequired), shown(result));
  });

  test('a 17th call of one principal that waits is refused, and cancelled', async () => {
    const { server, seen } = await legacy({ call: (_seen, { say }) => say({ id: 1, ...FORM }), maxConnections: 64 });
    const all = await Promise.all(Array.from({ length: 17 }, () => server.call(requestFor({ client: able }))));
    assert.deepEqual(
      all.flatMap((one) => (one instanceof Refusal ? [one.code] : [])),
      ['limits.streams'],
    );
    await sleep(50);
    assert.equal(seen.filter(({ body }) => body.method === 'notifications/cancelled').length, 1);
  });

  test('-32042 becomes questions to open URLs; the retry sends the call again', async () => {
    const elicitation = { mode: 'url', elicitationId: 'e-1', url: 'https://example.com/x', message: 'open' };
    let opened = false;
    const { server, seen } = await legacy({
      call: ({ body }, { res }) =>
        json(
          res,
          200,
          opened
            ? { jsonrpc: '2.0', id: body.id, result: { content: [] } }
            : {
                jsonrpc: '2.0',
                id: body.id,
                error: { code: -32042, message: 'x', data: { elicitations: [elicitation] } },
              },
        ),
    });
    const client = clientWith({ elicitation: { url: {} } });
    const asked = asksFor(await server.call(requestFor({ client })));
    const [[key, question]] = [...asked.questions] as unknown as [[string, { params: Uint8Array }]];
    assert.deepEqual(JSON.parse(text(question.params)), elicitation);
    assert.equal(asked.state, null);
    assert.match(shown(await server.call(requestFor({ client: able }))), /^upstream.capability .*"url"/);
    opened = true;
    const result = await server.call(requestFor({ client, answers: answered(null, { [key]: '{"action":"accept"}' }) }));
    assert.ok(!(result instanceof Refusal || result instanceof InputRequired), shown(result));
    assert.equal(calls(seen).length, 3);
  });
});
