import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { type Dispatcher, request, fetch as undiciFetch } from 'undici';
import type { Answer } from '../../examples/quickstart/tour/gateway.ts';
import { wordOf } from '../../examples/quickstart/tour/gateway.ts';
import { AskingUpstream, FORM, startAsking } from './asking-upstream.ts';
import { type Quickstart, READ } from './quickstart.ts';
import { endings, recordsOf } from './recorded.ts';

const SECRET = 'AKIAIOSFODNN7EXAMPLE';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const ALL = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
const elicit = (params: object = FORM) => ({ method: 'elicitation/create', params });

let upstream: AskingUpstream;
let quickstart: Quickstart;
let bob: string;

before(async () => {
  upstream = await AskingUpstream.start();
  quickstart = await startAsking(upstream, { settings: { limits: { waiting: { perPrincipal: 2 } } } });
  bob = await quickstart.token('bob', READ);
});
after(async () => {
  await quickstart?.close();
  await upstream?.close();
});

interface Round {
  readonly inputResponses?: object;
  readonly requestState?: string;
}

/** One round of a modern client. */
function round(questions: object, more: Round = {}, { token = bob, tool = 'ask', capabilities = ALL as object } = {}) {
  const params = { name: `demo__${tool}`, arguments: { questions }, ...more, _meta: { [CAPABILITIES]: capabilities } };
  return quickstart.gateway.rpc('tools/call', params, token);
}

interface Asked {
  readonly resultType: string;
  readonly inputRequests: Readonly<Record<string, { method: string; params: Record<string, unknown> }>>;
  readonly requestState: string;
}
function asked({ json, text }: Answer): Asked {
  const result = json.result as unknown as Asked;
  assert.equal(result?.resultType, 'input_required', text);
  return result;
}
/** What the upstream says it was given. */
function given({ json, text }: Answer): { inputResponses: object; requestState: string } {
  const [content] = (json.result?.['content'] ?? []) as { text: string }[];
  assert.ok(content, text);
  return JSON.parse(content.text);
}

const RESPONSES = { one: { action: 'accept', content: { answer: 'blue' } }, two: { roots: [] } };

describe('a modern client', () => {
  test('is asked, answers, and both sides get their own state back exactly', async () => {
    const first = asked(await round({ one: elicit(), two: { method: 'roots/list', params: {} } }));
    assert.deepEqual(first.inputRequests['one'], elicit());
    assert.notEqual(first.requestState, 'the state of the server');
    assert.ok(!Buffer.from(first.requestState, 'base64url').toString('latin1').includes('the state of the server'));
    const { requestState } = first;
    const questions = { one: elicit(), two: { method: 'roots/list', params: {} } };
    const got = given(await round(questions, { inputResponses: RESPONSES, requestState }));
    assert.deepEqual(got, { inputResponses: RESPONSES, requestState: 'the state of the server' });
  });

  test('cannot use a state twice, for other arguments, another tool, or as somebody else', async () => {
    const questions = { one: elicit() };
    const fresh = async () => ({ inputResponses: RESPONSES, requestState: asked(await round(questions)).requestState });
    const used = await fresh();
    given(await round(questions, used));
    const alice = await quickstart.token('alice', READ);
    const { requestState, inputResponses } = await fresh();
    const changed = `${requestState.slice(0, 20)}${requestState[20] === 'A' ? 'B' : 'A'}${requestState.slice(21)}`;
    const attempts = {
      replayed: await round(questions, used),
      'other arguments': await round({ one: elicit({ ...FORM, message: 'Other?' }) }, await fresh()),
      'another tool': await round(questions, await fresh(), { tool: 'forever' }),
      'somebody else': await round(questions, await fresh(), { token: alice }),
      tampered: await round(questions, { inputResponses, requestState: changed }),
      'not ours': await round(questions, { inputResponses, requestState: 'the state of the server' }),
    };
    for (const [which, answer] of Object.entries(attempts)) {
      assert.equal(wordOf(answer), 'REQUEST_STATE_REFUSED', `${which}: ${answer.text}`);
      assert.equal(answer.json.error?.code, -32602, which);
    }
  });

  test('is never asked for what it did not declare on this very request', async () => {
    const url = { mode: 'url', url: 'https://a.example/x', message: 'open it' };
    const cases: [object, object, object][] = [
      [elicit(), {}, { elicitation: { form: {} } }],
      [elicit(url), { elicitation: {} }, { elicitation: { url: {} } }],
      [{ method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } }, { roots: {} }, { sampling: {} }],
    ];
    for (const [question, capabilities, missing] of cases) {
      const answer = await round({ q: question }, {}, { capabilities });
      assert.equal(answer.status, 400, answer.text);
      assert.equal(answer.json.error?.code, -32021);
      assert.deepEqual(answer.json.error?.data?.['requiredCapabilities'], missing);
    }
  });

  test('reads no personal data in a question, and sends no secret with an answer', async () => {
    const first = asked(await round({ one: elicit({ ...FORM, message: 'Mail to jane.roe@example.org?' }) }));
    assert.match(String(first.inputRequests['one']?.params['message']), /^Mail to \[EMAIL/);
    const before = upstream.calls.length;
    const leaking = { one: { action: 'accept', content: { answer: SECRET } } };
    const blocked = await round(
      { one: elicit({ ...FORM, message: 'Mail to jane.roe@example.org?' }) },
      { inputResponses: leaking, requestState: first.requestState },
    );
    assert.equal(wordOf(blocked), 'BLOCKED_CONTENT', blocked.text);
    assert.equal(upstream.calls.length, before, 'nothing was sent');
  });
});

/* The legacy way. */

const info = { name: 'e2e', version: '1.0.0' };
const trusting = (input: string | URL, init?: RequestInit) =>
  undiciFetch(input, { ...init, dispatcher: quickstart.gateway.agent } as Parameters<
    typeof undiciFetch
  >[1]) as unknown as Promise<Response>;

async function legacyClient(): Promise<Client> {
  const client = new Client(info, {
    versionNegotiation: { mode: 'legacy' },
    capabilities: { elicitation: { form: {}, url: {} }, roots: {} },
  });
  const options = { fetch: trusting, authProvider: { token: async () => bob } };
  await client.connect(new StreamableHTTPClientTransport(new URL(quickstart.gateway.ready.mcp), options));
  return client;
}

/** A legacy session by hand. */
class RawSession {
  readonly #token: string;
  readonly #headers: Record<string, string>;

  private constructor(token: string, headers: Record<string, string>) {
    this.#token = token;
    this.#headers = headers;
  }

  static async begin(token: string, capabilities: object = ALL, revision = '2025-11-25'): Promise<RawSession> {
    const params = { protocolVersion: revision, capabilities, clientInfo: info };
    const opened = await new RawSession(token, {}).post({ id: 0, method: 'initialize', params });
    const session = String(opened.headers['mcp-session-id']);
    await opened.body.dump();
    const version = revision === '2025-03-26' ? {} : { 'mcp-protocol-version': revision };
    return new RawSession(token, { 'mcp-session-id': session, ...version });
  }

  post(message: object): Promise<Dispatcher.ResponseData> {
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

  /** Calls and reads the messages that come, one by one. */
  async *call(questions: object, { id = 1, tool = 'ask' } = {}): AsyncGenerator<Record<string, unknown>> {
    const params = { name: `demo__${tool}`, arguments: { questions } };
    const { headers, body } = await this.post({ id, method: 'tools/call', params });
    if (!String(headers['content-type']).startsWith('text/event-stream')) {
      yield (await body.json()) as Record<string, unknown>;
      return;
    }
    let text = '';
    for await (const chunk of body) {
      text += chunk;
      for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
        const data = /^data: (\{.*)$/m.exec(text.slice(0, end))?.[1];
        text = text.slice(end + 2);
        if (data) yield JSON.parse(data) as Record<string, unknown>;
      }
    }
  }

  async respond(id: unknown, body: object): Promise<number> {
    const { statusCode, body: read } = await this.post({ id, ...body });
    await read.dump();
    return statusCode;
  }
}

async function next(stream: AsyncGenerator<Record<string, unknown>>): Promise<Record<string, unknown>> {
  const { value, done } = await stream.next();
  assert.ok(!done, 'the stream ended');
  return value as Record<string, unknown>;
}
const contentOf = (message: Record<string, unknown>) =>
  ((message['result'] as { content?: { text: string }[] } | undefined)?.content ?? [])[0]?.text ??
  JSON.stringify(message);

describe('a legacy client', () => {
  test('of the SDK is asked on the stream of its call, and the modern server gets its answers', async () => {
    const client = await legacyClient();
    const heard: unknown[] = [];
    client.setRequestHandler('elicitation/create', async ({ params }) => {
      heard.push(params);
      return { action: 'accept' as const, content: { answer: 'green' } };
    });
    client.setRequestHandler('roots/list', async () => ({ roots: [{ uri: 'file:///here' }] }));
    const questions = { one: elicit(), two: { method: 'roots/list', params: {} } };
    const result = await client.callTool({ name: 'demo__ask', arguments: { questions } });
    assert.equal((heard[0] as { message: string }).message, 'Which one?');
    const [content] = result.content as { text: string }[];
    assert.deepEqual(JSON.parse(content!.text), {
      inputResponses: {
        one: { action: 'accept', content: { answer: 'green' } },
        two: { roots: [{ uri: 'file:///here' }] },
      },
      requestState: 'the state of the server',
    });
    await client.close();
  });

  test('is answered once: responses of others, repeated or guessed ones change nothing', async () => {
    const mine = await RawSession.begin(bob);
    const [other, foreign] = [await RawSession.begin(bob), await RawSession.begin(await quickstart.token('eve', READ))];
    const stream = mine.call({ one: elicit() });
    const question = await next(stream);
    const { id } = question;
    assert.match(String(id), /^r1\.[\w-]+\.[\w-]+\.1\.[\w-]{22}$/);
    assert.equal(question['method'], 'elicitation/create');
    const answer = (who: string) => ({ result: { action: 'accept', content: { answer: who } } });
    assert.equal(await other.respond(id, answer('another session')), 202);
    assert.equal(await foreign.respond(id, answer('another principal')), 202);
    assert.equal(await mine.respond(`${String(id).slice(0, -2)}zz`, answer('guessed')), 202);
    assert.equal(await mine.respond(1, answer('colliding')), 202);
    assert.equal(await mine.respond(id, answer('mine')), 202);
    assert.equal(await mine.respond(id, answer('again')), 202);
    assert.match(contentOf(await next(stream)), /"answer":"mine"/);
    assert.equal((await stream.next()).done, true);
  });

  test('finds a question in the words of its revision, and is told what it cannot be asked', async () => {
    const old = await RawSession.begin(bob, { elicitation: {}, roots: {} }, '2025-06-18');
    const stream = old.call({ one: elicit() });
    const question = await next(stream);
    const { mode: _mode, ...form } = FORM;
    assert.deepEqual(question['params'], form);
    await old.respond(question['id'], { result: { action: 'decline' } });
    assert.match(contentOf(await next(stream)), /"action":"decline"/);
    const url = elicit({ mode: 'url', url: 'https://a.example/x', message: 'open it' });
    assert.match(contentOf(await next(old.call({ one: url }))), /^CLIENT_CAPABILITY_MISSING.*elicitation\.url/);
    const newer = await RawSession.begin(bob);
    const opened = newer.call({ one: url });
    const asking = await next(opened);
    assert.match(String((asking['params'] as Record<string, unknown>)['elicitationId']), /^[\w-]{22}$/);
    await newer.respond(asking['id'], { result: { action: 'accept' } });
    assert.match(contentOf(await next(opened)), /"action":"accept"/);
  });

  test('sends no secret with an answer, waits for no more calls than it may, and can cancel the wait', async () => {
    const session = await RawSession.begin(bob);
    const leaking = session.call({ one: elicit() });
    const { id } = await next(leaking);
    await session.respond(id, { result: { action: 'accept', content: { answer: SECRET } } });
    assert.match(contentOf(await next(leaking)), /^BLOCKED_CONTENT/);
    const waiting = [session.call({ one: elicit() }, { id: 11 }), session.call({ one: elicit() }, { id: 12 })];
    for (const one of waiting) await next(one);
    const refused = await next(session.call({ one: elicit() }, { id: 13 }));
    assert.match(JSON.stringify(refused), /TOO_MANY_STREAMS/);
    for (const requestId of [11, 12]) {
      const cancelled = await session.post({ method: 'notifications/cancelled', params: { requestId } });
      await cancelled.body.dump();
    }
    for (const one of waiting) {
      const left: Record<string, unknown>[] = [];
      for await (const message of one) left.push(message);
      assert.ok(!left.some((message) => 'result' in message), JSON.stringify(left));
    }
    const again = session.call({ one: elicit() }, { id: 14 });
    await session.respond((await next(again))['id'], { result: { action: 'cancel' } });
    assert.match(contentOf(await next(again)), /"action":"cancel"/);
  });

  test('whose call policy forbids by the time it answers does not go on, as in the other era', async () => {
    const session = await RawSession.begin(bob);
    const [stream, approved] = [session.call({ one: elicit() }), session.call({ two: elicit() }, { id: 2 })];
    const [question, other] = [await next(stream), await next(approved)];
    // Both rules read the arguments, so the tool itself can be seen as before.
    const rules = `
      @id("not-one")
      forbid (principal, action == Action::"call_tool", resource == Target::"demo/ask")
      when { context.arguments has questions && context.arguments.questions has one };
      @id("two-by-approval") @obligation("approval") @rule("destructive")
      permit (principal, action == Action::"call_tool", resource == Target::"demo/ask")
      when { context.arguments has questions && context.arguments.questions has two };
    `;
    const file = join(quickstart.gateway.home, 'policy', '90-later.cedar');
    writeFileSync(file, rules, { mode: 0o600 });
    const giveUp = performance.now() + 15_000;
    while (wordOf(await round({ one: elicit() })) !== 'DENIED' && performance.now() < giveUp) await pause(200);
    assert.equal(wordOf(await round({ two: elicit() })), 'APPROVAL_REQUIRED');
    const before = upstream.calls.length;
    for (const { id } of [question, other])
      await session.respond(id, { result: { action: 'accept', content: { answer: 'blue' } } });
    const ends = [contentOf(await next(stream)), contentOf(await next(approved))];
    assert.equal(upstream.calls.length, before, `nothing more was sent: ${ends}`);
    assert.match(ends[0]!, /^DENIED/);
    assert.match(ends[1]!, /^APPROVAL/);
    rmSync(file);
    while (wordOf(await round({ one: elicit() })) === 'DENIED' && performance.now() < giveUp) await pause(200);
  });

  test('is not asked without end', async () => {
    const session = await RawSession.begin(bob);
    let rounds = 0;
    let last: Record<string, unknown> = {};
    for await (const message of session.call({ one: elicit() }, { tool: 'forever' })) {
      last = message;
      if (message['method'] !== 'elicitation/create') continue;
      rounds++;
      await session.respond(message['id'], { result: { action: 'accept', content: {} } });
    }
    assert.equal(rounds, 8);
    assert.match(contentOf(last), /^UPSTREAM_PROTOCOL/);
  });
});

describe('an approved call that asks', () => {
  test('needs one yes for all its rounds, runs each round once, and is never replayed', async () => {
    const call = (more: Round = {}) => round({ one: elicit() }, more, { tool: 'delete' });
    const ran = () => upstream.calls.filter(({ params }) => params['name'] === 'delete').length;
    const waiting = await call();
    assert.equal(wordOf(waiting), 'APPROVAL_REQUIRED', waiting.text);
    const meta = waiting.json.result?.['_meta'] as Record<string, { id: string }>;
    const { id } = meta['gatewrit/approval']!;
    assert.equal(ran(), 0);
    const approved = await quickstart.gateway.run('approvals', 'approve', id, '--as', 'approver1');
    assert.equal(approved.code, 0, approved.stderr);
    const { requestState } = asked(await call());
    assert.equal(ran(), 1);
    assert.equal(wordOf(await call()), 'APPROVAL_CONSUMED', 'the first round is not run or replayed again');
    assert.equal(wordOf(await call({ inputResponses: RESPONSES })), 'APPROVAL_CONSUMED', 'not without the state');
    assert.equal(ran(), 1);
    const got = given(await call({ inputResponses: RESPONSES, requestState }));
    assert.deepEqual(got, { inputResponses: RESPONSES, requestState: 'the state of the server' });
    assert.equal(ran(), 2);
    assert.equal(wordOf(await call({ inputResponses: RESPONSES, requestState })), 'REQUEST_STATE_REFUSED');
    assert.equal(ran(), 2);
  });
});

test('every exchange is in the log, with its words under the key of the principal', async () => {
  await quickstart.stop();
  const records = await recordsOf(quickstart.gateway.home);
  const exchanges = records.filter(({ meta }) => meta?.['event'] === 'questions');
  assert.ok(exchanges.length >= 12, `${exchanges.length}`);
  const rounds = records.filter(({ meta }) => meta?.['approval_use'] === 'none' && meta['approval'] !== undefined);
  assert.equal(rounds.length, 1, 'the second round of the approved call names the approval');
  const codes = endings(records);
  assert.equal(codes.get('validation.round'), 7);
  assert.ok(!JSON.stringify(records.map(({ meta }) => meta)).includes('Which one?'));
});
