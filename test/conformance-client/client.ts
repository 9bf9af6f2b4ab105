import type { Log } from '../../src/core/log.ts';
import { type Answers, InputRequired, type QuestionAnswer } from '../../src/core/questions.ts';
import { Refusal } from '../../src/core/stage.ts';
import { credentialsInMemory, GuardedHttp, OAuthCredential } from '../../src/upstream/oauth/index.ts';
import type { UpstreamServer } from '../../src/upstream/server.ts';
import { openServer } from '../../src/upstream/servers.ts';
import { WireFault } from '../../src/upstream/wire.ts';
import { judgedCall, type Wish } from './judged-call.ts';
import { person, planOf } from './plan.ts';
import { acceptedForm, type Context, wishesOf } from './scenarios.ts';

/**
 * The client the suite judges: this gateway's own connector to upstreams (src/upstream), with a person and an operator
 * played by this file. The suite gives the URL as last argument and the scenario in the environment. The last line of
 * stdout says how it ended: {"ended":"good"} or {"ended":"refused","why":[…]}.
 */
const CAPABILITIES = { elicitation: { form: {} }, sampling: {}, roots: {} };
const MAX_ROUNDS = 4;

const endpoint = process.argv.at(-1)!;
const scenario = process.env['MCP_CONFORMANCE_SCENARIO'] ?? '';
const context = JSON.parse(process.env['MCP_CONFORMANCE_CONTEXT'] ?? '{}') as Context;
const refused: string[] = [];
const clock = () => ({ utc: Date.now(), mono: performance.now() });
const log: Log = {
  info() {},
  warn: (message, fields) => {
    process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);
    if (fields?.code) refused.push(String(fields.code));
  },
  error: (message, fields) => process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
};

const http = new GuardedHttp({ reach: 'loopback', named: [new URL(endpoint).origin] });
const credential = new OAuthCredential(await planOf(scenario, endpoint, context), {
  http,
  store: credentialsInMemory(),
  clock,
  log,
  person,
});
const settings = { http: { url: endpoint, ca: undefined, authorization: undefined, maxConnections: 4, credential } };
const server = openServer('suite', settings, { clock, log, onChanged: () => {}, onEnded: () => {} });
try {
  const live = await server.introspect();
  if (live instanceof WireFault) refused.push(live.evidence);
  else for (const wish of wishesOf(scenario, context, live)) await fulfil(server, wish);
} catch (error) {
  refused.push(String(error));
} finally {
  await server.close();
  await http.close();
}
const ended = refused.length === 0 ? { ended: 'good' } : { ended: 'refused', why: refused };
process.stdout.write(`${JSON.stringify(ended)}\n`);

/** One call with its rounds of questions, as workflows/questions.ts would take it to a client and back. */
async function fulfil(to: UpstreamServer, wish: Wish): Promise<void> {
  const request = judgedCall(wish, CAPABILITIES);
  let answers: Answers | null = null;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const answer: Awaited<ReturnType<UpstreamServer['call']>> = await to.call({ ...request, answers });
    if (answer instanceof Refusal) {
      refused.push(`${wish.name}: ${answer.code} ${answer.facts.evidence ?? ''}`);
      return;
    }
    if (!(answer instanceof InputRequired)) return;
    answers = { state: answer.state, given: new Map([...answer.questions].map(answered)) };
  }
  refused.push(`${wish.name}: asks without end`);
}

function answered([key, { method, params }]: [string, { method: string; params: Uint8Array }]): [
  string,
  QuestionAnswer,
] {
  const asked = JSON.parse(Buffer.from(params).toString()) as Record<string, unknown>;
  const result =
    method === 'elicitation/create'
      ? acceptedForm(asked)
      : method === 'roots/list'
        ? { roots: [] }
        : { role: 'assistant', content: { type: 'text', text: 'x' }, model: 'none' };
  return [key, { kind: 'result', bytes: Buffer.from(JSON.stringify(result)) }];
}
