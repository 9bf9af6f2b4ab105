import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { Agent, request } from 'undici';
import { DAY, madeCertificate } from '../../controls/transport/clients-kit.test.ts';
import { mcpFront } from './front.ts';

test('the certificate of a call is the one its connection proved, until it ends; one in a header never is', async () => {
  const authority = await madeCertificate(null);
  const leaf = await madeCertificate(authority, { subject: 'CN=localhost', use: 'serverAuth' });
  const alice = await madeCertificate(authority, { until: DAY });
  const stranger = await madeCertificate(await madeCertificate(null));
  const seen: (string | null)[] = [];
  let utc = Date.now();
  const serve = mcpFront({
    handler: {
      async handle({ head }) {
        seen.push(head.certificate);
        return { answer: { status: 200, retryAfter: 0, body: Buffer.from('{}') }, challenge: '' };
      },
    },
    headers: { common: [] },
    body: () => ({ done: true, read: () => new Uint8Array(0) }),
    clock: () => ({ utc, mono: 0 }),
    maxBufferedBytes: 1024,
    keepAliveMs: 1_000,
  });
  let connections = 0;
  // Not hardened: what the front believes must not depend on who was let in.
  const options = { requestCert: true, rejectUnauthorized: false, ca: authority.cert };
  const server = createServer({ ...options, cert: leaf.cert, key: leaf.key }, (req, res) => {
    // Read to its end first: before an unread body the connection is closed.
    req.resume().once('end', () => serve(req, res));
  });
  server.on('secureConnection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  const agents: Agent[] = [];
  const clientOf = (shown: object) => {
    const agent = new Agent({ connections: 1, connect: { rejectUnauthorized: false, ...shown } });
    agents.push(agent);
    return async (headers: Record<string, string> = {}) => {
      await (await request(url, { method: 'POST', dispatcher: agent, headers, body: '{}' })).body.text();
      return seen.at(-1);
    };
  };
  try {
    const hers = clientOf({ cert: alice.cert, key: alice.key });
    assert.equal(await hers(), alice.thumbprint);
    utc += DAY - 5_000;
    assert.equal(await hers(), alice.thumbprint);
    utc += 5_000;
    assert.equal(await hers(), null, 'it has ended, on a connection that goes on');
    assert.equal(connections, 1);
    utc -= DAY;
    assert.equal(await clientOf({ cert: stranger.cert, key: stranger.key })(), null);
    const named = { 'x-client-verify': 'SUCCESS', 'x-ssl-client-cert': encodeURIComponent(alice.cert) };
    assert.equal(await clientOf({})(named), null);
    assert.equal(seen.length, 5);
  } finally {
    await Promise.all(agents.map((agent) => agent.destroy()));
    server.closeAllConnections();
    server.close();
  }
});
