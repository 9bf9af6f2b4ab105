import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readSection } from '../../core/settings.ts';
import { Refusal } from '../../core/stage.ts';
import { openAuthentication } from './authentication.ts';
import { authenticationSettings } from './settings.ts';
import { bearer, callWith, jwks, later, makeKey, makeToken, START, type TestKey } from './token-kit.test.ts';

const A = 'https://a.example';
const B = 'https://b.example';
const REFRESH = 300;
const BOUND = 900;
const COOLDOWN = 30;
const KEYS = [makeKey('ES256', 'k0'), makeKey('ES256', 'k1'), makeKey('ES256', 'k2')];
const [k0, k1, k2] = KEYS as [TestKey, TestKey, TestKey];

/** What the issuers' key addresses answer at the moment: keys, nothing usable, or no answer. */
type Served = readonly TestKey[] | 'empty' | 'down';

async function open(served: Record<string, Served>, entries = 100) {
  const asked: string[] = [];
  const settings = readSection('authentication', authenticationSettings, {
    issuers: [A, B].map((issuer) => ({ issuer, jwks: `${issuer}/keys`, algorithms: ['ES256'] })),
    cache: { seconds: 3600, entries },
    jwks: { refreshSeconds: REFRESH, boundSeconds: BOUND, cooldownSeconds: COOLDOWN },
  });
  const fetchKeys = async (url: string) => {
    asked.push(url);
    const now = served[url.slice(0, -'/keys'.length)]!;
    if (now === 'down') throw new Error('no answer');
    return now === 'empty' ? jwks() : jwks(...now);
  };
  const { stage, close } = await openAuthentication({ settings, home: '/', fetchKeys });
  const judge = async (token: string, atSeconds: number) => {
    const left = await stage.run(callWith(bearer(token)), later(atSeconds * 1000));
    // What was fetched behind the call is there before the next one.
    await new Promise((done) => setImmediate(done));
    await new Promise((done) => setTimeout(done, 1));
    return left instanceof Refusal ? left.code.slice('authentication.'.length) : 'in';
  };
  return { judge, close, asked };
}

const made = new Map<string, string>();
function tokenOf(key: TestKey, iss: string, livesSeconds: number): string {
  const name = `${key.kid} ${iss} ${livesSeconds}`;
  const token = made.get(name) ?? makeToken(key, { iss, exp: START.utc / 1000 + livesSeconds });
  made.set(name, token);
  return token;
}

/** The same decisions without any memory of tokens, as the README words them. */
class Plain {
  #fetched: { at: number; keys: readonly TestKey[] } | null = null;
  #asked = Number.NEGATIVE_INFINITY;

  judge(key: TestKey, lives: number, at: number, served: Served): string {
    const before = this.#usable(at);
    if (before === null || at >= this.#fetched!.at + REFRESH) this.#ask(at, served);
    // Keys that were good when the call came are good for it, whatever is fetched behind it.
    let keys = before ?? this.#usable(at);
    if (keys === null) return 'unavailable';
    if (!keys.includes(key)) {
      this.#ask(at, served);
      keys = this.#usable(at)!;
    }
    if (!keys.includes(key)) return 'invalid';
    return at < lives + 30 ? 'in' : 'expired';
  }

  #usable(at: number): readonly TestKey[] | null {
    return this.#fetched !== null && at < this.#fetched.at + BOUND ? this.#fetched.keys : null;
  }

  #ask(at: number, served: Served): void {
    if (at < this.#asked + COOLDOWN) return;
    this.#asked = at;
    if (typeof served !== 'string') this.#fetched = { at, keys: served };
  }
}

test('property: remembering tokens changes no decision, whatever keys, outages and time do', async () => {
  const serving = fc.oneof(
    { weight: 4, arbitrary: fc.subarray([k0, k1, k2], { minLength: 1 }) },
    { weight: 1, arbitrary: fc.constantFrom<Served>('empty', 'down') },
  );
  const step = fc.oneof(
    fc.record({ kind: fc.constant('serve' as const), served: serving }),
    fc.record({
      kind: fc.constant('wait' as const),
      seconds: fc.constantFrom(1, 29, 30, 31, 299, 300, 301, 600, 899, 900),
    }),
    fc.record({
      kind: fc.constant('present' as const),
      key: fc.constantFrom(k0, k1, k2),
      lives: fc.constantFrom(600, 80_000),
    }),
    fc.record({
      kind: fc.constant('present' as const),
      key: fc.constantFrom(k0, k1, k2),
      lives: fc.constantFrom(600, 80_000),
    }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 30 }),
      fc.constantFrom(1, 3, 100),
      async (steps, entries) => {
        const served: Record<string, Served> = { [A]: [k0], [B]: 'down' };
        const { judge, close } = await open(served, entries);
        const plain = new Plain();
        let at = 0;
        for (const [index, one] of steps.entries()) {
          if (one.kind === 'serve') served[A] = one.served;
          else if (one.kind === 'wait') at += one.seconds;
          else {
            const expected = plain.judge(one.key, one.lives, at, served[A]!);
            assert.equal(await judge(tokenOf(one.key, A, one.lives), at), expected, `step ${index}, second ${at}`);
          }
        }
        await close();
      },
    ),
    {
      numRuns: 40 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1),
      seed: Number(process.env['GATEWRIT_TEST_SEED'] ?? 20261122),
    },
  );
});

test('a key is one issuer’s: under the same id, and after the other issuer took it away', async () => {
  const twin = { ...makeKey('ES256', 'k0') };
  const { judge, close } = await open({ [A]: [k0], [B]: [{ ...twin, jwk: { ...twin.jwk, kid: 'k0' } }] });
  assert.equal(await judge(tokenOf(k0, A, 900), 0), 'in');
  assert.equal(await judge(tokenOf(k0, B, 900), 0), 'invalid');
  assert.equal(await judge(makeToken(twin, { iss: B }), 0), 'in');
  assert.equal(await judge(makeToken(twin, { iss: A }), 0), 'invalid');
  await close();
});

test('an issuer that is down stops its own people at the bound and nobody else', async () => {
  const served: Record<string, Served> = { [A]: [k0], [B]: [k1] };
  const { judge, close, asked } = await open(served);
  const [ofA, ofB] = [tokenOf(k0, A, 80_000), tokenOf(k1, B, 80_000)];
  assert.deepEqual([await judge(ofA, 0), await judge(ofB, 0)], ['in', 'in']);
  served[B] = 'down';
  for (const at of [REFRESH, BOUND - 1]) assert.deepEqual([await judge(ofA, at), await judge(ofB, at)], ['in', 'in']);
  assert.deepEqual([await judge(ofA, BOUND + 1), await judge(ofB, BOUND + 1)], ['in', 'unavailable']);
  const before = asked.length;
  // Within the cool-down nobody asks again, however many people of that issuer come.
  for (let i = 0; i < 20; i++) assert.equal(await judge(tokenOf(k1, B, 80_000 + i), BOUND + 2 + i), 'unavailable');
  assert.equal(asked.length, before);
  served[B] = [k1];
  assert.equal(await judge(ofB, BOUND + 1 + COOLDOWN), 'in');
  await close();
});

test('old and new key live side by side, in either order of the change, until the old one is taken away', async () => {
  const served: Record<string, Served> = { [A]: [k0], [B]: 'down' };
  const { judge, close } = await open(served);
  const [old, fresh] = [tokenOf(k0, A, 80_000), tokenOf(k1, A, 80_000)];
  assert.equal(await judge(old, 0), 'in');
  // Signed before it was published: refused within the cool-down, taken after it without anybody's doing.
  assert.equal(await judge(fresh, 1), 'invalid');
  served[A] = [k1, k0];
  assert.equal(await judge(fresh, COOLDOWN - 1), 'invalid');
  assert.equal(await judge(fresh, COOLDOWN), 'in');
  assert.deepEqual([await judge(old, COOLDOWN + 1), await judge(fresh, COOLDOWN + 1)], ['in', 'in']);
  served[A] = [k1];
  // The call that finds the keys too old goes on with them; the next one knows.
  assert.equal(await judge(old, COOLDOWN + REFRESH), 'in');
  assert.deepEqual(
    [await judge(old, COOLDOWN + REFRESH + 1), await judge(fresh, COOLDOWN + REFRESH + 1)],
    ['invalid', 'in'],
  );
  await close();
});
