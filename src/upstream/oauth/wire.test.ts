import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { HttpWire } from '../http.ts';
import type { Outgoing } from '../wire.ts';
import { WireFault } from '../wire.ts';
import { type Asked, grantingPerson, reply, rig, type World, world } from './fixture.test.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

/** An upstream that wants `Bearer token-<n>` from the nth sign-in on, and counts what ran. */
async function upstream(wanted: (asked: Asked) => { status: number; challenge?: string } | null) {
  const at = await world();
  let ran = 0;
  at.paths.set('/mcp', (res, asked) => {
    const refusal = wanted(asked);
    if (refusal)
      return reply(res, refusal.status, {}, refusal.challenge ? { 'www-authenticate': refusal.challenge } : {});
    ran++;
    reply(res, 200, { jsonrpc: '2.0', id: 1, result: {} });
  });
  const one = rig(at, { person: grantingPerson() });
  const wire = new HttpWire({
    url: at.endpoint,
    maxConnections: 2,
    connectTimeoutMs: 1_000,
    credential: one.credential,
  });
  closing.push(() => wire.close(), one.close, at.close);
  return { at, wire, rig: one, ran: () => ran };
}
const calls = (at: World) => at.asked.filter(({ path }) => path === '/mcp');
const request: Outgoing = {
  id: 1,
  method: 'tools/call',
  bytes: Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/call"}'),
  headers: [],
  timeoutMs: 2_000,
  maxBytes: 10_000,
  signal: null,
  onOther: null,
};
const status = (answer: unknown) => (answer instanceof WireFault ? answer.code : (answer as { status: number }).status);

describe('a request to an upstream that wants a credential', () => {
  test('is refused, signed in for, and repeated once: it runs once', async () => {
    const { at, wire, ran } = await upstream(({ headers }) =>
      headers.authorization === 'Bearer token-1' ? null : { status: 401 },
    );
    assert.equal(status(await wire.exchange(request)), 200);
    assert.deepEqual(
      calls(at).map(({ headers }) => headers.authorization),
      [undefined, 'Bearer token-1'],
    );
    assert.equal(status(await wire.exchange(request)), 200);
    assert.deepEqual([calls(at).length, ran()], [3, 2]);
  });

  test('that refuses every token is asked twice, no more, and the refusal stands', async () => {
    const { at, wire } = await upstream(() => ({ status: 401 }));
    assert.equal(status(await wire.exchange(request)), 401);
    assert.equal(calls(at).length, 2);
  });

  test('that wants more scopes gets one step-up after one sign-in', async () => {
    const { at, wire, ran } = await upstream(({ headers }) => {
      if (headers.authorization === undefined) return { status: 401, challenge: 'Bearer scope="read"' };
      if (headers.authorization === 'Bearer token-1')
        return { status: 403, challenge: 'Bearer error="insufficient_scope", scope="write"' };
      return null;
    });
    assert.equal(status(await wire.exchange(request)), 200);
    assert.deepEqual([calls(at).length, ran()], [3, 1]);
  });

  test('a call that may have run is never repeated: an answer that broke off is a fault', async () => {
    const at = await world();
    at.paths.set('/mcp', (res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write(': on its way\n\n');
      setTimeout(() => res.destroy(), 20);
    });
    const one = rig(at, { person: grantingPerson() });
    const wire = new HttpWire({
      url: at.endpoint,
      maxConnections: 2,
      connectTimeoutMs: 1_000,
      credential: one.credential,
    });
    closing.push(() => wire.close(), one.close, at.close);
    assert.ok((await wire.exchange(request)) instanceof WireFault);
    assert.equal(calls(at).length, 1);
  });

  test('a 401 on a stream that had begun is no proof that nothing ran: it is not repeated', async () => {
    const at = await world();
    at.paths.set('/mcp', (res) => {
      res.writeHead(401, { 'content-type': 'text/event-stream' });
      res.write('data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n');
      res.end('data: {"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"x"}}\n\n');
    });
    const one = rig(at, { person: grantingPerson() });
    const wire = new HttpWire({
      url: at.endpoint,
      maxConnections: 2,
      connectTimeoutMs: 1_000,
      credential: one.credential,
    });
    closing.push(() => wire.close(), one.close, at.close);
    assert.equal(status(await wire.exchange(request)), 401);
    assert.equal(calls(at).length, 1);
  });

  test('a redirect takes no token anywhere', async () => {
    const elsewhere = await world();
    const { wire, rig: one } = await upstream(() => null);
    const moved = await world();
    moved.paths.set('/mcp', (res) => reply(res, 307, {}, { location: `${elsewhere.url}/mcp` }));
    const away = new HttpWire({
      url: moved.endpoint,
      maxConnections: 1,
      connectTimeoutMs: 1_000,
      credential: one.credential,
    });
    closing.push(() => away.close(), elsewhere.close, moved.close);
    await one.credential.signIn();
    assert.equal(status(await wire.exchange(request)), 200);
    assert.equal(status(await away.exchange(request)), 307);
    assert.deepEqual(elsewhere.asked, []);
  });

  test('a client that left while we signed in is not served any more', async () => {
    const leaving = new AbortController();
    const { at, wire, ran } = await upstream(({ headers }) => {
      if (headers.authorization !== undefined) return null;
      leaving.abort();
      return { status: 401 };
    });
    assert.equal(status(await wire.exchange({ ...request, signal: leaving.signal })), 'cancelled');
    assert.deepEqual([calls(at).length, ran()], [1, 0]);
  });
});
