import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Now, Principal } from '../../core/call.ts';
import { readSection } from '../../core/settings.ts';
import { Refusal } from '../../core/stage.ts';
import { openAuthentication } from './authentication.ts';
import { authenticationSettings } from './settings.ts';
import { bearer, callWith, ISSUER, jwks, later, makeKey, makeToken, START, type TestKey } from './token-kit.test.ts';

const home = mkdtempSync(join(tmpdir(), 'authentication-keys-'));
const servers: Server[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(home, { recursive: true });
});

const old = makeKey('ES256', 'old');
const fresh = makeKey('ES256', 'fresh');

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
}

/** The same token for the same key and claims, so that a second use meets the memory. */
const made = new Map<string, string>();
function tokenOf(key: TestKey, claims: Record<string, unknown>): string {
  const name = JSON.stringify([key.kid, key.alg, claims]);
  const token = made.get(name) ?? makeToken(key, { exp: START.utc / 1000 + 80_000, ...claims });
  made.set(name, token);
  return token;
}

async function openUrl(jwksUrl: string, bounds: Record<string, unknown> = {}, algorithms = ['ES256']) {
  const settings = readSection('authentication', authenticationSettings, {
    development: true,
    issuers: [{ issuer: ISSUER, jwks: jwksUrl, algorithms }],
    // The memory outlasts every test: only changed or ended keys may make it forget.
    cache: { seconds: 3600 },
    jwks: { timeoutMs: 5000, ...bounds },
  });
  const { stage, close } = await openAuthentication({ settings, home });
  const judge = async (key: TestKey, now: Now, claims: Record<string, unknown> = {}) => {
    const left = (await stage.run(callWith(bearer(tokenOf(key, claims))), now)) as Principal | Refusal;
    return left instanceof Refusal ? left.code : 'in';
  };
  return { judge, close, stage };
}

test('rotation: a new key works after one fetch, the old one is refused once the set without it has been fetched', async () => {
  let served = jwks(old);
  let asked = 0;
  const { judge, close } = await openUrl(
    await serve((_, answer) => {
      asked++;
      answer.end(served);
    }),
  );
  assert.equal(await judge(old, START), 'in');
  served = jwks(old, fresh);
  assert.equal(await judge(fresh, later(31_000)), 'in');
  assert.equal(asked, 2);
  served = jwks(fresh);
  // Past refreshSeconds the set is fetched behind a call; the next one already knows, also for a remembered token.
  assert.equal(await judge(old, later(31_000 + 301_000)), 'in');
  // The fetch runs on real sockets: wait for it, at the same moment of the frozen clock.
  for (let tries = 0; tries < 500 && (await judge(old, later(31_000 + 301_001))) === 'in'; tries++) {
    await new Promise((done) => setTimeout(done, 10));
  }
  assert.equal(asked, 3);
  assert.equal(await judge(old, later(31_000 + 301_001)), 'authentication.invalid');
  assert.equal(await judge(fresh, later(31_000 + 301_001)), 'in');
  await close();
});

test('keys that change while signatures are being checked do not leave a removed key remembered', async () => {
  const settings = readSection('authentication', authenticationSettings, {
    issuers: [{ issuer: ISSUER, jwks: 'https://issuer.example/jwks', algorithms: ['ES256'] }],
  });
  for (let round = 0; round < 5; round++) {
    let fetched: Promise<Uint8Array> = Promise.resolve(jwks(old));
    const fetchKeys = () => fetched;
    const { stage, close } = await openAuthentication({ settings, home, fetchKeys });
    const run = async (sub: string, now: Now) => stage.run(callWith(bearer(tokenOf(old, { sub }))), now);
    assert.ok(!((await run('first', START)) instanceof Refusal));
    fetched = Promise.resolve(jwks(fresh));
    // The first of these starts the fetch behind it; all of them are verified with the old set or the new one.
    const people = Array.from({ length: 20 }, (_, i) => `p${i}`);
    await Promise.all(people.map((sub) => run(sub, later(300_000))));
    for (const sub of people) {
      let left: unknown;
      for (let tries = 0; tries < 500; tries++) {
        left = await run(sub, later(300_001));
        if (left instanceof Refusal) break;
        await new Promise((done) => setTimeout(done, 1));
      }
      assert.ok(left instanceof Refusal, 'remembered with a key that is gone');
    }
    await close();
  }
});

test('tokens naming unknown keys cause at most one fetch per cool-down', async () => {
  let asked = 0;
  const { judge, close } = await openUrl(
    await serve((_, answer) => {
      asked++;
      answer.end(jwks(old));
    }),
  );
  assert.equal(await judge(old, START), 'in');
  const flood = (now: Now) =>
    Promise.all(Array.from({ length: 50 }, (_, i) => judge({ ...fresh, kid: `unknown-${i}` }, now)));
  assert.deepEqual(new Set(await flood(later(1))), new Set(['authentication.invalid']));
  assert.equal(asked, 1);
  await flood(later(30_001));
  await flood(later(30_002));
  assert.equal(asked, 2);
  await close();
});

test('a token of an algorithm the issuer is not allowed causes no look at any key', async () => {
  let asked = 0;
  const { judge, close } = await openUrl(
    await serve((_, answer) => {
      asked++;
      answer.end(jwks(makeKey('EdDSA', 'ed')));
    }),
  );
  assert.equal(await judge(makeKey('EdDSA', 'ed'), START), 'authentication.invalid');
  assert.equal(await judge(makeKey('RS256', 'ed'), START), 'authentication.invalid');
  assert.equal(asked, 0);
  await close();
});

test('many first calls at once share one fetch', async () => {
  let asked = 0;
  const { judge, close } = await openUrl(
    await serve((_, answer) => {
      asked++;
      setTimeout(() => answer.end(jwks(old)), 30);
    }),
  );
  const all = await Promise.all(Array.from({ length: 20 }, (_, i) => judge(old, START, { sub: `p${i}` })));
  assert.deepEqual(new Set(all), new Set(['in']));
  assert.equal(asked, 1);
  await close();
});

const SICK: Record<string, RequestListener> = {
  'status 500': (_, answer) => answer.writeHead(500).end(jwks(old)),
  HTML: (_, answer) => answer.end('<html>sign in</html>'),
  'an empty set': (_, answer) => answer.end('{"keys":[]}'),
  'an empty object': (_, answer) => answer.end('{}'),
  'nothing at all': (_, answer) => answer.end(),
  '10 MB': (_, answer) => {
    answer.on('error', () => undefined);
    answer.end(Buffer.concat([Buffer.alloc(10 * 1024 * 1024, ' '), jwks(old)]));
  },
  'a redirect': (request, answer) =>
    request.url === '/other' ? answer.end(jwks(old)) : answer.writeHead(302, { location: '/other' }).end(),
  'a secret as key': (_, answer) => answer.end('{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"old"}]}'),
  'an endless list': (_, answer) => answer.end(JSON.stringify({ keys: Array(101).fill(old.jwk) })),
  silence: () => undefined,
  'a slow drip': (_, answer) => {
    const drip = setInterval(() => answer.write(' '), 20);
    answer.on('close', () => clearInterval(drip));
  },
  'a cut connection': (request) => request.socket.destroy(),
};
test('a sick key endpoint lets nobody in and nobody hang: 500, HTML, empty, 10 MB, redirect, silence, drip', async () => {
  await Promise.all(
    Object.entries(SICK).map(async ([name, listener]) => {
      const { judge, close } = await openUrl(await serve(listener), { timeoutMs: 300 });
      const began = performance.now();
      assert.equal(await judge(old, START), 'authentication.unavailable', name);
      assert.equal(await judge(old, later(1)), 'authentication.unavailable', name);
      assert.ok(performance.now() - began < 2000, `${name} hung`);
      await close();
    }),
  );
});

test('when the issuer falls sick, known keys hold until their bound and not a millisecond longer', async () => {
  let sick = false;
  const { judge, close, stage } = await openUrl(
    await serve((_, answer) => (sick ? answer.writeHead(500).end() : answer.end(jwks(old)))),
  );
  assert.equal(await judge(old, START), 'in');
  sick = true;
  assert.equal(await judge(old, later(3_599_999)), 'in');
  assert.equal(await judge(old, later(3_600_000)), 'authentication.unavailable');
  assert.ok(stage.run(callWith(bearer(makeToken(old))), later(3_600_000)) instanceof Promise);
  sick = false;
  assert.equal(await judge(old, later(3_600_000 + 30_000)), 'in');
  await close();
});

test('a key file is read again while running; a broken or foreign-writable one keeps the old keys', async () => {
  const path = join(home, 'rotating.jwks');
  writeFileSync(path, jwks(old));
  const { judge, close } = await openUrl(`file:${path}`);
  assert.equal(await judge(old, START), 'in');
  writeFileSync(path, '{ half');
  assert.equal(await judge(old, later(2001)), 'in');
  writeFileSync(path, jwks(old, fresh));
  chmodSync(path, 0o666);
  assert.equal(await judge(fresh, later(4002)), 'authentication.invalid');
  chmodSync(path, 0o644);
  assert.equal(await judge(fresh, later(6003)), 'in');
  writeFileSync(path, jwks(fresh));
  assert.equal(await judge(old, later(8004)), 'authentication.invalid');
  await close();
});

test('a key taken out of its file while the gateway starts counts no longer than one taken out later', async () => {
  const path = join(home, 'starting.jwks');
  writeFileSync(path, jwks(old));
  // By now the file has been read, and its keys are being taken in.
  const opening = openUrl(`file:${path}`);
  writeFileSync(path, jwks(fresh));
  const { judge, close } = await opening;
  await judge(old, START);
  assert.equal(await judge(old, later(2001)), 'authentication.invalid');
  assert.equal(await judge(fresh, later(4002)), 'in');
  await close();
});

test('a key file without keys lets nobody in; one that is gone keeps the keys it had, but not for ever', async () => {
  const path = join(home, 'revoked.jwks');
  const settings = { boundSeconds: 600 };
  writeFileSync(path, jwks(old));
  const revoked = await openUrl(`file:${path}`, settings);
  assert.equal(await revoked.judge(old, START), 'in');
  writeFileSync(path, '{"keys":[]}');
  assert.equal(await revoked.judge(old, later(2001)), 'authentication.invalid');
  await revoked.close();

  writeFileSync(path, jwks(old));
  const gone = await openUrl(`file:${path}`, settings);
  assert.equal(await gone.judge(old, START), 'in');
  rmSync(path);
  assert.equal(await gone.judge(old, later(599_000)), 'in');
  assert.equal(await gone.judge(old, later(600_000)), 'authentication.unavailable');
  writeFileSync(path, jwks(old));
  assert.equal(await gone.judge(old, later(603_000)), 'in');
  await gone.close();
});

test('keys that are short, private-use, of another curve or for encryption do not count', async () => {
  const weak = makeKey('ES256', 'k');
  for (const jwk of [
    { ...weak.jwk, use: 'enc' },
    { ...weak.jwk, key_ops: ['sign'] },
    { ...weak.jwk, alg: 'ES384' },
    { ...weak.jwk, x: 'AAAA' },
    { ...generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' }), kid: 'k' },
    { kty: 'oct', k: 'c2VjcmV0', kid: 'k' },
    makeKey('ES384', 'k').jwk,
    7,
    null,
  ]) {
    const path = join(home, 'unusable.jwks');
    writeFileSync(path, JSON.stringify({ keys: [jwk] }));
    await assert.rejects(openUrl(`file:${path}`, {}, ['ES256', 'RS256']), /no public key/);
  }
});
