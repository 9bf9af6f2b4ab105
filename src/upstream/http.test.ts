import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { after, test } from 'node:test';
import type { Credential } from './credential.ts';
import { json, scripted } from './fixture.test.ts';
import { HttpWire } from './http.ts';
import type { Hearing, Outgoing } from './wire.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

const request: Outgoing = {
  id: 1,
  method: 'tools/call',
  bytes: Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/call"}'),
  headers: [],
  signal: null,
  onOther: null,
  timeoutMs: 2_000,
  maxBytes: 1_000,
};
const hearing = (signal: AbortSignal): Hearing => ({
  headers: [],
  maxBytes: 1_000,
  signal,
  onMessage() {},
  onOpen() {},
});

async function wireTo(answer: Parameters<typeof scripted>[0], credential?: Credential) {
  const upstream = await scripted(answer);
  const options = { url: upstream.url, maxConnections: 2, connectTimeoutMs: 1_000 };
  const wire = new HttpWire({ ...options, ...(credential ? { credential } : {}) });
  closing.push(() => wire.close(), upstream.close);
  return { wire, upstream };
}

const full = () => Promise.reject(new Error('the store is full'));

test('when our own credential cannot be had, nothing is sent, and whoever asked is told so', async () => {
  const { wire, upstream } = await wireTo((_, res) => json(res, 200, {}), { headers: full, refused: full });
  const { code, sent, evidence } = (await wire.exchange(request)) as { code: string; sent: boolean; evidence: string };
  assert.deepEqual([code, sent, evidence], ['unavailable', false, 'our own credential cannot be had: Error']);
  assert.equal(((await wire.hear(hearing(new AbortController().signal))) as { code: string }).code, 'unavailable');
  assert.equal(await wire.notify(request.bytes, []), false);
  assert.equal(upstream.seen.length, 0);
});

test('a remedy that fails ends the attempt that was refused', async () => {
  const credential = { headers: () => ['authorization', 'Bearer x'], refused: full };
  const { wire, upstream } = await wireTo((_, res) => json(res, 401, {}), credential);
  assert.equal(((await wire.exchange(request)) as { code: string }).code, 'unavailable');
  assert.equal(upstream.seen.length, 1);
});

test('a session that hears again and again leaves nothing behind on its signal', async () => {
  const { wire } = await wireTo((_, res) => void res.writeHead(200, { 'content-type': 'text/event-stream' }).end());
  const { signal } = new AbortController();
  for (let i = 0; i < 3; i++) assert.equal(await wire.hear(hearing(signal)), 200);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});
