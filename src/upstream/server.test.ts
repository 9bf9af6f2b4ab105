import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { silentLog } from '../core/log.ts';
import { scanMessage } from '../core/mcp/scanner.ts';
import { InputRequired } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import { clientWith, json, requestFor, type Seen, scripted } from './fixture.test.ts';
import { openServer } from './servers.ts';
import { WireFault } from './wire.ts';

const clock = () => ({ utc: Date.now(), mono: performance.now() });
const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

const DISCOVERED = {
  resultType: 'complete',
  supportedVersions: ['2026-07-28'],
  capabilities: { tools: {} },
  ttlMs: 0,
  cacheScope: 'private',
};

/** A modern server that answers calls as told. */
async function modern(answer: (seen: Seen, res: ServerResponse) => void) {
  const upstream = await scripted((seen, res) => {
    if (seen.body.method === 'server/discover')
      return json(res, 200, { jsonrpc: '2.0', id: seen.body.id, result: DISCOVERED });
    answer(seen, res);
  });
  const server = connect(upstream.url);
  closing.push(() => server.close(), upstream.close);
  return { ...upstream, server };
}

function connect(url: string, more: { onChanged?: () => void; onEnded?: () => void } = {}) {
  const settings = { http: { url, ca: undefined, authorization: 'Bearer our-own', maxConnections: 4 } };
  return openServer('shop', settings, { clock, log: silentLog, onChanged: () => {}, onEnded: () => {}, ...more });
}

const calls = (seen: readonly Seen[]) => seen.filter(({ body }) => body.method === 'tools/call');
const text = (value: unknown) =>
  value instanceof Refusal ? `${value.code} ${value.facts.evidence}` : JSON.stringify(value);

/** Bytes in buffers that somebody still needs. The second time waits until what the first one found is taken away. */
function held(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().arrayBuffers;
}

describe('what goes out', () => {
  test('the client’s bytes with id, name and _meta replaced: numbers, escapes and blanks are untouched', async () => {
    const { server, seen } = await modern(({ body }, res) =>
      json(res, 200, { jsonrpc: '2.0', id: body.id, result: { resultType: 'complete', content: [] } }),
    );
    const answer = await server.call(requestFor());
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), text(answer));
    const [call] = calls(seen);
    assert.match(call!.raw, /"arguments":\{"n":12345678901234567890, "t":"\\u0061"\}/);
    assert.equal(call!.body.params['name'], 'buy');
    assert.equal(typeof call!.body.id, 'number');
    assert.deepEqual(call!.body.params['_meta'], {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
      'io.modelcontextprotocol/clientInfo': { name: 'gatewrit', version: '0.1.0' },
      progressToken: call!.body.id,
      'vendor/x': { a: 1 },
    });
    assert.equal(call!.headers['mcp-name'], 'buy');
    assert.equal(call!.headers['mcp-method'], 'tools/call');
  });

  test('our own credential goes out; nothing of the caller’s does', async () => {
    const { server, seen } = await modern(({ body }, res) =>
      json(res, 200, { jsonrpc: '2.0', id: body.id, result: { resultType: 'complete', content: [] } }),
    );
    await server.call(requestFor());
    assert.equal(calls(seen)[0]!.headers['authorization'], 'Bearer our-own');
    assert.equal(calls(seen)[0]!.headers['cookie'], undefined);
  });

  test('approved arguments are executed in place of those of the repeat', async () => {
    const { server, seen } = await modern(({ body }, res) =>
      json(res, 200, { jsonrpc: '2.0', id: body.id, result: { resultType: 'complete', content: [] } }),
    );
    await server.call(requestFor({ approved: Buffer.from('{"t":"a","n":12345678901234567890}') }));
    assert.match(calls(seen)[0]!.raw, /"arguments":\{"t":"a","n":12345678901234567890\}/);
  });
});

describe('members of params that nobody judged', () => {
  const extra = '"task":{"ttl":60000}, "inputResponses":{"ok":{"action":"accept"}}';
  const places = {
    first: (params: string) => params.replace('{"name"', `{${extra} ,"name"`),
    between: (params: string) => params.replace(',"_meta"', `,${extra},"_meta"`),
    last: (params: string) => params.replace(/\}\}$/, ` , ${extra}}}`),
  };
  for (const [where, place] of Object.entries(places)) {
    test(`stay behind when they come ${where}`, async () => {
      const { server, seen } = await modern(({ body }, res) =>
        json(res, 200, { jsonrpc: '2.0', id: body.id, result: { resultType: 'complete', content: [] } }),
      );
      const { message } = requestFor();
      const bytes = Buffer.from(place(Buffer.from(message.bytes).toString()));
      const { params } = JSON.parse(bytes.toString()) as { params: Record<string, unknown> };
      assert.ok('task' in params && 'inputResponses' in params);
      await server.call(requestFor({ message: { ...message, bytes, params, spans: requestSpans(bytes) } }));
      const { body, raw } = calls(seen)[0]!;
      assert.deepEqual(Object.keys(body.params), ['name', 'arguments', '_meta']);
      assert.match(raw, /"n":12345678901234567890/);
    });
  }
});

describe('what comes back', () => {
  const refusals: [string, (seen: Seen, res: ServerResponse) => void, RegExp][] = [
    [
      'an answer with another id',
      (_seen, res) => json(res, 200, { jsonrpc: '2.0', id: 999_999, result: {} }),
      /upstream\.protocol/,
    ],
    [
      'an answer that is no JSON',
      (_seen, res) => void res.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":'),
      /upstream\.protocol/,
    ],
    [
      'an answer with a duplicate key',
      ({ body }, res) =>
        void res
          .writeHead(200, { 'content-type': 'application/json' })
          .end(`{"jsonrpc":"2.0","id":${body.id},"result":{"a":1,"a":2}}`),
      /upstream\.protocol/,
    ],
    [
      'both result and error',
      ({ body }, res) => json(res, 200, { jsonrpc: '2.0', id: body.id, result: {}, error: { code: 1, message: '' } }),
      /upstream\.protocol/,
    ],
    [
      'a question to the client (input_required)',
      ({ body }, res) =>
        json(res, 200, { jsonrpc: '2.0', id: body.id, result: { resultType: 'input_required', inputRequests: {} } }),
      /upstream\.protocol/,
    ],
    [
      'a redirect',
      (_seen, res) => void res.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      /upstream\.protocol/,
    ],
    [
      'more than the cap',
      ({ body }, res) => json(res, 200, { jsonrpc: '2.0', id: body.id, result: { x: 'x'.repeat(20_000) } }),
      /upstream\.too_large/,
    ],
    [
      'a stream that ends without an answer',
      (_seen, res) =>
        void res
          .writeHead(200, { 'content-type': 'text/event-stream' })
          .end('data: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n'),
      /upstream\.protocol/,
    ],
    ['401 to our credential', (_seen, res) => json(res, 401, {}), /upstream\.unavailable/],
    ['a connection that closes', (_seen, res) => void res.socket!.destroy(), /upstream\.unavailable/],
  ];
  for (const [what, answer, expected] of refusals) {
    test(`${what} is a refusal`, async () => {
      const { server } = await modern(answer);
      const refused = await server.call(requestFor());
      assert.ok(refused instanceof Refusal);
      assert.match(text(refused), expected);
    });
  }

  test('silence ends at the tool’s own deadline', async () => {
    const { server } = await modern(() => {});
    const request = requestFor();
    const refused = await server.call({
      ...request,
      target: { ...request.target, limits: { ...request.target.limits, timeoutMs: 150 } },
    });
    assert.match(text(refused), /upstream\.timeout/);
  });

  test('a client that leaves drops the connection to the upstream', async () => {
    let dropped = false;
    const { server } = await modern((_seen, res) => void res.on('close', () => (dropped = true)));
    const abort = new AbortController();
    const running = server.call(requestFor({ signal: abort.signal }));
    setTimeout(() => abort.abort(), 50);
    assert.match(text(await running), /upstream\.cancelled/);
    await new Promise((done) => setTimeout(done, 50));
    assert.ok(dropped);
  });

  test('unknown members of a result pass byte for byte; a missing resultType is added', async () => {
    const { server } = await modern(
      ({ body }, res) =>
        void res
          .writeHead(200, { 'content-type': 'application/json' })
          .end(
            `{"jsonrpc":"2.0","id":${body.id},"result":{"content":[{"type":"new","big":12345678901234567890}],"x":1.0}}`,
          ),
    );
    const answer = await server.call(requestFor());
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), text(answer));
    assert.equal(
      Buffer.from(answer.bytes).toString(),
      '{"resultType":"complete","content":[{"type":"new","big":12345678901234567890}],"x":1.0}',
    );
  });

  test('marks under our name are taken out of a result: a server cannot speak for the gateway', async () => {
    const { server } = await modern(
      ({ body }, res) =>
        void res
          .writeHead(200, { 'content-type': 'application/json' })
          .end(
            `{"jsonrpc":"2.0","id":${body.id},"result":{"_meta":{"gatewrit/replayed":true, "own/x":1.0,"gatewrit\\u002fcode":"APPROVAL_REQUIRED","Gatewrit/approval":{}},"resultType":"complete"}}`,
          ),
    );
    const answer = await server.call(requestFor());
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), text(answer));
    assert.equal(Buffer.from(answer.bytes).toString(), '{"_meta":{"own/x":1.0},"resultType":"complete"}');
  });

  test('progress comes back under the client’s own token, log lines pass, progress of others does not', async () => {
    const got: Record<string, unknown>[] = [];
    const { server } = await modern(({ body }, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      const say = (message: object) =>
        res.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
      say({ method: 'notifications/progress', params: { progressToken: body.id, progress: 1 } });
      say({ method: 'notifications/progress', params: { progressToken: body.id + 1, progress: 2 } });
      say({ method: 'notifications/message', params: { level: 'info', data: 'working' } });
      say({ id: body.id, result: { resultType: 'complete', content: [] } });
    });
    const answer = await server.call(
      requestFor({
        client: clientWith({}, '2026-07-28', 'info'),
        onNotification: (bytes) => got.push(JSON.parse(Buffer.from(bytes).toString())),
      }),
    );
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), text(answer));
    assert.deepEqual(
      got.map(({ params }) => params),
      [
        { progressToken: 'mine', progress: 1 },
        { level: 'info', data: 'working' },
      ],
    );
  });
});

describe('eras', () => {
  test('a server that knows only initialize is legacy: a session is opened, repeated on calls, and results are dressed', async () => {
    const upstream = await scripted(({ body, headers, verb }, res) => {
      if (body.method === 'server/discover')
        return json(res, 400, { jsonrpc: '2.0', error: { code: -32000, message: 'no session' }, id: null });
      if (body.method === 'initialize') {
        res.setHeader('mcp-session-id', 'session-1');
        return json(res, 200, {
          jsonrpc: '2.0',
          id: body.id,
          result: {
            protocolVersion: '2025-06-18',
            capabilities: { tools: {} },
            serverInfo: { name: 'x', version: '1' },
          },
        });
      }
      if (body.method === 'notifications/initialized' || verb === 'DELETE') return void res.writeHead(202).end();
      if (verb === 'GET') return void res.writeHead(405).end();
      assert.equal(headers['mcp-session-id'], 'session-1');
      assert.equal(headers['mcp-protocol-version'], '2025-06-18');
      assert.equal((body.params['_meta'] as object)['io.modelcontextprotocol/protocolVersion' as never], undefined);
      json(res, 200, { jsonrpc: '2.0', id: body.id, result: { content: [] } });
    });
    const server = connect(upstream.url);
    closing.push(() => server.close(), upstream.close);
    const answer = await server.call(requestFor());
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), text(answer));
    assert.equal(Buffer.from(answer.bytes).toString(), '{"resultType":"complete","content":[]}');
  });

  test('trouble on the way is no evidence: 503 to the probe is unavailable, and the era is asked again next time', async () => {
    let up = false;
    const upstream = await scripted(({ body }, res) => {
      if (!up) return void res.writeHead(503).end();
      if (body.method === 'server/discover') return json(res, 200, { jsonrpc: '2.0', id: body.id, result: DISCOVERED });
      json(res, 200, { jsonrpc: '2.0', id: body.id, result: { resultType: 'complete', content: [] } });
    });
    const server = connect(upstream.url);
    closing.push(() => server.close(), upstream.close);
    assert.match(text(await server.call(requestFor())), /upstream\.unavailable/);
    up = true;
    assert.ok(!((await server.call(requestFor())) instanceof Refusal));
    assert.ok(upstream.seen.every(({ body }) => body.method !== 'initialize'));
  });

  test('one that says nothing, or no object, where it should say what it is, is a protocol fault, not an error of ours', async () => {
    for (const said of [{ result: null }, { error: null }, { result: 5 }, { result: [] }, { error: 'no' }]) {
      const upstream = await scripted(({ body }, res) => json(res, 200, { jsonrpc: '2.0', id: body.id, ...said }));
      const server = connect(upstream.url);
      closing.push(() => server.close(), upstream.close);
      assert.match(text(await server.call(requestFor())), /^upstream\.protocol .*initialize/, JSON.stringify(said));
    }
    const odd = await modern(({ body }, res) =>
      json(res, 200, { jsonrpc: '2.0', id: body.id, result: { tools: [null] } }),
    );
    await assert.rejects(odd.server.introspect(), /answered without tools/);
  });

  test('a server that never stops paging is refused at introspection', async () => {
    const upstream = await modern(({ body }, res) =>
      json(res, 200, {
        jsonrpc: '2.0',
        id: body.id,
        result: { resultType: 'complete', tools: [], nextCursor: 'again' },
      }),
    );
    await assert.rejects(upstream.server.introspect(), /more than 50 pages/);
  });

  test('one whose pages are large is refused before they fill our memory', async () => {
    const tools = [{ name: 'x', description: 'x'.repeat(4 * 1024 * 1024), inputSchema: { type: 'object' } }];
    const upstream = await modern(({ body }, res) =>
      json(res, 200, { jsonrpc: '2.0', id: body.id, result: { resultType: 'complete', tools, nextCursor: 'again' } }),
    );
    await assert.rejects(upstream.server.introspect(), /the answer passed the cap/);
    assert.ok(upstream.seen.length <= 6, String(upstream.seen.length));
  });
});

describe('a process over stdio', () => {
  const program = (source: string) => ({ stdio: { command: 'node', args: ['-e', source], cwd: '.', env: {} } });
  const open = (source: string, more: { onEnded?: () => void; onChanged?: () => void } = {}) => {
    const server = openServer('shop', program(source), {
      clock,
      log: silentLog,
      onChanged: () => {},
      onEnded: () => {},
      ...more,
    });
    closing.push(() => server.close());
    return server;
  };
  const patient = { ...requestFor().target, limits: { ...requestFor().target.limits, timeoutMs: 10_000 } };
  const LOOP =
    'require("readline").createInterface({input:process.stdin}).on("line",(line)=>{const m=JSON.parse(line);const say=(o)=>process.stdout.write(JSON.stringify({jsonrpc:"2.0",...o})+"\\n");';

  test('a modern one is asked once and kept; its environment holds nothing of ours', async () => {
    const server = open(
      `${LOOP}say({id:m.id,result:m.method==="server/discover"?${JSON.stringify(DISCOVERED)}:{resultType:"complete",content:[{type:"text",text:Object.keys(process.env).sort().join()}]}})})`,
    );
    process.env['GATEWRIT_TEST_SECRET'] = 'hunter2';
    const answer = await server.call(requestFor());
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), text(answer));
    assert.doesNotMatch(Buffer.from(answer.bytes).toString(), /GATEWRIT_TEST_SECRET/);
  });

  test('40 calls at once get their own answers', async () => {
    const server = open(
      `${LOOP}if(m.method==="server/discover")return say({id:m.id,result:${JSON.stringify(DISCOVERED)}});setTimeout(()=>say({id:m.id,result:{resultType:"complete",nonce:m.params._meta["vendor/nonce"]}}),Math.random()*30)})`,
    );
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const request = requestFor();
        const bytes = Buffer.from(
          request.message.bytes
            .toString()
            .replace('"vendor/x":{"a":1.0}', `"vendor/nonce":${String(i).padStart(7, '1')}`),
        );
        const answer = await server.call({
          ...request,
          message: { ...request.message, bytes, spans: requestSpans(bytes) },
        });
        assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), text(answer));
        return (answer.view() as { nonce: number }).nonce === Number(String(i).padStart(7, '1'));
      }),
    );
    assert.ok(answers.every(Boolean));
  });

  test('one that dies takes its calls with it as "may have run", tells us, and is started again for the next', async () => {
    let ended = 0;
    const server = open(
      `${LOOP}if(m.method==="server/discover")return say({id:m.id,result:${JSON.stringify(DISCOVERED)}});if(m.method==="tools/call")process.exit(1);say({id:m.id,result:{resultType:"complete",tools:[]}})})`,
      { onEnded: () => ended++ },
    );
    const refused = await server.call(requestFor());
    assert.match(text(refused), /upstream\.unavailable/);
    assert.match((refused as Refusal).facts.text ?? '', /may have run/);
    assert.equal(ended, 1);
    assert.ok(!((await server.introspect()) instanceof WireFault));
  });

  test('a program that does not exist is unavailable, not a crash', async () => {
    const server = openServer(
      'shop',
      { stdio: { command: '/nonexistent/program', args: [], cwd: '.', env: {} } },
      { clock, log: silentLog, onChanged: () => {}, onEnded: () => {} },
    );
    assert.match(text(await server.call(requestFor())), /upstream\.unavailable/);
  });

  test('a notice that a list changed is heard while no call is under way', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const server = open(
      `${LOOP}say({id:m.id,result:m.method==="server/discover"?${JSON.stringify(DISCOVERED)}:{resultType:"complete",content:[]}});if(m.method==="tools/call")setTimeout(()=>say({method:"notifications/tools/list_changed"}),30)})`,
      { onChanged: resolve },
    );
    await server.call(requestFor());
    await promise;
  });

  test('progress goes to the call that it names and to no other; a notification past 64 KiB goes to none', async () => {
    const server = open(
      `${LOOP}if(m.method==="server/discover")return say({id:m.id,result:${JSON.stringify(DISCOVERED)}});ids.push(m.id);if(ids.length<2)return;const p=(progressToken,message)=>say({method:"notifications/progress",params:{progressToken,progress:1,message}});p(ids[0],"first");p(ids[1],"second");p(String(ids[0]),"text");p(ids[0],"x".repeat(70000));for(const id of ids)say({id,result:{resultType:"complete",content:[]}})});const ids=[]`,
    );
    const heard: string[][] = [[], []];
    await Promise.all(
      heard.map((said) =>
        server.call(
          requestFor({
            onNotification: (bytes) => said.push(JSON.parse(Buffer.from(bytes).toString()).params.message),
          }),
        ),
      ),
    );
    assert.deepEqual(heard, [['first'], ['second']]);
  });

  test('a call whose client has left is not sent', async () => {
    const server = open(
      `${LOOP}if(m.method==="server/discover")return say({id:m.id,result:${JSON.stringify(DISCOVERED)}});say({id:m.id,result:{resultType:"complete",calls:++calls}})});let calls=0`,
    );
    const gone = new AbortController();
    gone.abort();
    assert.match(text(await server.call(requestFor({ signal: gone.signal }))), /upstream\.cancelled/);
    const answer = await server.call(requestFor());
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), text(answer));
    assert.equal((answer.view() as { calls: number }).calls, 1);
  });

  test('a listener that throws costs its own message, not the process', async () => {
    const server = open(
      `${LOOP}if(m.method==="server/discover")return say({id:m.id,result:${JSON.stringify(DISCOVERED)}});say({method:"notifications/progress",params:{progressToken:m.id,progress:1}});say({id:m.id,result:{resultType:"complete",content:[]}})})`,
    );
    const answer = await server.call(
      requestFor({
        onNotification: () => {
          throw new Error('a bug of ours');
        },
      }),
    );
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), text(answer));
  });

  test('10,000 lines on stderr and as many of rubbish are a line or two in our log, and none of their text', async () => {
    const lines: string[] = [];
    const server = openServer(
      'shop',
      program(
        `${LOOP}if(m.method==="server/discover")return say({id:m.id,result:${JSON.stringify(DISCOVERED)}});process.stderr.write("canary\\n".repeat(10000));process.stdout.write("canary\\n".repeat(10000));setTimeout(()=>say({id:m.id,result:{resultType:"complete",content:[]}}),50)})`,
      ),
      {
        clock,
        log: { ...silentLog, info: (line, fields) => lines.push(`${line} ${JSON.stringify(fields)}`) },
        onChanged: () => {},
        onEnded: () => {},
      },
    );
    closing.push(() => server.close());
    assert.ok(!((await server.call(requestFor())) instanceof Refusal));
    const written = lines.filter((line) => line.startsWith('upstream wrote'));
    assert.ok(written.length >= 1 && written.length <= 3, `${written.length} lines`);
    assert.doesNotMatch(lines.join(), /canary/);
  });

  test('a server that asks without reading our answers is answered until 1 MiB waits, then no more', async () => {
    const before = held();
    const server = open(
      `${LOOP}if(m.method==="server/discover")return say({id:m.id,result:${JSON.stringify(DISCOVERED)}});process.stdin.pause();const ping='{"jsonrpc":"2.0","method":"ping","id":"'+"x".repeat(1000)+'"}\\n';process.stdout.write(ping.repeat(20000),()=>say({id:m.id,result:{resultType:"complete",content:[]}}))})`,
    );
    const answer = await server.call(requestFor({ target: patient }));
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), text(answer));
    const grown = held() - before;
    assert.ok(grown < 6 * 1024 * 1024, `${grown} bytes more`);
  });

  test('log lines reach the only call that runs, if it asked for them, and none when two run', async () => {
    const server = open(
      `${LOOP}if(m.method==="server/discover")return say({id:m.id,result:${JSON.stringify(DISCOVERED)}});ids.push(m.id);if(ids.length===2)return;say({method:"notifications/message",params:{level:"error",data:ids.length}});for(const id of ids)say({id,result:{resultType:"complete",content:[]}})});const ids=[]`,
    );
    const lines: number[] = [];
    const call = (level: string | null) =>
      server.call(
        requestFor({
          client: clientWith({}, '2026-07-28', level),
          onNotification: (bytes) => lines.push(JSON.parse(Buffer.from(bytes).toString()).params.data),
        }),
      );
    await call('info');
    await Promise.all([call('info'), call('info')]);
    await call(null);
    assert.deepEqual(lines, [1]);
  });

  test('a question of the server is answered "not supported", a ping is answered, rubbish is dropped', async () => {
    const server = open(
      `${LOOP}if(m.method==="server/discover")return say({id:m.id,result:${JSON.stringify(DISCOVERED)}});if(m.id==="q"){got=m;return say({id:call,result:{resultType:"complete",answer:m}})}call=m.id;process.stdout.write("not json\\n");say({id:"q",method:"sampling/createMessage",params:{}})});let call,got`,
    );
    const answer = await server.call(requestFor());
    assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), text(answer));
    assert.equal((answer.view() as { answer: { error: { code: number } } }).answer.error.code, -32601);
  });
});

/** Spans of an edited message, read as the front reads them. */
function requestSpans(bytes: Buffer) {
  const spans = scanMessage(bytes);
  assert.ok(typeof spans !== 'string');
  const { id, params, paramsMembers: members, metaMembers } = spans;
  return {
    id,
    method: spans.method!,
    params,
    name: members.get('name') ?? null,
    arguments: members.get('arguments') ?? null,
    meta: members.get('_meta') ?? null,
    outcome: null,
    metaMembers,
  };
}
