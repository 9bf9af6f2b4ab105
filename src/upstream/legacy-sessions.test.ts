import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Client } from '../core/call.ts';
import { Refusal } from '../core/stage.ts';
import { clientWith, json, requestFor } from './fixture.test.ts';
import { legacyServer } from './legacy-fixture.test.ts';

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing) await close();
});

/** Clients that could be asked different things: none may share a session with another. */
function differentClients(): Client[] {
  const clients: Client[] = [];
  for (const elicitation of [{ form: {} }, { url: {} }, { form: {}, url: {} }])
    for (const sampling of [undefined, {}, { tools: {} }])
      for (const roots of [undefined, {}])
        clients.push(clientWith({ elicitation, ...(sampling && { sampling }), ...(roots && { roots }) }, '2025-11-25'));
  return clients;
}

test('one principal that opens many sessions at once gets no more of them than one that opens them in turn', async () => {
  const legacy = await legacyServer({
    call: ({ body }, { res }) => json(res, 200, { jsonrpc: '2.0', id: body.id, result: { content: [] } }),
  });
  closing.push(() => legacy.close());
  const clients = differentClients();
  const answers = await Promise.all(clients.map((client) => legacy.server.call(requestFor({ client }))));
  const opened = legacy.seen.filter(({ body }) => body.method === 'initialize').length;
  // Eight of his own, and the one of the gateway itself.
  assert.equal(opened, 9, `${clients.length} clients`);
  const refused = answers.filter((answer) => answer instanceof Refusal && answer.code === 'limits.streams');
  assert.equal(refused.length, clients.length - 8);
});
