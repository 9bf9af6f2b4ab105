import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Now, Obligations } from '../../core/call.ts';
import type { KeyPairOf, SymmetricKey } from '../../core/crypto/keys.ts';
import {
  ALL,
  callOf,
  DEMO,
  liveOf,
  NOW,
  principal,
  sampleManifest,
  sampleRegistry,
  sampleTool,
} from './samples.test.ts';
import { NO_TARGET } from './stages.ts';
import { type BeganTask, TaskIds } from './task-ids.ts';

const runs = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const key = (kid: string): SymmetricKey => ({ kid, secret: randomBytes(32) });
const HOUR = 3_600_000;
const later = (ms: number): Now => ({ utc: NOW.utc + ms, mono: NOW.mono + ms });

/** A call that began a task. */
function began(more: Parameters<typeof callOf>[2] = {}, duties: Partial<Obligations> = {}): BeganTask {
  const target = { key: 'demo/query', digest: 'd1' };
  const decision = { obligations: { approval: null, redaction: null, maxResultBytes: null, ...duties } };
  return { ...callOf('tools/call', 'demo__query', more), target, decision } as unknown as BeganTask;
}

test('an id opens for its caller at its endpoint with all that was put into it, also under the key before', () => {
  const old = key('1');
  const duties = { redaction: 'strict', maxResultBytes: 10 };
  const sealed = new TaskIds([old]).seal(began({}, duties), 'own id', HOUR, NOW.utc);
  assert.match(sealed, /^[A-Za-z0-9_-]+$/);
  const keys: KeyPairOf<SymmetricKey> = [key('2'), old];
  assert.deepEqual(new TaskIds(keys).open(callOf('tasks/get', sealed), sealed, NOW.utc), {
    ...{ name: 'demo__query', key: 'demo/query', digest: 'd1' },
    task: { id: 'own id', obligations: duties },
  });
  assert.equal(new TaskIds([key('2')]).open(callOf('tasks/get', sealed), sealed, NOW.utc), null);
});

test('for another caller, tenant or endpoint, changed in any place or spelled otherwise it does not open', () => {
  const ids = new TaskIds([key('1')]);
  const sealed = ids.seal(began(), 'own', HOUR, NOW.utc);
  const opens = (text: string, more: Parameters<typeof callOf>[2] = {}) =>
    ids.open(callOf('tasks/get', text, more), text, NOW.utc) !== null;
  assert.ok(opens(sealed));
  assert.ok(!opens(sealed, { principal: principal('bob') }));
  assert.ok(!opens(sealed, { principal: principal('alice', { tenant: 'other' }) }));
  assert.ok(!opens(sealed, { endpoint: DEMO }));
  for (const text of [`${sealed}=`, ` ${sealed}`, sealed.slice(0, -4), '', 'x'.repeat(5_000)]) assert.ok(!opens(text));
  const place = fc.nat({ max: sealed.length - 1 });
  fc.assert(
    fc.property(place, fc.constantFrom(...'ABab01-_'), (at, other) => {
      const changed = sealed.slice(0, at) + other + sealed.slice(at + 1);
      return changed === sealed || !opens(changed);
    }),
    { numRuns: 200 * runs, verbose: 1 },
  );
});

test('it ends with its task, after a day at the latest, and a clock that was set back makes nothing longer', () => {
  const ids = new TaskIds([key('1')]);
  const opensAt = (ttlMs: number | null, ms: number) => {
    const sealed = ids.seal(began(), 'own', ttlMs, NOW.utc);
    return ids.open(callOf('tasks/get', sealed), sealed, NOW.utc + ms) !== null;
  };
  assert.deepEqual([opensAt(HOUR, HOUR - 1), opensAt(HOUR, HOUR), opensAt(0, 0)], [true, false, false]);
  for (const ttlMs of [null, 1e15]) {
    assert.deepEqual([opensAt(ttlMs, 24 * HOUR - 1), opensAt(ttlMs, 24 * HOUR)], [true, false]);
  }
  assert.equal(opensAt(null, -25 * HOUR), false);
});

test('a task resolves to its pinned tool, and to nothing once that was changed, withheld or has expired', async () => {
  const manifest = sampleManifest({ expires: '2026-11-22T13:00:00Z' });
  const { registry } = await sampleRegistry([manifest]);
  registry.observe('demo', liveOf(manifest));
  const resolve = (id: string, now = NOW, more = {}) => registry.resolve.run(callOf('tasks/get', id, more), now);
  const called = callOf('tools/call', 'demo__query');
  const { target } = registry.resolve.run(called, NOW) as { target: BeganTask['target'] };
  const id = registry.sealTask({ ...began(), target }, 'own', HOUR, NOW);
  assert.deepEqual(resolve(id), {
    target,
    task: { id: 'own', obligations: { redaction: null, maxResultBytes: null } },
  });
  assert.equal(registry.taskAt(ALL, called.principal, id, NOW)?.target, target);
  const otherTool = registry.sealTask({ ...began(), target: { ...target, key: 'demo/search' } }, 'own', HOUR, NOW);
  const otherDefinition = registry.sealTask({ ...began(), target: { ...target, digest: 'd0' } }, 'own', HOUR, NOW);
  for (const [what, left] of Object.entries({
    'made up': resolve('demo__query'),
    'another tool of that name': resolve(otherTool),
    'another definition': resolve(otherDefinition),
    'somebody else': resolve(id, NOW, { principal: principal('bob') }),
    'the manifest has expired': resolve(id, later(HOUR)),
  }))
    assert.equal(left, NO_TARGET, what);
  const live = liveOf(manifest);
  live.tools[0]!['description'] = 'changed';
  registry.observe('demo', live);
  assert.equal(resolve(id), NO_TARGET, 'quarantined');
});

test('a tool that answers only as a task of 2025-11-25 is not served, and it is said why', async () => {
  const required = sampleTool('query', { execution: { taskSupport: 'required' } });
  const optional = sampleTool('search', { execution: { taskSupport: 'optional' } });
  const manifest = sampleManifest({ tools: [required, optional] });
  const { registry } = await sampleRegistry([manifest]);
  registry.observe('demo', liveOf(manifest));
  const found = (name: string) => registry.resolve.run(callOf('tools/call', name), NOW) !== NO_TARGET;
  assert.deepEqual([found('demo__query'), found('demo__search')], [false, true]);
  assert.deepEqual(
    registry.quarantined().map(({ name, reason }) => [name, reason]),
    [['query', 'task']],
  );
});
