import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLog } from '../core/log.ts';
import { Refusal } from '../core/stage.ts';
import { openMemoryStore } from '../core/store/memory.ts';
import { json, requestFor, scripted } from './fixture.test.ts';
import { openServer } from './servers.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

const HOUR = 3600_000;

/** A server whose era can be changed, and a gateway before it that can be started again. */
async function upgradable(answered: Promise<unknown> = Promise.resolve()) {
  let [utc, era] = [1_000_000, 'legacy' as 'legacy' | 'modern'];
  const upstream = await scripted(({ body, verb }, res) => {
    const answer = (result: object) => json(res, 200, { jsonrpc: '2.0', id: body.id, result });
    if (verb !== 'POST') return void res.writeHead(405).end();
    if (body.method === 'server/discover' && era === 'modern')
      return answer({ resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: {} });
    if (body.method === 'server/discover') return json(res, 400, {});
    if (body.method === 'initialize')
      return answer({ protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 'x', version: '1' } });
    if (body.method?.startsWith('notifications/')) return void res.writeHead(202).end();
    void answered.then(() => answer({ resultType: 'complete', content: [] }));
  });
  const store = openMemoryStore();
  const start = () => {
    const server = openServer(
      'shop',
      { http: { url: upstream.url, ca: undefined, authorization: undefined, maxConnections: 4 } },
      {
        clock: () => ({ utc, mono: performance.now() }),
        log: silentLog,
        onChanged: () => {},
        onEnded: () => {},
        store,
      },
    );
    closing.unshift(() => server.close());
    return server;
  };
  closing.push(upstream.close);
  return {
    start,
    probes: () => upstream.seen.filter(({ body }) => body.method === 'server/discover').length,
    last: () => upstream.seen.at(-1)!.headers['mcp-protocol-version'],
    later: (ms: number) => (utc += ms),
    upgrade: () => (era = 'modern'),
  };
}

test('a legacy server is not asked again at the next start, but is a day later', async () => {
  const { start, probes, later } = await upgradable();
  assert.ok(!((await start().call(requestFor())) instanceof Refusal));
  assert.ok(!((await start().call(requestFor())) instanceof Refusal));
  assert.equal(probes(), 1);
  later(25 * HOUR);
  assert.ok(!((await start().call(requestFor())) instanceof Refusal));
  assert.equal(probes(), 2);
});

test('a server that was upgraded while the gateway runs is found out when it is looked at a day later', async () => {
  const { start, probes, later, upgrade, last } = await upgradable();
  const server = start();
  await server.introspect();
  upgrade();
  later(23 * HOUR);
  await server.introspect();
  assert.equal(probes(), 1);
  later(2 * HOUR);
  await server.introspect();
  assert.equal(probes(), 2);
  assert.ok(!((await server.call(requestFor())) instanceof Refusal));
  assert.equal(last(), '2026-07-28');
});

test('a call that runs when its server turns out to be upgraded ends as it began', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { start, later, upgrade, last } = await upgradable(promise);
  const server = start();
  await server.introspect();
  const running = server.call(requestFor());
  while (last() === '2026-07-28' || last() === undefined) await sleep(5);
  await sleep(20);
  upgrade();
  later(25 * HOUR);
  await server.introspect();
  await sleep(20);
  resolve();
  assert.ok(!((await running) instanceof Refusal));
});
