import assert from 'node:assert/strict';
import { test } from 'node:test';
import v8 from 'node:v8';
import type { Call, Result } from './call.ts';
import { type AnyStage, runStages } from './flow.ts';
import { Refusal } from './stage.ts';

const clock = () => ({ utc: 0, mono: 0 });
const result: Result = { kind: 'result', bytes: Buffer.from('{}'), view: () => ({}), diagnostics: null };

/** A call whose client leaves while the named stage runs. */
async function leaving(during: string): Promise<{ ended: unknown; ran: string[] }> {
  const abort = new AbortController();
  const ran: string[] = [];
  const stage = (name: string, leaves: AnyStage['leaves'], left: object): AnyStage => ({
    name,
    leaves,
    run() {
      ran.push(name);
      if (name === during) abort.abort();
      return left;
    },
  });
  const stages = [
    stage('audit.intent', 'intent', { index: 0, id: '' }),
    stage('upstream', 'result', result),
    stage('errors', 'scrubbed', result),
    stage('redaction.reply', 'reply', { ...result, findings: [], status: 200 }),
  ];
  return { ended: await runStages(stages, { signal: abort.signal } as unknown as Call, clock), ran };
}

test('a client that leaves before the call went out ends it there', async () => {
  const { ended, ran } = await leaving('audit.intent');
  assert.ok(ended instanceof Refusal && ended.code === 'upstream.cancelled');
  assert.deepEqual(ran, ['audit.intent']);
});

test('a client that leaves once the call has run does not change what is recorded of it', async () => {
  const { ended, ran } = await leaving('upstream');
  assert.equal(ended, null);
  assert.deepEqual(ran, ['audit.intent', 'upstream', 'errors', 'redaction.reply']);
});

test('a call with every slot left on it is still a plain object to the engine, not a hash table', async () => {
  v8.setFlagsFromString('--allow-natives-syntax');
  const isPlain = new Function('object', 'return %HasFastProperties(object)') as (object: object) => boolean;
  v8.setFlagsFromString('--no-allow-natives-syntax');
  const names =
    'endpoint door principal budget body message client candidate target lease arguments round decision findings approval intent consumed result scrubbed reply receipt';
  const stages = names
    .split(' ')
    .map((name): AnyStage => ({ name, leaves: name as AnyStage['leaves'], run: () => ({}) }));
  const call = { id: '', arrived: clock(), signal: new AbortController().signal, events: null } as unknown as Call;
  assert.equal(await runStages(stages, call, clock), null);
  assert.equal(Object.keys(call).length, 4 + stages.length);
  assert.ok(isPlain(call));
});
