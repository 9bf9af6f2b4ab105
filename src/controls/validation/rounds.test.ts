import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Now, Round } from '../../core/call.ts';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import { DEFAULT_SCAN_LIMITS, scanMessage } from '../../core/mcp/scanner.ts';
import { Refusal } from '../../core/stage.ts';
import type { OnceAnswer } from '../../core/store/ephemeral.ts';
import { openEphemeralMemory } from '../../core/store/ephemeral-memory.ts';
import { MAX_STATE_BYTES, openRounds, type RoundCall, type RoundsOptions } from './rounds.ts';

const UTC = 1_795_000_000_000;
const at = (ms: number): Now => ({ utc: UTC + ms, mono: ms });
const now = at(0);
const key = (): SymmetricKey => ({ kid: 'k', secret: randomBytes(32) });
const keys: KeyPairOf<SymmetricKey> = [key()];

function roundsWith(more: Partial<RoundsOptions> = {}) {
  return openRounds({ keys, ephemeral: openEphemeralMemory(), since: UTC - 1, limits: DEFAULT_SCAN_LIMITS, ...more });
}

interface Said {
  readonly revision?: string;
  readonly principal?: string;
  readonly resource?: string;
  readonly method?: string;
  readonly target?: string;
  readonly definition?: string;
  readonly arguments?: string;
}

/** A call of one principal for one target, repeated with what the client adds to its params. */
function callWith(retry: Readonly<Record<string, unknown>>, said: Said = {}): RoundCall {
  const method = said.method ?? 'tools/call';
  const params = { name: 'pg__query', arguments: {}, ...retry };
  const bytes = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
  const spans = scanMessage(bytes);
  assert.ok(typeof spans !== 'string', String(spans));
  return {
    principal: { key: said.principal ?? 'p1' },
    endpoint: { resource: said.resource ?? 'https://gw/mcp' },
    client: { revision: said.revision ?? '2026-07-28' },
    message: { method, params, bytes, spans },
    target: { key: said.target ?? 'pg/query', digest: said.definition ?? 'd1' },
    arguments: { digest: said.arguments ?? 'a1' },
  } as unknown as RoundCall;
}

function opened(rounds: ReturnType<typeof roundsWith>, call: RoundCall, when = now): Round | Refusal {
  const left = rounds.stage.run(call, when);
  assert.ok(!(left instanceof Promise), 'the stage must not wait');
  return left as Round | Refusal;
}

function sealed(
  rounds: ReturnType<typeof roundsWith>,
  state: string | null = 'S',
  grant: string | null = 'g1',
): string {
  const text = rounds.seal(callWith({}), state, grant, now);
  assert.ok(typeof text === 'string');
  return text;
}

function refused(left: Round | Refusal, evidence: RegExp): void {
  assert.ok(left instanceof Refusal, 'taken');
  assert.equal(left.code, 'validation.round');
  assert.match(left.facts.evidence ?? '', evidence);
  assert.equal(left.facts.text, undefined);
}

test('a first round bears nothing, and costs no object', () => {
  const rounds = roundsWith();
  const first = opened(rounds, callWith({}));
  assert.deepEqual(first, { answers: null, grant: null });
  assert.equal(opened(rounds, callWith({})), first);
});

test('what the upstream gave and the approval that was used up come back with the answers, byte for byte', () => {
  const rounds = roundsWith();
  const round = opened(
    rounds,
    callWith({ requestState: sealed(rounds, 'é"state'), inputResponses: { a: { action: 'accept', n: 1.5 }, b: {} } }),
  );
  assert.ok(!(round instanceof Refusal), JSON.stringify(round));
  assert.equal(round.grant, 'g1');
  assert.equal(round.answers?.state, 'é"state');
  const given = [...round.answers!.given].map(([name, { kind, bytes }]) => [name, kind, Buffer.from(bytes).toString()]);
  assert.deepEqual(given, [
    ['a', 'result', '{"action":"accept","n":1.5}'],
    ['b', 'result', '{}'],
  ]);
});

test('answers without a state, and a state without answers, are legal', () => {
  const rounds = roundsWith();
  const answers = opened(rounds, callWith({ inputResponses: { a: {} } }));
  assert.ok(!(answers instanceof Refusal));
  assert.deepEqual([answers.answers?.given.size, answers.answers?.state, answers.grant], [1, null, null]);
  const state = opened(rounds, callWith({ requestState: sealed(rounds, null, null) }));
  assert.ok(!(state instanceof Refusal));
  assert.deepEqual([state.answers?.given.size, state.answers?.state, state.grant], [0, null, null]);
});

test('a state is good once', () => {
  const rounds = roundsWith();
  const requestState = sealed(rounds);
  assert.ok(!(opened(rounds, callWith({ requestState })) instanceof Refusal));
  refused(opened(rounds, callWith({ requestState })), /used before/);
  refused(opened(rounds, callWith({ requestState }), at(599_000)), /used before/);
});

test('a state is good for ten minutes, and not again when the clock is set back', () => {
  const rounds = roundsWith();
  const requestState = sealed(rounds);
  refused(opened(rounds, callWith({ requestState }), at(600_001)), /expired/);
  refused(opened(rounds, callWith({ requestState }), at(-600_001)), /expired/);
  assert.ok(!(opened(rounds, callWith({ requestState }), at(600_000)) instanceof Refusal));
});

test('a state of another principal, place, method, target, definition or arguments does not open', () => {
  const rounds = roundsWith();
  const requestState = sealed(rounds);
  const others: Said[] = [
    { principal: 'p2' },
    { resource: 'https://gw/mcp/pg' },
    { method: 'prompts/get' },
    { target: 'pg/other' },
    { definition: 'd2' },
    { arguments: 'a2' },
  ];
  for (const said of others) refused(opened(rounds, callWith({ requestState }, said)), /not ours/);
  assert.ok(!(opened(rounds, callWith({ requestState })) instanceof Refusal), 'a refusal used it up');
});

test('no changed, cut, lengthened or respelled state opens (property)', () => {
  const rounds = roundsWith();
  const requestState = sealed(rounds);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const changed = fc
    .tuple(fc.nat(requestState.length - 1), fc.constantFrom(...alphabet))
    .map(([i, c]) => requestState.slice(0, i) + c + requestState.slice(i + 1));
  const other = fc.oneof(
    changed,
    fc.nat(requestState.length - 1).map((i) => requestState.slice(0, i)),
    fc.string().map((more) => requestState + (more || '=')),
    fc.string({ maxLength: 400 }),
    fc.constantFrom(`${requestState}=`, ` ${requestState}`, requestState.replace(/[-_]/g, '+'), ''),
  );
  const numRuns = 500 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
  fc.assert(
    fc.property(other, (text) => {
      fc.pre(text !== requestState);
      refused(opened(rounds, callWith({ requestState: text })), /not ours/);
    }),
    { numRuns },
  );
  refused(opened(rounds, callWith({ requestState: 'A'.repeat(1_000_000) })), /not ours/);
});

test('a state sealed before this process began to remember is refused: nobody knows whether it was used', () => {
  const before = roundsWith();
  const requestState = sealed(before);
  refused(opened(roundsWith({ since: UTC + 1 }), callWith({ requestState }), at(2)), /began to remember/);
});

test('what cannot be remembered is refused, a memory elsewhere is waited for, and one that fails lets nothing through', async () => {
  const answering = (once: () => OnceAnswer | Promise<OnceAnswer>) => roundsWith({ ephemeral: { once } });
  const full = answering(() => 'full');
  refused(opened(full, callWith({ requestState: sealed(full) })), /remembered/);
  const remote = answering(() => Promise.resolve<OnceAnswer>('stored'));
  const left = remote.stage.run(callWith({ requestState: sealed(remote) }), now);
  assert.ok(left instanceof Promise);
  assert.equal(((await left) as Round).grant, 'g1');
  const gone = answering(() => Promise.reject(new Error('unreachable')));
  await assert.rejects(Promise.resolve(gone.stage.run(callWith({ requestState: sealed(gone) }), now)), /unreachable/);
});

test('after a key is replaced its states open until it is gone', () => {
  const [old, fresh] = [key(), key()];
  const requestState = sealed(roundsWith({ keys: [old] }));
  assert.ok(!(opened(roundsWith({ keys: [fresh, old] }), callWith({ requestState })) instanceof Refusal));
  refused(opened(roundsWith({ keys: [fresh] }), callWith({ requestState })), /not ours/);
});

test('an upstream state up to 8 KiB is carried, a larger one ends the call and says so', () => {
  const rounds = roundsWith();
  const state = '\\"'.repeat(MAX_STATE_BYTES / 2);
  const round = opened(rounds, callWith({ requestState: sealed(rounds, state) }));
  assert.ok(!(round instanceof Refusal));
  assert.equal(round.answers?.state, state);
  const larger = rounds.seal(callWith({}), `${state}x`, null, now);
  assert.ok(larger instanceof Refusal && larger.code === 'upstream.too_large');
  assert.match(larger.facts.text ?? '', /8192 bytes/);
});

test('every answer is an object, and there are not more than 64', () => {
  const rounds = roundsWith();
  for (const bad of [1, 'x', null, [], true])
    refused(opened(rounds, callWith({ inputResponses: { a: {}, b: bad } })), /no object/);
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, {}]));
  assert.ok(!(opened(rounds, callWith({ inputResponses: many(64) })) instanceof Refusal));
  refused(opened(rounds, callWith({ inputResponses: many(65) })), /more than 64/);
});

test('to a legacy client, and where no question can be asked, the members mean nothing', () => {
  const rounds = roundsWith();
  const requestState = sealed(rounds);
  for (const said of [{ revision: '2025-11-25' }, { method: 'completion/complete' }]) {
    assert.deepEqual(opened(rounds, callWith({ requestState, inputResponses: { a: {} } }, said)), {
      answers: null,
      grant: null,
    });
  }
});

test('answers to the questions of a task bear no state and no grant, and each of them is an object', () => {
  const rounds = roundsWith();
  const said = { method: 'tasks/update' };
  const round = opened(rounds, callWith({ inputResponses: { q: { a: 1 } }, requestState: 'anything' }, said)) as Round;
  assert.equal(round.grant, null);
  assert.equal(round.answers?.state, null);
  assert.equal(Buffer.from(round.answers!.given.get('q')!.bytes).toString(), '{"a":1}');
  const left = opened(rounds, callWith({ inputResponses: { q: 1 } }, said));
  assert.ok(left instanceof Refusal && left.code === 'validation.params');
});
