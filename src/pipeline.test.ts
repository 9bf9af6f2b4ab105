import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Call, SlotName, Slots } from './core/call.ts';
import { Flow, runStages } from './core/flow.ts';
import { Answer, Refusal, type Stage } from './core/stage.ts';
import { bodilessFlow, callFlow, entryFlow, flowsOf, listenFlow, listFlow, openFlow, type Stages } from './pipeline.ts';

/** A stage that only says its name; what it needs and leaves is in its type. */
function named<N extends SlotName, L extends SlotName>(
  name: string,
  leaves: L,
  run: () => unknown = () => ({}),
): Stage<N, L> {
  return { name, leaves, run: run as Stage<N, L>['run'] };
}

const stages: Stages = {
  transport: { head: named('transport.head', 'endpoint'), body: named('transport.body', 'body') },
  limits: {
    door: named('limits.door', 'door'),
    principal: named('limits.principal', 'budget'),
    target: named('limits.target', 'lease'),
  },
  authentication: {
    principal: named('authentication', 'principal'),
    session: named('authentication.session', 'client'),
  },
  validation: {
    message: named('validation.message', 'message'),
    arguments: named('validation.arguments', 'arguments'),
    round: named('validation.round', 'round'),
  },
  registry: { resolve: named('registry.resolve', 'candidate'), list: named('registry.list', 'scrubbed') },
  authorization: {
    visible: named('authorization.visible', 'target'),
    decide: named('authorization.decide', 'decision'),
  },
  redaction: { request: named('redaction.request', 'findings'), reply: named('redaction.reply', 'reply') },
  approval: { check: named('approval.check', 'approval'), consume: named('approval.consume', 'consumed') },
  audit: {
    intent: named('audit.intent', 'intent'),
    outcome: { name: 'audit.outcome', leaves: 'receipt', run: () => ({ index: 0, id: '' }) },
  },
  upstream: named('upstream', 'result'),
  errors: named('errors', 'scrubbed'),
  sessions: {
    local: named('sessions.local', 'scrubbed'),
    notified: named('sessions.notified', 'reply'),
    ended: named('sessions.ended', 'reply'),
  },
  streams: {
    listen: named('streams.listen', 'reply'),
    opened: named('streams.opened', 'reply'),
    subscribed: named('streams.subscribed', 'reply'),
  },
  answered: named('questions.answered', 'reply'),
};

const clock = () => ({ utc: 0, mono: 0 });
const call = () => ({ signal: new AbortController().signal }) as unknown as Call;

describe('the order', () => {
  test('is the table of the architecture; the outcome comes after everything', () => {
    assert.deepEqual(callFlow(stages).names(), [
      'transport.head',
      'limits.door',
      'authentication',
      'limits.principal',
      'transport.body',
      'validation.message',
      'authentication.session',
      'registry.resolve',
      'authorization.visible',
      'limits.target',
      'validation.arguments',
      'validation.round',
      'authorization.decide',
      'redaction.request',
      'approval.check',
      'audit.intent',
      'approval.consume',
      'upstream',
      'errors',
      'redaction.reply',
    ]);
  });

  test('every flow begins with the whole entry', () => {
    const entry = entryFlow(stages).names();
    for (const flow of [listFlow, listenFlow]) assert.deepEqual(flow(stages).names().slice(0, entry.length), entry);
    const bodiless = bodilessFlow(stages).names();
    assert.deepEqual(openFlow(stages).names().slice(0, bodiless.length), bodiless);
  });

  test('a stage that needs what has not been left yet does not compile', () => {
    const begun = Flow.begin().stage(stages.transport.head);
    // @ts-expect-error no principal has been left
    begun.stage(stages.limits.principal);
    // @ts-expect-error the door comes before authentication
    begun.stage(stages.authentication.principal);
    const targeted = entryFlow(stages)
      .stage(stages.registry.resolve)
      .stage(stages.authorization.visible)
      .stage(stages.limits.target);
    // @ts-expect-error nothing goes upstream without a durable intent
    targeted.stage(stages.upstream);
    assert.ok(begun);
  });

  test('a notification is acknowledged, a method nobody knows is refused, a call never takes the list flow', async () => {
    const flows = flowsOf(stages, (stage) => stage);
    const of = (method: string, kind: Slots['message']['kind'] = 'request') =>
      flows.of({ kind, method } as Slots['message']).map(({ name }) => name);
    assert.deepEqual(of('notifications/cancelled', 'notification'), ['sessions.notified']);
    assert.deepEqual(of('', 'response'), ['questions.answered']);
    assert.deepEqual(of('subscriptions/listen'), ['streams.listen']);
    assert.deepEqual(of('ping'), ['sessions.local', 'redaction.reply']);
    assert.deepEqual(of('resources/subscribe'), ['registry.resolve', 'authorization.visible', 'streams.subscribed']);
    assert.deepEqual(of('tools/list'), ['registry.list', 'redaction.reply']);
    for (const method of ['tools/call', 'prompts/get', 'resources/read', 'completion/complete', 'admin/call'])
      assert.equal(of(method)[0], 'registry.resolve');
    const refused = await runStages(
      flows.of({ kind: 'request', method: 'tasks/list' } as Slots['message']),
      call(),
      clock,
    );
    assert.equal((refused as Refusal).code, 'validation.method');
  });
});

describe('running', () => {
  test('a thrown error, a stage that leaves nothing and a promise that rejects all end as a refusal', async () => {
    const bad = [
      () => {
        throw new Error('bug');
      },
      () => undefined,
      () => Promise.reject(new Error('outage')),
    ];
    for (const run of bad) {
      const ended = await runStages([named('bad', 'door', run)] as never, call(), clock);
      assert.equal((ended as Refusal).code, 'errors.internal');
    }
  });

  test('what a stage leaves is there for the next; the first refusal or answer ends the flow', async () => {
    const seen: string[] = [];
    const step = (name: string, left: unknown) =>
      named(name, 'door', () => {
        seen.push(name);
        return left;
      });
    const one = call();
    assert.equal(await runStages([step('a', { address: 'x' })] as never, one, clock), null);
    assert.deepEqual(one.door, { address: 'x' });
    assert.ok(
      (await runStages([step('b', new Refusal('transport.path')), step('never', {})] as never, one, clock)) instanceof
        Refusal,
    );
    assert.ok(
      (await runStages(
        [step('c', Promise.resolve(new Answer(Buffer.from('{}')))), step('never', {})] as never,
        one,
        clock,
      )) instanceof Answer,
    );
    assert.deepEqual(seen, ['a', 'b', 'c']);
  });

  test('when the client has left, no further stage runs', async () => {
    const abort = new AbortController();
    abort.abort();
    const ended = await runStages(
      [named('late', 'door', () => assert.fail('ran'))] as never,
      { signal: abort.signal } as unknown as Call,
      clock,
    );
    assert.equal((ended as Refusal).code, 'upstream.cancelled');
  });
});
