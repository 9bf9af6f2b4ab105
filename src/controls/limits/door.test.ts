import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Call, CallWith, Now } from '../../core/call.ts';
import { readSection } from '../../core/settings.ts';
import { Refusal, type Stage } from '../../core/stage.ts';
import { MemoryEphemeral } from '../../core/store/ephemeral-memory.ts';
import { claimedClient } from './claimed.ts';
import { openLimits } from './index.ts';
import { limitsSettings } from './settings.ts';

const at = (mono: number): Now => ({ utc: 1_790_000_000_000 + mono, mono });
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const tokenOf = (claims: object, signature = 'c2ln') => `${part({ alg: 'ES256' })}.${part(claims)}.${signature}`;
const ofClient = (client: string) => tokenOf({ iss: 'https://issuer.example', client_id: client });

function call(address: string, token: string | null): CallWith<'endpoint'> {
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  return { head: { address, certificate: null, headers } } as unknown as CallWith<'endpoint'>;
}

function open(of: { verified?: (call: Call) => boolean; inFlight?: number; maxKeys?: number; settings?: object } = {}) {
  const limits = openLimits({
    settings: readSection('limits', limitsSettings, of.settings ?? {}),
    ephemeral: new MemoryEphemeral(of.maxKeys === undefined ? {} : { maxKeys: of.maxKeys }),
    facts: { verified: of.verified ?? (() => false), inFlight: () => of.inFlight ?? 0 },
  });
  const invalid: Stage<never, 'principal'> = {
    name: 'authentication',
    leaves: 'principal',
    run: () => new Refusal('authentication.invalid'),
  };
  const fail = (address: string, token: string, now = at(0)) =>
    limits.failures.counted(invalid).run(call(address, token), now) as Refusal;
  const enters = (address: string, token: string | null, now = at(0)) => {
    const outcome = limits.stages.door.run(call(address, token), now);
    return outcome instanceof Refusal ? outcome.code : 'passed';
  };
  return { limits, fail, enters };
}

test('guessing for one client from many addresses is answered with a growing wait; another client is not', () => {
  const { fail, enters } = open();
  const answers = Array.from({ length: 14 }, (_, i) => fail(`192.0.2.${i}`, ofClient('shop')));
  assert.deepEqual(
    answers.map(({ code }) => code),
    [...Array(10).fill('authentication.invalid'), ...Array(4).fill('limits.backoff')],
  );
  assert.deepEqual(
    answers.slice(10).map(({ facts }) => facts.retryAfterMs),
    [500, 1_000, 2_000, 4_000],
  );
  assert.match(answers[13]!.facts.evidence!, /authentication\.invalid/, 'the record keeps what was wrong');
  assert.equal(fail('192.0.2.99', ofClient('office')).code, 'authentication.invalid');
  assert.equal(enters('198.51.100.7', ofClient('shop')), 'passed', 'its own token is looked at all the same');
});

test('what a token claims is read without trust: no client, no JSON, too long, repeated header and other schemes count by address alone', () => {
  const claimed = (authorization: unknown) =>
    claimedClient({ head: { headers: { authorization } } } as unknown as Call);
  const known = claimed(`Bearer ${ofClient('shop')}`);
  assert.match(known!, /^[\w-]{43}$/);
  assert.equal(claimed(`bearer ${tokenOf({ iss: 'https://issuer.example', azp: 'shop' })}`), known);
  assert.notEqual(claimed(`Bearer ${tokenOf({ iss: 'https://other.example', client_id: 'shop' })}`), known);
  for (const nothing of [
    undefined,
    ['Bearer a', 'Bearer b'],
    'Basic abc',
    'Bearer opaque',
    'Bearer a.b.c',
    `Bearer ${part({})}.${part(null)}.x`,
    `Bearer ${tokenOf({ client_id: { toString: 'shop' } })}`,
    `Bearer ${tokenOf({ client_id: '' })}`,
    `Bearer ${tokenOf({ client_id: 'x'.repeat(600) })}`,
    `Bearer ${tokenOf({ client_id: 'shop', more: 'x'.repeat(9_000) })}`,
  ])
    assert.equal(claimed(nothing), null);
});

test('a good client is never delayed by bad ones, whoever they claim to be and however many they are', () => {
  const addresses = ['192.0.2.1', '192.0.2.2', '2001:db8::1'];
  const clients = ['shop', 'office', 'robot'];
  const guess = fc.record({
    address: fc.constantFrom(...addresses),
    client: fc.constantFrom(...clients),
    after: fc.integer({ min: 0, max: 900 }),
  });
  const runs = 60 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
  fc.assert(
    fc.property(fc.array(guess, { minLength: 30, maxLength: 120 }), fc.boolean(), (guesses, small) => {
      const good = ofClient('shop');
      const { fail, enters } = open({
        verified: ({ head }) => head.headers['authorization'] === `Bearer ${good}`,
        ...(small ? { maxKeys: 2 } : {}),
      });
      let now = 0;
      for (const { address, client, after } of guesses) {
        now += after;
        fail(address, tokenOf({ iss: 'https://issuer.example', client_id: client, n: now }), at(now));
        for (const from of addresses) assert.equal(enters(from, good, at(now)), 'passed', 'verified before');
        if (!small) {
          const fresh = tokenOf({ iss: 'https://issuer.example', client_id: 'shop', jti: 'fresh' });
          assert.equal(enters('198.51.100.7', fresh, at(now)), 'passed', 'a new token, from elsewhere');
        }
      }
    }),
    { numRuns: runs, seed: 7 },
  );
});

test('where one call is taken on at a time, a stranger may be that one: else nobody could ever become known', () => {
  for (const maxInFlight of [1, 2, 3]) {
    const { enters } = open({ inFlight: 1, settings: { maxInFlight } });
    assert.equal(enters('192.0.2.1', ofClient('new')), 'passed', `${maxInFlight}`);
  }
});

test('load is shed from strangers first: the last quarter is for credentials verified before', () => {
  const known = ofClient('shop');
  const verified = ({ head }: Call) => head.headers['authorization'] === `Bearer ${known}`;
  const at100 = (inFlight: number) => open({ verified, inFlight, settings: { maxInFlight: 100 } }).enters;
  for (const [inFlight, stranger, nobody, good] of [
    [75, 'passed', 'passed', 'passed'],
    [76, 'limits.overloaded', 'limits.overloaded', 'passed'],
    [100, 'limits.overloaded', 'limits.overloaded', 'passed'],
    [101, 'limits.overloaded', 'limits.overloaded', 'limits.overloaded'],
  ] as const) {
    const enters = at100(inFlight);
    assert.deepEqual(
      [enters('192.0.2.1', ofClient('new')), enters('192.0.2.1', null), enters('192.0.2.1', known)],
      [stranger, nobody, good],
      `${inFlight} in flight`,
    );
  }
});
