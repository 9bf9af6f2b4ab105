import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Call, Client, Message } from '../core/call.ts';
import { DEFAULT_SCAN_LIMITS } from '../core/mcp/scanner.ts';
import { Refusal } from '../core/stage.ts';
import { type BatchPorts, runBatch } from './batch.ts';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

function batch(body: string, headers: Record<string, string> = {}): Call {
  return {
    way: 'http',
    head: { headers },
    endpoint: {},
    principal: {},
    body: Buffer.from(body),
    signal: new AbortController().signal,
    events: null,
  } as unknown as Call;
}

function ports(client: Partial<Client> | Refusal = { revision: '2025-03-26' }) {
  const seen: Call[] = [];
  const made: BatchPorts = {
    limits: DEFAULT_SCAN_LIMITS,
    clock: () => ({ utc: 0, mono: 0 }),
    session: { name: 'authentication.session', leaves: 'client', run: () => client as Client },
    one: (call) => {
      const { id = null, method } = JSON.parse(text(call.body!)) as { id?: number; method?: string };
      const kind = method === undefined ? 'response' : id === null ? 'notification' : 'request';
      call.message = {
        kind,
        revision: '2025-03-26',
        method,
        bytes: call.body,
        spans: { id: null },
      } as unknown as Message;
      seen.push(call);
      return Promise.resolve({ status: 200, retryAfter: 0, body: Buffer.from(`{"id":${id}}`) });
    },
  };
  return { made, seen };
}
const refusal = new Refusal('validation.batch');
const TWO = '[{"id":1,"method":"ping"}, {"id":2,"method":"ping"}]';

test('each message of a batch is a call of its own; requests are answered in one array, nothing else is', async () => {
  const { made, seen } = ports();
  const mixed =
    '[{"id":1,"method":"ping"},{"method":"notifications/initialized"},{"id":9,"result":{}},{"id":2,"method":"ping"}]';
  const answer = runBatch(batch(mixed), refusal, made);
  assert.ok(!(answer instanceof Refusal));
  assert.equal(text((await answer).body), '[{"id":1},{"id":2}]');
  assert.equal(new Set(seen.map((call) => call.id)).size, 4);
  seen[0]!.cancel();
  assert.deepEqual(
    seen.map((call) => call.signal.aborted),
    [true, false, false, false],
  );
  const quiet = await (runBatch(batch('[{"method":"notifications/initialized"}]'), refusal, made) as Promise<{
    status: number;
    body: Uint8Array;
  }>);
  assert.deepEqual([quiet.status, quiet.body.length], [202, 0]);
});

test('the answers of a batch are bounded together: what has no room is said to have run', async () => {
  const { made } = ports();
  const body = Buffer.alloc(1024 * 1024, 0x20);
  const one: BatchPorts['one'] = async (call) => {
    await made.one(call);
    return { status: 200, retryAfter: 0, body };
  };
  const many = `[${Array.from({ length: 20 }, (_, id) => `{"id":${id},"method":"ping"}`)}]`;
  const answer = await (runBatch(batch(many), refusal, { ...made, one }) as Promise<{ body: Uint8Array }>);
  assert.ok(answer.body.length < 9 * 1024 * 1024, `${answer.body.length}`);
  assert.equal(text(answer.body).match(/the call has run/g)?.length, 12);
});

test('a batch is refused in every revision but the one that has them, by header or by session, and above its bound', () => {
  const { made, seen } = ports();
  assert.equal(runBatch(batch(TWO, { 'mcp-protocol-version': '2025-06-18' }), refusal, made), refusal);
  assert.equal(runBatch(batch(TWO), refusal, ports({ revision: '2025-06-18' }).made), refusal);
  const foreign = new Refusal('authentication.session');
  assert.equal(runBatch(batch(TWO), refusal, ports(foreign).made), foreign);
  for (const body of ['[]', `[${Array(51).fill('{}').join()}]`])
    assert.equal((runBatch(batch(body), refusal, made) as Refusal).code, 'validation.batch');
  assert.equal(seen.length, 0);
});
