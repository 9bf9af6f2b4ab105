import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, test } from 'node:test';
import { json, publicRoutes } from './public-routes.ts';

const taken = publicRoutes({
  headers: { common: [] },
  routes: new Map([
    ['/healthz', { type: 'application/json', anyOrigin: false, answer: () => json(200, { status: 'up' }) }],
  ]),
  welcomes: () => true,
});
const server = createServer((req, res) => void taken(req, res));
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
after(() => {
  server.closeAllConnections();
  server.close();
});

/** All that comes back on one connection until it ends. */
async function said(...requests: readonly string[]): Promise<string> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.end(requests.join(''));
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}
const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
const asking = (headers = '', method = 'GET') => `${method} /healthz HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;

test('who asks again and again needs one connection', async () => {
  assert.deepEqual(statuses(await said(asking(), asking('Content-Length: 0\r\n'), asking('', 'HEAD'), asking())), [
    '200',
    '200',
    '200',
    '200',
  ]);
});

test('a body that nobody reads ends the connection', async () => {
  for (const body of ['Content-Length: 5\r\n\r\nhello', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n']) {
    const text = await said(`GET /healthz HTTP/1.1\r\nHost: x\r\n${body}`);
    assert.match(text, /^connection: close\r$/im, body);
  }
  const text = await said(asking('', 'POST'));
  assert.deepEqual(statuses(text), ['405']);
  assert.match(text, /^connection: close\r$/im);
});
