import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { silentLog } from '../core/log.ts';
import { InputRequired, type QuestionAnswer } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import { clientWith, requestFor } from './fixture.test.ts';
import { openServer } from './servers.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

/** A legacy process: `on` is the body of what it does with a message `m` that is no part of the handshake. */
function open(on: string, told: { ended?: () => void; changed?: (list?: string) => void } = {}) {
  const result =
    '{protocolVersion:"2025-11-25",capabilities:{tools:{},logging:{},resources:{subscribe:true}},serverInfo:{name:"x",version:"1"}}';
  const source = `let call;const say=(o)=>process.stdout.write(JSON.stringify({jsonrpc:"2.0",...o})+"\\n");
const pid=process.pid;let declared;
require("readline").createInterface({input:process.stdin}).on("line",(line)=>{const m=JSON.parse(line);
if(m.method==="server/discover")return say({id:m.id,error:{code:-32601,message:"no"}});
if(m.method==="initialize"){declared=m.params.capabilities;return say({id:m.id,result:${result}})}
if(m.method==="notifications/initialized")return;${on}})`;
  const server = openServer(
    'shop',
    { stdio: { command: 'node', args: ['-e', source], cwd: '.', env: {} } },
    {
      clock: () => ({ utc: Date.now(), mono: performance.now() }),
      log: silentLog,
      onChanged: told.changed ?? (() => {}),
      onEnded: told.ended ?? (() => {}),
    },
  );
  closing.push(() => server.close());
  return server;
}

const { principal, target } = requestFor();
const patient = { ...target, limits: { ...target.limits, timeoutMs: 10_000 } };
const able = clientWith({ elicitation: {}, roots: {} });
const view = (answer: unknown) => {
  assert.ok(!(answer instanceof Refusal || answer instanceof InputRequired), JSON.stringify(answer));
  return (answer as { view(): Record<string, unknown> }).view();
};
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // nobody has that number any more
  }
};
const WHO = 'say({id:m.id,result:{content:[],pid,declared}});';

describe('a legacy process', () => {
  test('is shared by clients that can be asked nothing, and one principal’s own where they can', async () => {
    const server = open(`if(m.method==="tools/call"){${WHO}}`);
    const other = { ...principal, key: 'other' };
    const pids = [];
    for (const request of [
      { principal },
      { principal: other },
      { principal, client: able },
      { principal: other, client: able },
      { principal, client: able },
    ])
      pids.push(view(await server.call(requestFor({ ...request, target: patient })))['pid']);
    assert.equal(pids[0], pids[1]);
    assert.equal(pids[2], pids[4]);
    assert.equal(new Set(pids).size, 3);
  });

  test('never hears of a call that was cancelled while the process was started', async () => {
    const server = open(`if(m.method==="tools/call"){call=(call??0)+1;say({id:m.id,result:{content:[],heard:call}})}`);
    await server.call(requestFor({ principal, target: patient }));
    const client = new AbortController();
    const cancelled = server.call(requestFor({ client: able, target: patient, signal: client.signal }));
    client.abort();
    assert.ok((await cancelled) instanceof Refusal);
    assert.equal(view(await server.call(requestFor({ client: able, target: patient })))['heard'], 1);
  });

  test('asks over the only call that runs: it is parked, and goes on with the answer', async () => {
    const server = open(
      `if(m.method==="tools/call"){call=m.id;return say({id:0,method:"roots/list"})}if(m.id===0)say({id:call,result:{content:[],got:m.result}})`,
    );
    const asked = await server.call(requestFor({ client: able, target: patient }));
    assert.ok(asked instanceof InputRequired, JSON.stringify(asked));
    const [key] = asked.questions.keys();
    const given = new Map<string, QuestionAnswer>([[key!, { kind: 'result', bytes: Buffer.from('{"roots":[]}') }]]);
    const answer = await server.call(
      requestFor({ client: able, target: patient, answers: { given, state: asked.state } }),
    );
    assert.deepEqual(view(answer)['got'], { roots: [] });
  });

  test('is refused its question when two calls run: nobody knows whose it is', async () => {
    const server = open(
      `if(m.method==="tools/call"){if(!call)return call=m.id;say({id:"q",method:"roots/list"});return call=[call,m.id]}if(m.id==="q")for(const id of call)say({id,result:{content:[],got:m.error.code}})`,
    );
    const answers = await Promise.all([1, 2].map(() => server.call(requestFor({ client: able, target: patient }))));
    assert.deepEqual(
      answers.map((answer) => view(answer)['got']),
      [-32601, -32601],
    );
  });

  test('may be asked in a later call while an earlier one waits for a client that never came back', async () => {
    const server = open(`if(m.method==="tools/call")say({id:"q-"+m.id,method:"roots/list"})`);
    for (let i = 0; i < 3; i++)
      assert.ok((await server.call(requestFor({ client: able, target: patient }))) instanceof InputRequired);
  });

  test('that waits for a client that never came back gives way when a principal has as many as it may', async () => {
    const server = open(
      `if(m.method==="tools/call"){declared.elicitation?say({id:"q",method:"elicitation/create",params:{}}):say({id:m.id,result:{content:[]}})}`,
    );
    const sets = [{}, { roots: {} }, { sampling: {} }, { roots: {}, sampling: {} }];
    const asked = [];
    for (const set of sets)
      asked.push(await server.call(requestFor({ target: patient, client: clientWith({ elicitation: {}, ...set }) })));
    assert.ok(
      asked.every((one) => one instanceof InputRequired),
      JSON.stringify(asked),
    );
    view(await server.call(requestFor({ target: patient, client: clientWith({ roots: {} }) })));
    const answers = { given: new Map(), state: (asked[0] as InputRequired).state };
    const lost = await server.call(requestFor({ target: patient, client: clientWith({ elicitation: {} }), answers }));
    assert.ok(lost instanceof Refusal && lost.code === 'upstream.state_lost', JSON.stringify(lost));
  });

  test('tells log lines to the one call of its own process that asked for them', async () => {
    const server = open(
      `if(m.method==="logging/setLevel")return say({id:m.id,result:{}});if(m.method==="tools/call"){say({method:"notifications/message",params:{level:"error",data:"line"}});${WHO}}`,
    );
    const lines: unknown[] = [];
    const onNotification = (bytes: Uint8Array) => lines.push(JSON.parse(Buffer.from(bytes).toString()).params.data);
    await server.call(requestFor({ target: patient, onNotification }));
    await server.call(requestFor({ target: patient, onNotification, client: clientWith({}, '2025-11-25', 'info') }));
    assert.deepEqual(lines, ['line']);
  });

  test('is subscribed to once, and its updates reach who follows', async () => {
    const changed: unknown[] = [];
    const server = open(
      `if(m.method==="resources/subscribe"){say({id:m.id,result:{}});say({method:"notifications/tools/list_changed"});setTimeout(()=>say({method:"notifications/resources/updated",params:{uri:m.params.uri}}),20)}`,
      { changed: (list) => changed.push(list) },
    );
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    const followed = await server.subscribe({ principal, resources: ['a:1'] }, resolve);
    assert.deepEqual(followed.honoured, ['a:1']);
    assert.match(Buffer.from(await promise).toString(), /"uri":"a:1"/);
    assert.deepEqual(changed, ['tools']);
    followed.end();
  });

  test('that does not say what it is leaves no process behind, however often it is asked', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatewrit-processes-'));
    closing.push(() => rmSync(folder, { recursive: true }));
    const source = `require("fs").writeFileSync(process.argv[1]+"/"+process.pid,"");setInterval(()=>{},1000);
require("readline").createInterface({input:process.stdin}).on("line",(line)=>{const m=JSON.parse(line);
const error=m.method==="server/discover"?{error:{code:-32601,message:"no"}}:{result:null};
process.stdout.write(JSON.stringify({jsonrpc:"2.0",id:m.id,...error})+"\\n")})`;
    const server = openServer(
      'shop',
      { stdio: { command: 'node', args: ['-e', source, folder], cwd: '.', env: {} } },
      {
        clock: () => ({ utc: Date.now(), mono: performance.now() }),
        log: silentLog,
        onChanged: () => {},
        onEnded: () => {},
      },
    );
    for (let i = 0; i < 2; i++) {
      const refused = await server.call(requestFor({ target: patient }));
      assert.ok(refused instanceof Refusal && refused.code === 'upstream.protocol', JSON.stringify(refused));
    }
    await server.close();
    const started = readdirSync(folder).map(Number);
    assert.ok(started.length >= 4);
    const left = started.filter(isAlive);
    for (const pid of left) process.kill(pid);
    assert.deepEqual(left, []);
  });

  test('that dies while it waits for an answer loses the call, and says that it may have run', async () => {
    let ended = 0;
    const server = open(
      `if(m.method==="tools/call"){say({id:0,method:"roots/list"});setTimeout(()=>process.exit(1),50)}`,
      { ended: () => ended++ },
    );
    const asked = await server.call(requestFor({ client: able, target: patient }));
    assert.ok(asked instanceof InputRequired);
    await new Promise((done) => setTimeout(done, 200));
    const lost = await server.call(
      requestFor({ client: able, target: patient, answers: { given: new Map(), state: asked.state } }),
    );
    assert.ok(lost instanceof Refusal && lost.code === 'upstream.state_lost', JSON.stringify(lost));
    assert.equal(lost.facts.data?.['mayHaveExecuted'], true);
    assert.equal(ended, 0);
  });
});
