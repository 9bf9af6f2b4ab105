import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { authenticationSettings, openAuthentication } from '../../src/controls/authentication/index.ts';
import {
  bearer,
  callWith,
  ISSUER,
  jwks,
  makeKey,
  makeToken,
  START,
  seconds,
} from '../../src/controls/authentication/token-kit.test.ts';
import { Refusal } from '../../src/core/stage.ts';

/**
 * Whether the time of a refusal tells its reason. Measured inside the process, where differences are a thousand times
 * easier to see than over a network. Who has no key of the issuer must not be able to tell anything apart, whatever he
 * claims to be. Who has a token it signed may see nothing larger than a network hides. What time does tell is public:
 * whether an issuer, an algorithm or a key id is one of ours.
 */
const ROUNDS = Number(process.env['GATEWRIT_TIMING_ROUNDS'] ?? 4000);
/** Share of pairs in which one claim is refused more slowly than the other; 0.5 is no difference at all. */
const TOLD_APART = 0.55;
/** Between medians, µs: a tenth of what a quiet network in one building varies by. */
const SEEN = 30;
const home = mkdtempSync(join(tmpdir(), 'authentication-timing-'));
after(() => rmSync(home, { recursive: true }));

const key = makeKey('ES256', 'k');
const stranger = makeKey('ES256', 'k');
let unique = 0;
let random = Number(process.env['GATEWRIT_TEST_SEED'] ?? 20261122);
const fresh = (claims: Record<string, unknown>, of = key) => makeToken(of, { jti: String(unique++), ...claims });

/** Every token names our issuer, algorithm and key; each is new, so that no memory helps. */
const FORGED: Record<string, () => string> = {
  'a known person': () => fresh({}, stranger),
  'an unknown person': () => fresh({ sub: 'nobody' }, stranger),
  'another audience': () => fresh({ aud: 'https://localhost:8443/mcq' }, stranger),
  'long expired': () => fresh({ iat: seconds - 900, exp: seconds - 600 }, stranger),
};
const SIGNED: Record<string, () => string> = {
  expired: () => fresh({ iat: seconds - 900, exp: seconds - 600 }),
  'not yet': () => fresh({ nbf: seconds + 600, exp: seconds + 900 }),
  'wrong audience': () => fresh({ aud: 'https://other.example/mcp' }),
  'lives too long': () => fresh({ exp: seconds + 100_000 }),
  'a scope that is none': () => fresh({ scope: 'a"b' }),
};
const REASONS = { ...FORGED, ...SIGNED };

test('the time of a refusal does not tell its reason', async () => {
  writeFileSync(join(home, 'keys.jwks'), jwks(key));
  const { stage, close } = await openAuthentication({
    settings: authenticationSettings.parse({ issuers: [{ issuer: ISSUER, jwks: 'file:keys.jwks' }] }),
    home,
  });
  const times: Record<string, number[]> = Object.fromEntries(Object.keys(REASONS).map((reason) => [reason, []]));
  const names = Object.keys(REASONS);
  for (let round = -200; round < ROUNDS; round++) {
    // All made first and judged in another order each time: what signing and neighbours leave behind disturbs all alike.
    const calls = names.map((reason) => ({ reason, call: callWith(bearer(REASONS[reason]!())) }));
    for (const { reason, call } of shuffled(calls)) {
      const begun = process.hrtime.bigint();
      const left = await stage.run(call, START);
      const took = Number(process.hrtime.bigint() - begun);
      assert.ok(left instanceof Refusal, reason);
      if (round >= 0) times[reason]!.push(took);
    }
  }
  await close();
  const medians = names.map((name) => median(times[name]!) / 1000);
  for (const [i, name] of names.entries()) process.stdout.write(`${name}: median ${medians[i]!.toFixed(1)} µs\n`);
  const forged = Object.keys(FORGED);
  for (const [i, one] of forged.entries())
    for (const other of forged.slice(i + 1)) {
      const share = slower(times[one]!, times[other]!);
      assert.ok(Math.max(share, 1 - share) <= TOLD_APART, `${one} against ${other}: ${share.toFixed(3)}`);
    }
  assert.ok(Math.max(...medians) - Math.min(...medians) <= SEEN, medians.join(' '));
});

/** Seeded, so that a run can be repeated (mulberry32). */
function shuffled<T>(list: T[]): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    random = (random + 0x6d2b79f5) | 0;
    let mixed = Math.imul(random ^ (random >>> 15), 1 | random);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    const j = ((mixed ^ (mixed >>> 14)) >>> 0) % (i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}

const median = (list: readonly number[]) => list.toSorted((a, b) => a - b)[list.length >> 1]!;

/** Share of pairs (one, other) in which `one` took longer (Mann and Whitney), by ranks. */
function slower(one: readonly number[], other: readonly number[]): number {
  const sorted = other.toSorted((a, b) => a - b);
  let pairs = 0;
  for (const took of one) {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle]! < took) low = middle + 1;
      else high = middle;
    }
    pairs += low;
  }
  return pairs / (one.length * other.length);
}
