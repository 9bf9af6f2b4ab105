import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ensureDevelopmentCertificates } from '../../controls/authentication/index.ts';
import { keepPort, listen } from './listener.ts';

const home = mkdtempSync(join(tmpdir(), 'gatewrit-test-'));
let server: { cert: Buffer; key: Buffer };
let ca: Buffer;
before(async () => {
  const made = await ensureDevelopmentCertificates(home);
  server = { cert: readFileSync(made.cert), key: readFileSync(made.key) };
  ca = readFileSync(made.ca);
});
after(() => rmSync(home, { recursive: true, force: true }));

function ask(port: number, agent: Agent): Promise<{ status: number; connection: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: 'localhost', port, agent, ca }, (res) => {
      res.resume().on('end', () => resolve({ status: res.statusCode!, connection: String(res.headers.connection) }));
    });
    sent.on('error', reject).end();
  });
}

test('an orderly end waits for what is under way, and a busy connection brings nothing new', async () => {
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    server,
    harden: () => {},
    handler: (_req, res) => void setTimeout(() => res.end('ok'), 100),
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  assert.deepEqual(await ask(listener.port, agent), { status: 200, connection: 'keep-alive' });
  const underWay = ask(listener.port, agent);
  await pause(30);
  const begun = performance.now();
  const closed = listener.close(5_000);
  assert.deepEqual(await underWay, { status: 200, connection: 'close' });
  await assert.rejects(ask(listener.port, agent), { code: 'ECONNREFUSED' });
  await closed;
  assert.ok(performance.now() - begun < 1_000, `${performance.now() - begun} ms`);
  agent.destroy();
});

test('what does not end by the deadline is cut', async () => {
  const listener = await listen({ host: '127.0.0.1', port: 0, server, harden: () => {}, handler: () => {} });
  const agent = new Agent({ keepAlive: true });
  const asked = ask(listener.port, agent);
  asked.catch(() => {});
  await pause(50);
  await listener.close(50);
  await assert.rejects(asked, { code: 'ECONNRESET' });
  agent.destroy();
});

test('a chosen port is nobody else’s until it is listened on, and who comes too early is turned away', async () => {
  const kept = await keepPort('127.0.0.1', 0);
  const other = await keepPort('127.0.0.1', kept.port);
  assert.notEqual(other.port, kept.port);
  await assert.rejects(ask(kept.port, new Agent()));
  await kept.free();
  await kept.free();
  const listener = await listen({
    host: '127.0.0.1',
    port: kept.port,
    server,
    harden: () => {},
    handler: (_req, res) => void res.end('ok'),
  });
  assert.equal(listener.port, kept.port);
  await other.free();
  await listener.close(0);
});
