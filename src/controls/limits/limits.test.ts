import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Call, CallWith, Now, Principal, Target } from '../../core/call.ts';
import { readSection } from '../../core/settings.ts';
import { Refusal } from '../../core/stage.ts';
import type { Ephemeral } from '../../core/store/ephemeral.ts';
import { MemoryEphemeral } from '../../core/store/ephemeral-memory.ts';
import { sourceOf } from './address.ts';
import { openLimits } from './index.ts';
import { limitsSettings, weakLimits } from './settings.ts';

const at = (mono: number): Now => ({ utc: 1_790_000_000_000 + mono, mono });

function principal(key: string, tenant = 'default'): Principal {
  return {
    issuer: 'https://issuer.example',
    subject: key,
    client: '',
    tenant,
    scopes: [],
    groups: [],
    proof: 'bearer',
    actors: [],
    expiresAt: 2e12,
    key: `${tenant}/${key}`,
    authority: key,
  };
}

function target(limits: Partial<Target['limits']> = {}, name = 'query'): Target {
  return {
    kind: 'tool',
    tenant: 'default',
    server: 's',
    name,
    exposed: `s__${name}`,
    key: `s/${name}`,
    digest: '',
    manifest: '',
    effect: 'read',
    scopes: [],
    definition: {},
    limits: { cost: 1, maxArgumentBytes: 1, maxResultBytes: 1, maxConcurrent: 100, timeoutMs: 1, ...limits },
    errors: 'scrub',
  };
}

function call(address: string, slots: Partial<Call> = {}, authorization: string | undefined = 'Bearer x') {
  return {
    head: { address, certificate: null, headers: { authorization } },
    ...slots,
  } as unknown as CallWith<'endpoint' | 'principal' | 'target'>;
}

const open = (raw: unknown = {}, facts?: { verified?: (c: Call) => boolean; inFlight?: () => number }) =>
  openLimits({
    settings: readSection('limits', limitsSettings, raw),
    ephemeral: new MemoryEphemeral(),
    facts: { verified: facts?.verified ?? (() => false), inFlight: facts?.inFlight ?? (() => 0) },
  });

const codeOf = (outcome: unknown) => (outcome instanceof Refusal ? outcome.code : 'passed');

test('call N + 1 of a principal is refused with the time to wait, another principal is served', () => {
  const limits = open({ principal: { limit: 5, windowMs: 16_000 } });
  const run = (who: Principal, now: number) =>
    limits.stages.principal.run(call('198.51.100.1', { principal: who }), at(now));
  for (let i = 0; i < 5; i++) assert.deepEqual(run(principal('a'), i), { remaining: 4 - i });
  const refused = run(principal('a'), 6) as Refusal;
  assert.equal(refused.code, 'limits.exceeded');
  assert.equal(refused.facts.retryAfterMs, 16_994);
  assert.equal(codeOf(run(principal('b'), 6)), 'passed');
  assert.equal(codeOf(run(principal('a', 'other'), 6)), 'passed', 'the same name in another tenant');
  assert.equal(codeOf(run(principal('a'), 6 + 16_994)), 'passed');
});

test('tenant and address windows hold for all their principals together, and who is over his own uses up nothing of them', () => {
  const limits = open({ principal: { limit: 2 }, tenant: { limit: 5 }, address: { limit: 4 } });
  const run = (key: string, address: string) =>
    codeOf(limits.stages.principal.run(call(address, { principal: principal(key) }), at(0)));
  for (let i = 0; i < 50; i++) run('greedy', '198.51.100.1');
  assert.equal(run('b', '198.51.100.1'), 'passed');
  assert.equal(run('b', '198.51.100.1'), 'passed');
  assert.equal(run('c', '198.51.100.1'), 'limits.exceeded', 'address');
  assert.equal(run('c', '198.51.100.2'), 'passed');
  assert.equal(run('d', '198.51.100.3'), 'limits.exceeded', 'tenant');
});

test('a tool weighs what its manifest says, in its own window and in the principal window', () => {
  const limits = open({ tool: { limit: 10 }, principal: { limit: 12 } });
  const who = principal('a');
  const run = (t: Target) => codeOf(limits.stages.target.run(call('::1', { principal: who, target: t }), at(0)));
  assert.equal(run(target({ cost: 5 })), 'passed');
  assert.equal(run(target({ cost: 5 })), 'passed');
  assert.equal(run(target({ cost: 5 })), 'limits.exceeded');
  assert.equal(run(target({ cost: 4 }, 'other')), 'passed');
  assert.equal(run(target({ cost: 3 }, 'third')), 'limits.exceeded', 'principal: 4 + 4 + 3 + 2 > 12');
});

test('no more calls of a target run at a time than it allows; each lease frees its place exactly once', () => {
  const limits = open();
  const run = (key: string) =>
    limits.stages.target.run(call('::1', { principal: principal(key), target: target({ maxConcurrent: 2 }) }), at(0));
  const first = run('a') as { release(): void };
  run('b');
  assert.equal(codeOf(run('c')), 'limits.exceeded');
  first.release();
  first.release();
  first.release();
  assert.equal(codeOf(run('c')), 'passed');
  assert.equal(codeOf(run('d')), 'limits.exceeded', 'a second release freed nothing');
});

test('running targets never exceed their bound in any order of starts and ends', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(20), { maxLength: 80 }), (max, steps) => {
      const limits = open({ maxConcurrentPerPrincipal: 3 });
      const held: { release(): void }[] = [];
      for (const step of steps) {
        if (step < 8) {
          held[step]?.release();
          held.splice(step, 1);
          continue;
        }
        const lease = limits.stages.target.run(
          call('::1', { principal: principal('p'), target: target({ maxConcurrent: max }) }),
          at(0),
        );
        const expected = held.length < Math.min(max, 3);
        assert.equal(lease instanceof Refusal, !expected);
        if (!(lease instanceof Refusal)) held.push(lease as { release(): void });
      }
    }),
  );
});

test('failed authentication is free ten times, then answered with a wait that doubles; a good token from elsewhere is not delayed', () => {
  const limits = open();
  const waits: (number | undefined)[] = [];
  for (let i = 0; i < 20; i++)
    waits.push((limits.failures.failed('203.0.113.9', at(0)) as Refusal | null)?.facts.retryAfterMs);
  assert.deepEqual(waits.slice(0, 10), new Array(10).fill(undefined));
  assert.deepEqual(waits.slice(10), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  assert.deepEqual(limits.stages.door.run(call('203.0.113.10'), at(0)), { address: '203.0.113.10' });
});

test('around authentication: guesses turn from 401 into a growing 429, missing and expired credentials never do, good ones pass', async () => {
  const limits = open();
  const outcomes: Record<string, Refusal | Principal> = {
    bad: new Refusal('authentication.invalid', { evidence: 'signature' }),
    foreign: new Refusal('authentication.wrong_audience'),
    old: new Refusal('authentication.expired'),
    none: new Refusal('authentication.missing'),
    outage: new Refusal('authentication.unavailable'),
    good: principal('a'),
  };
  for (const later of [false, true]) {
    const stage = limits.failures.counted<never>({
      name: 'authentication',
      leaves: 'principal',
      run: (c) => {
        const outcome = outcomes[String(c.head.headers['authorization'])]!;
        return later ? Promise.resolve(outcome) : outcome;
      },
    });
    const address = later ? '203.0.113.1' : '203.0.113.2';
    const run = async (what: string) => codeOf(await stage.run(call(address, {}, what), at(0)));
    for (let i = 0; i < 30; i++) {
      assert.equal(await run('old'), 'authentication.expired');
      assert.equal(await run('none'), 'authentication.missing');
      assert.equal(await run('outage'), 'authentication.unavailable');
    }
    for (let i = 0; i < 5; i++) {
      assert.equal(await run('bad'), 'authentication.invalid');
      assert.equal(await run('foreign'), 'authentication.wrong_audience');
    }
    const refused = (await stage.run(call(address, {}, 'bad'), at(0))) as Refusal;
    assert.equal(refused.code, 'limits.backoff');
    assert.equal(refused.facts.evidence, '11 failures in a row; authentication.invalid; signature');
    assert.equal(await run('old'), 'authentication.expired', 'a client can still learn that it has to renew');
    assert.equal(await run('good'), 'passed');
  }
});

test('a source that waits gets fifty unproved tries a second, then is turned away unread; verified credentials always pass', () => {
  const limits = open({}, { verified: (c) => c.head.headers['authorization'] === 'Bearer good' });
  for (let i = 0; i < 20; i++) void limits.failures.failed('127.0.0.1', at(0));
  const outcomes = Array.from({ length: 200 }, () => codeOf(limits.stages.door.run(call('127.0.0.1'), at(1))));
  assert.equal(outcomes.filter((code) => code === 'passed').length, 50);
  assert.equal(outcomes.at(-1), 'limits.backoff');
  assert.equal(codeOf(limits.stages.door.run(call('127.0.0.1', {}, 'Bearer good'), at(1))), 'passed');
  assert.equal(codeOf(limits.stages.door.run(call('::ffff:127.0.0.1'), at(1))), 'limits.backoff', 'the same source');
});

test('back-off ends: after the wait everything is looked at again, after two quiet minutes nothing is remembered', () => {
  const limits = open({ backoff: { trialsPerSecond: 1 } });
  for (let i = 0; i < 14; i++) void limits.failures.failed('203.0.113.9', at(0));
  const door = (now: number) => codeOf(limits.stages.door.run(call('203.0.113.9'), at(now)));
  assert.equal(door(1), 'passed', 'the one trial');
  assert.equal(door(2), 'limits.backoff');
  assert.deepEqual([door(4_000), door(4_000)], ['passed', 'passed']);
  assert.equal(
    (limits.failures.failed('203.0.113.9', at(5_000)) as Refusal).facts.retryAfterMs,
    8_000,
    'the streak goes on',
  );
  assert.equal(limits.failures.failed('203.0.113.9', at(125_000)), null);
});

test('guessing from many addresses of one IPv6 /64 is guessing from one source', () => {
  const limits = open();
  for (let i = 0; i < 11; i++) void limits.failures.failed(`2001:db8:1:2::${i.toString(16)}`, at(0));
  assert.equal((limits.failures.failed('2001:db8:1:2:ffff:1:2:3', at(0)) as Refusal).code, 'limits.backoff');
  assert.equal(limits.failures.failed('2001:db8:1:3::1', at(0)), null);
  for (const [address, source] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['2001:0DB8:0001:0002:0:0:0:1', '2001:db8:1:2::/64'],
    ['2001:db8::', '2001:db8:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['', ''],
  ] as const) {
    assert.equal(sourceOf(address), source);
  }
});

test('with more calls in flight than the ceiling new ones are refused as overload', () => {
  const limits = open({ maxInFlight: 10 }, { inFlight: () => 11 });
  assert.equal(codeOf(limits.stages.door.run(call('192.0.2.1'), at(0))), 'limits.overloaded');
});

test('notifications are counted per principal', () => {
  const limits = open({ events: { limit: 2 } });
  const one = call('::1', { principal: principal('a') });
  const bytes = new Uint8Array([1]);
  assert.equal(limits.event(one, bytes, at(0)), bytes);
  assert.equal(limits.event(one, bytes, at(0)), bytes);
  assert.equal(limits.event(one, bytes, at(0)), 'limits.exceeded');
});

test('"unlimited" is a name that shows as weak, and leaves back-off and concurrency standing', () => {
  const settings = readSection('limits', limitsSettings, { driver: 'unlimited' });
  assert.equal(weakLimits(settings).length, 1);
  assert.deepEqual(weakLimits(readSection('limits', limitsSettings, {})), []);
  const limits = open({ driver: 'unlimited' });
  for (let i = 0; i < 10_000; i++) {
    assert.equal(codeOf(limits.stages.principal.run(call('::1', { principal: principal('a') }), at(0))), 'passed');
  }
  for (let i = 0; i < 11; i++) void limits.failures.failed('192.0.2.1', at(0));
  assert.ok(limits.failures.failed('192.0.2.1', at(0)));
});

test('settings nobody could want are refused with the place and the reason', () => {
  const read = (raw: unknown) => () => readSection('limits', limitsSettings, raw);
  assert.throws(read({ principal: { limit: 0 } }), /limits\.principal\.limit/);
  assert.throws(read({ princpal: {} }), /did you mean "principal"/);
  assert.throws(read({ backoff: { capMs: 10_000, forgetMs: 5_000 } }), /baseMs ≤ capMs ≤ forgetMs/);
});

/** A driver that answers later, as a shared one does: the same state behind promises. */
function remote(inner: MemoryEphemeral, broken = false): Ephemeral {
  const later = <T>(value: () => T) => (broken ? Promise.reject<T>(new Error('gone')) : Promise.resolve(value()));
  return {
    take: (...a) => later(() => inner.take(...a)),
    once: (...a) => later(() => inner.once(...a)),
    failed: (...a) => later(() => inner.failed(...a)),
    backoff: (...a) => later(() => inner.backoff(...a)),
    close: () => inner.close(),
  };
}

test('a driver that answers later gives the same answers; one that cannot be reached refuses, and leaks no place', async () => {
  const settings = readSection('limits', limitsSettings, { principal: { limit: 2 }, tool: { limit: 2 } });
  const shared = openLimits({ settings, ephemeral: remote(new MemoryEphemeral()) });
  const one = call('192.0.2.1', { principal: principal('a'), target: target({ maxConcurrent: 3 }) });
  const codes = [];
  for (let i = 0; i < 3; i++) codes.push(codeOf(await shared.stages.principal.run(one, at(0))));
  assert.deepEqual(codes, ['passed', 'passed', 'limits.exceeded']);
  for (let i = 0; i < 12; i++) await shared.failures.failed('192.0.2.1', at(0));
  assert.equal(codeOf(await shared.failures.failed('192.0.2.1', at(0))), 'limits.backoff');
  assert.equal(codeOf(await shared.stages.door.run(one, at(0))), 'passed');

  const broken = openLimits({ settings, ephemeral: remote(new MemoryEphemeral(), true) });
  for (let i = 0; i < 5; i++) {
    assert.equal(codeOf(await broken.stages.target.run(one, at(0))), 'limits.unavailable');
  }
  assert.equal(codeOf(await broken.stages.principal.run(one, at(0))), 'limits.unavailable');
  assert.equal(codeOf(await broken.stages.door.run(one, at(0))), 'limits.unavailable');
  assert.equal(codeOf(await broken.failures.failed('192.0.2.1', at(0))), 'limits.unavailable');
});

test('calls that wait for their clients leave half of the places of a target, and one principal takes a quarter', async () => {
  const { hold, stages } = open({});
  const tool = target({ maxConcurrent: 8 });
  const wait = async (who: string) => {
    const lease = await stages.target.run(call('::1', { principal: principal(who), target: tool }), at(0));
    const held = hold('waiting', principal(who), tool);
    if (held instanceof Refusal && 'release' in lease) lease.release();
    return codeOf(held);
  };
  const [own, others]: [string[], string[]] = [[], []];
  for (let i = 0; i < 20; i++) own.push(await wait('idler'));
  assert.deepEqual(own.slice(0, 3), ['passed', 'passed', 'limits.streams']);
  for (let i = 0; i < 20; i++) others.push(await wait(`idler${i}`));
  assert.deepEqual(others.slice(0, 3), ['passed', 'passed', 'limits.overloaded']);
  for (let i = 0; i < 4; i++)
    assert.equal(
      codeOf(await stages.target.run(call('::1', { principal: principal('worker'), target: tool }), at(0))),
      'passed',
    );
  assert.equal(codeOf(hold('waiting', principal('idler'), target({}, 'other'))), 'passed', 'at another tool');
  const only = target({ maxConcurrent: 1 }, 'only');
  const held = hold('waiting', principal('idler'), only);
  assert.ok(!(held instanceof Refusal), 'one may always wait');
  held.release();
  held.release();
  assert.equal(codeOf(hold('waiting', principal('worker'), only)), 'passed');
});

test('a principal holds as many streams and waiting calls as he may, and what is released once is free once', () => {
  const { hold } = open({ streams: { perPrincipal: 2, max: 3 }, waiting: { perPrincipal: 1 } });
  const first = hold('streams', principal('a'));
  assert.ok(!(first instanceof Refusal));
  assert.equal(codeOf(hold('streams', principal('a'))), 'passed');
  assert.equal(codeOf(hold('streams', principal('a'))), 'limits.streams');
  assert.equal(codeOf(hold('waiting', principal('a'))), 'passed', 'the one is not counted as the other');
  assert.equal(codeOf(hold('streams', principal('b'))), 'passed');
  assert.equal(codeOf(hold('streams', principal('c'))), 'limits.overloaded', 'the process holds three');
  first.release();
  first.release();
  assert.equal(codeOf(hold('streams', principal('c'))), 'passed');
  assert.equal(codeOf(hold('streams', principal('a'))), 'limits.overloaded');
});
