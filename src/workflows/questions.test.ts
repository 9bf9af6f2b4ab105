import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Call, Client, Principal, Result, Revision } from '../core/call.ts';
import { silentLog } from '../core/log.ts';
import { type Answers, InputRequired, type Question, type QuestionMethod } from '../core/questions.ts';
import { Refusal } from '../core/stage.ts';
import type { Asking } from '../upstream/servers.ts';
import { OpenQuestions } from './open-questions.ts';
import { wordedFor } from './question-words.ts';
import { openQuestions, type QuestionsParts } from './questions.ts';

type Called = Parameters<Asking['ask']>[0];

const NOW = { utc: 1_790_000_000_000, mono: 0 };
const ALL = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: {} };

const question = (params: object, method: QuestionMethod = 'elicitation/create'): Question => ({
  method,
  params: Buffer.from(JSON.stringify(params)),
});
const FORM = question({ mode: 'form', message: 'Which one?', requestedSchema: { type: 'object', properties: {} } });
const ask = (...questions: Question[]) => new InputRequired(new Map(questions.map((one, i) => [`q${i}`, one])), 'st');

interface CallShape {
  readonly revision?: Revision;
  readonly capabilities?: Client['capabilities'];
  readonly session?: string | null;
  readonly principal?: string;
  readonly grant?: string | null;
  readonly stream?: boolean;
}

let calls = 0;

/** A call as it stands when its upstream asks, and what its client was sent. */
function called(shape: CallShape = {}) {
  const { revision = '2025-11-25', session = 's1', capabilities = ALL } = shape;
  const sent: Record<string, unknown>[] = [];
  const abort = new AbortController();
  const call = {
    id: `call-${++calls}`,
    signal: abort.signal,
    events: shape.stream === false ? null : (bytes: Uint8Array) => sent.push(JSON.parse(Buffer.from(bytes).toString())),
    principal: { key: shape.principal ?? 'alice', tenant: 'default' } as Principal,
    client: {
      ...{ revision, capabilities, name: '', version: '', logLevel: null },
      session: session === null ? null : { id: session, expiresAt: NOW.utc + 1000 },
    },
    target: { key: 's/t' },
    decision: { obligations: { redaction: null } },
    approval: { id: shape.grant ?? null },
  } as unknown as Called;
  return { call, sent, abort };
}

function questions(more: Partial<QuestionsParts> = {}) {
  const records: object[] = [];
  const held = { now: 0 };
  const opened = openQuestions({
    seal: (_call, state, grant) => `sealed(${state},${grant})`,
    judge: (_call, message) => message,
    standing: () => null,
    over: () => false,
    allows: () => null,
    hold: () => {
      held.now++;
      return { release: () => held.now-- };
    },
    record: async (_call, exchange) => void records.push({ ...exchange.meta, words: exchange.payload.toString() }),
    key: { kid: 'k', secret: new Uint8Array(32).fill(3) },
    node: 'node1',
    clock: () => NOW,
    log: silentLog,
    ...more,
  });
  return { ...opened, records, held };
}

const never = () => Promise.reject(new Error('the upstream must not be asked'));
const done = { kind: 'result', bytes: Buffer.from('{}') } as unknown as Result;
const codeOf = (left: unknown) => (left instanceof Refusal ? left.code : 'answered');
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A response as a client posts it. */
function response(body: object, { session = 's1', principal = 'alice' } = {}) {
  const bytes = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...body }));
  const { id = null } = body as { id?: string };
  return {
    id: 'r',
    principal: { key: principal },
    client: { session: { id: session } },
    message: { bytes, id },
  } as unknown as Call as Parameters<ReturnType<typeof openQuestions>['answered']['run']>[0];
}

test('a modern client gets the questions as the upstream wrote them, and a sealed state', async () => {
  const { ask: put } = questions();
  const exact = { method: 'sampling/createMessage', params: Buffer.from('{"maxTokens":9007199254740993 ,"x":1e0}') };
  const left = await put(called({ revision: '2026-07-28' }).call, ask(FORM, exact as Question), never);
  assert.ok(!(left instanceof Refusal));
  const text = Buffer.from(left.bytes).toString();
  assert.ok(
    text.includes('{"method":"sampling/createMessage","params":{"maxTokens":9007199254740993 ,"x":1e0}}'),
    text,
  );
  const result = JSON.parse(text);
  assert.deepEqual([result.resultType, result.requestState], ['input_required', 'sealed(st,null)']);
  assert.deepEqual(Object.keys(result.inputRequests), ['q0', 'q1']);
});

test('a state goes out where one must come back: for the upstream, for a used approval, or when nothing else is asked', async () => {
  const { ask: put } = questions();
  const stateOf = async (asked: InputRequired, grant: string | null) => {
    const left = await put(called({ revision: '2026-07-28', grant }).call, asked, never);
    assert.ok(!(left instanceof Refusal));
    return (left.view() as { requestState?: string }).requestState;
  };
  assert.equal(await stateOf(new InputRequired(new Map([['a', FORM]]), null), null), undefined);
  assert.equal(await stateOf(new InputRequired(new Map([['a', FORM]]), null), 'appr'), 'sealed(null,appr)');
  assert.equal(await stateOf(new InputRequired(new Map(), 'again'), null), 'sealed(again,null)');
});

test('nobody is asked for what he did not declare, in either era', async () => {
  const { ask: put } = questions();
  const url = question({ mode: 'url', url: 'https://a.example', message: 'open', elicitationId: 'e' });
  const tools = question({ messages: [], maxTokens: 1, tools: [] }, 'sampling/createMessage');
  const roots = question({}, 'roots/list');
  const cases: [Question, Client['capabilities'], object | null][] = [
    [FORM, { elicitation: {} }, null],
    [FORM, {}, { elicitation: { form: {} } }],
    [FORM, { elicitation: { url: {} } }, { elicitation: { form: {} } }],
    [url, { elicitation: {} }, { elicitation: { url: {} } }],
    [tools, { sampling: {} }, { sampling: { tools: {} } }],
    [roots, { sampling: {} }, { roots: {} }],
  ];
  for (const revision of ['2026-07-28', '2025-11-25'] as const) {
    for (const [one, capabilities, missing] of cases) {
      const { call, sent } = called({ revision, capabilities });
      const left = put(call, ask(one), never);
      if (missing === null) {
        if (revision === '2025-11-25') assert.equal(sent.length, 1);
        continue;
      }
      const refused = await left;
      assert.ok(refused instanceof Refusal && refused.code === 'upstream.capability', JSON.stringify(one));
      assert.deepEqual(refused.facts.data, { requiredCapabilities: missing });
      assert.deepEqual(sent, []);
    }
  }
});

test('a legacy client is asked on the stream of its call, and what it posts goes to the upstream, recorded', async () => {
  const { ask: put, answered, records, held } = questions();
  const { call, sent } = called();
  const got: Answers[] = [];
  const result = put(call, ask(FORM, question({}, 'roots/list')), async (answers) => {
    got.push(answers);
    return done;
  });
  assert.equal(held.now, 1);
  assert.deepEqual(
    sent.map(({ method }) => method),
    ['elicitation/create', 'roots/list'],
  );
  assert.match(String(sent[0]!['id']), new RegExp(`^r1\\.node1\\.${call.id}\\.1\\.[\\w-]{22}$`));
  for (const [i, body] of [{ error: { code: -1, message: 'no' } }, { result: { roots: [] } }].entries()) {
    const reply = answered.run(response({ id: sent[i]!['id'], ...body }), NOW) as { status: number };
    assert.equal(reply.status, 202);
  }
  assert.equal(await result, done);
  assert.equal(held.now, 0);
  assert.equal(got[0]?.state, 'st');
  assert.deepEqual(
    [...got[0]!.given].map(([key, { kind, bytes }]) => [key, kind, Buffer.from(bytes).toString()]),
    [
      ['q0', 'error', '{"code":-1,"message":"no"}'],
      ['q1', 'result', '{"roots":[]}'],
    ],
  );
  assert.equal(records.length, 1);
  assert.match(JSON.stringify(records[0]), /Which one\?/);
});

test('a response is taken once, from the very session and principal that were asked; everybody gets the same 202', async () => {
  const { ask: put, answered } = questions();
  const { call, sent } = called();
  const given: string[] = [];
  const result = put(call, ask(FORM), async (answers) => {
    given.push(Buffer.from(answers.given.get('q0')!.bytes).toString());
    return done;
  });
  const id = String(sent[0]!['id']);
  const body = (who: string) => ({ id, result: { who } });
  const others = [
    response(body('other session'), { session: 's2' }),
    response(body('other principal'), { principal: 'bob' }),
    response({ id: `${id.slice(0, -1)}${id.endsWith('A') ? 'B' : 'A'}`, result: { who: 'guessed' } }),
    response({ id: 1, result: {} }),
    response(body('right')),
    response(body('replayed')),
  ];
  for (const one of others) assert.equal((answered.run(one, NOW) as { status: number }).status, 202);
  await result;
  assert.deepEqual(given, ['{"who":"right"}']);
});

test('an open question is gone once it was answered or withdrawn, and no more are open than may be', () => {
  const open = new OpenQuestions({ key: { kid: 'k', secret: new Uint8Array(32) }, node: 'n', max: 2 });
  const alice = { session: 's', principal: 'alice' };
  const answer = { kind: 'result', bytes: Buffer.from('{}') } as const;
  const ids = [1, 2].map((n) => open.put(alice, 'c', n, () => {})!);
  assert.equal(
    open.put(alice, 'c', 3, () => {}),
    null,
  );
  assert.equal(open.take({ ...alice, principal: 'eve' }, ids[0]!, answer), 'foreign');
  assert.equal(open.take(alice, ids[0]!, answer), 'taken');
  assert.equal(open.take(alice, ids[0]!, answer), 'unknown');
  open.withdraw(ids[1]!);
  assert.equal(open.take(alice, ids[1]!, answer), 'unknown');
  assert.equal(open.size, 0);
});

test('two calls of one client with the same questions do not take each other’s answers', async () => {
  const { ask: put, answered } = questions();
  const both = [called(), called()].map((one) => {
    const got: string[] = [];
    const result = put(one.call, ask(FORM), async ({ given }) => {
      got.push(Buffer.from(given.get('q0')!.bytes).toString());
      return done;
    });
    return { ...one, got, result };
  });
  for (const [i, one] of [...both.entries()].reverse())
    answered.run(response({ id: one.sent[0]!['id'], result: { i } }), NOW);
  await Promise.all(both.map(({ result }) => result));
  assert.deepEqual(
    both.map(({ got }) => got),
    [['{"i":0}'], ['{"i":1}']],
  );
});

test('a client without a session or a stream cannot be asked, and is told so', async () => {
  const { ask: put, held } = questions();
  for (const shape of [{ session: null }, { stream: false }])
    assert.equal(codeOf(await put(called(shape).call, ask(FORM), never)), 'upstream.capability');
  assert.equal(held.now, 0);
});

test('a question that may not pass, or an answer that may not, ends the call', async () => {
  const blocked = questions({ judge: () => 'redaction.blocked' });
  const first = called();
  assert.equal(codeOf(await blocked.ask(first.call, ask(FORM), never)), 'redaction.blocked');
  assert.deepEqual(first.sent, []);
  const strict = questions({ allows: () => new Refusal('redaction.blocked') });
  const second = called();
  const left = strict.ask(second.call, ask(FORM), never);
  strict.answered.run(response({ id: second.sent[0]!['id'], result: {} }), NOW);
  assert.equal(codeOf(await left), 'redaction.blocked');
  const unrecorded = questions({ record: () => Promise.reject(new Error('disk full')) });
  const third = called();
  const unknown = unrecorded.ask(third.call, ask(FORM), never);
  unrecorded.answered.run(response({ id: third.sent[0]!['id'], result: {} }), NOW);
  assert.equal(codeOf(await unknown), 'audit.outcome_unknown');
});

test('what was withdrawn while a person thought about it does not go on', async () => {
  for (const lost of ['authorization.unknown', 'authentication.expired'] as const) {
    const gone = questions({ standing: () => lost });
    const { call, sent } = called();
    const left = gone.ask(call, ask(FORM), never);
    gone.answered.run(response({ id: sent[0]!['id'], result: {} }), NOW);
    assert.equal(codeOf(await left), lost);
  }
});

test('a server that asks without end is cut, and so is one that only wants to be asked again', async () => {
  const bounds = { rounds: 3, pauseMs: 1 };
  const again = questions({ bounds });
  const { call, sent } = called();
  let resumed = 0;
  const left = again.ask(call, ask(FORM), async () => {
    resumed++;
    queueMicrotask(() => again.answered.run(response({ id: sent.at(-1)!['id'], result: {} }), NOW));
    return ask(FORM);
  });
  again.answered.run(response({ id: sent[0]!['id'], result: {} }), NOW);
  // The last question of each round is answered after it was put.
  const timer = setInterval(() => again.answered.run(response({ id: sent.at(-1)!['id'], result: {} }), NOW), 1);
  assert.equal(codeOf(await left), 'upstream.protocol');
  clearInterval(timer);
  assert.equal(resumed, 3);
  let pauses = 0;
  const empty = new InputRequired(new Map(), 'later');
  const paused = await again.ask(called().call, empty, async () => {
    pauses++;
    return empty;
  });
  assert.deepEqual([codeOf(paused), pauses], ['upstream.protocol', 3]);
  assert.equal(codeOf(await again.ask(called().call, ask(...Array(17).fill(FORM)), never)), 'upstream.protocol');
});

test('cancellation and a deadline end the wait, take the question back and give its place free', async () => {
  for (const how of ['cancel', 'late'] as const) {
    const { ask: put, answered, held } = questions({ bounds: { answerMs: how === 'late' ? 5 : 10_000 } });
    const { call, sent, abort } = called();
    const keep = setTimeout(() => {}, 1000);
    const left = put(call, ask(FORM), never);
    if (how === 'cancel') abort.abort();
    assert.equal(codeOf(await left), how === 'cancel' ? 'upstream.cancelled' : 'upstream.timeout');
    clearTimeout(keep);
    assert.equal(held.now, 0);
    assert.deepEqual(
      sent.map(({ method }) => method),
      ['elicitation/create', 'notifications/cancelled'],
    );
    assert.equal((sent[1] as { params: { requestId: string } }).params.requestId, sent[0]!['id']);
    answered.run(response({ id: sent[0]!['id'], result: {} }), NOW);
    await settled();
  }
});

test('the end of a session ends the waits in it at once, and nothing more is asked in it', async () => {
  let over = false;
  const { ask: put, sessionEnded, held } = questions({ over: () => over });
  const [mine, other] = [called(), called({ session: 's2' })];
  const left = put(mine.call, ask(FORM, FORM), never);
  const waits = put(other.call, ask(FORM), never);
  sessionEnded('s1');
  assert.equal(codeOf(await left), 'upstream.cancelled');
  assert.equal(held.now, 1, 'the other session waits on');
  over = true;
  const late = called();
  assert.equal(codeOf(await put(late.call, ask(FORM), never)), 'upstream.cancelled');
  assert.deepEqual(late.sent, []);
  other.abort.abort();
  await waits;
  assert.equal(held.now, 0);
});

test('each revision finds a question in its own words, and everything else byte for byte', () => {
  const words = (revision: Revision, text: string) => {
    const left = wordedFor(revision, { method: 'elicitation/create', params: Buffer.from(text) });
    return left === null ? null : Buffer.from(left).toString();
  };
  const form = '{"mode":"form", "message":"m","requestedSchema":{"big":9007199254740993}}';
  assert.equal(words('2026-07-28', form), form);
  assert.equal(words('2025-11-25', form), form);
  assert.equal(words('2025-06-18', form), '{"message":"m","requestedSchema":{"big":9007199254740993}}');
  const url = '{"mode":"url","message":"m","url":"https://a.example"}';
  assert.match(
    words('2025-11-25', url)!,
    /^\{"elicitationId":"[\w-]{22}","mode":"url","message":"m","url":"https:\/\/a\.example"\}$/,
  );
  assert.notEqual(words('2025-11-25', url), words('2025-11-25', url));
  const named = '{"mode":"url","message":"m","url":"https://a.example","elicitationId":"e1"}';
  assert.equal(words('2025-11-25', named), named);
  assert.equal(words('2026-07-28', named), '{"mode":"url","message":"m","url":"https://a.example"}');
  assert.equal(words('2025-11-25', '{"task":{"ttl":1},"message":"m"}'), '{"message":"m"}');
  assert.equal(words('2025-11-25', '[]'), null);
});

test('whatever an upstream asks, what reaches a client is valid JSON with its own words unchanged', () => {
  const seed = Number(process.env['GATEWRIT_TEST_SEED'] ?? Date.now());
  const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
  const revisions = fc.constantFrom<Revision>('2026-07-28', '2025-11-25', '2025-06-18');
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }),
      revisions,
      (params, revision) => {
        const worded = wordedFor(revision, question(params));
        if (worded === null) return; // names that two readers could take for one
        const left = JSON.parse(Buffer.from(worded).toString());
        for (const [name, value] of Object.entries(JSON.parse(JSON.stringify(params)))) {
          if (['mode', 'task', 'elicitationId'].includes(name)) continue;
          assert.deepEqual(left[name], value);
        }
      },
    ),
    { numRuns: 200 * scale, seed },
  );
});
