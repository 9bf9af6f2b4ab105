import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { type Answer, textOf, wordOf } from '../../examples/quickstart/tour/gateway.ts';
import { APPROVE, Quickstart, READ, WRITE } from './quickstart.ts';

const root = join(import.meta.dirname, '../..');
let quickstart: Quickstart;

before(async () => {
  quickstart = await Quickstart.start({ everything: true });
});
after(() => quickstart?.close());

/** The stdio entry as a client starts it from its own settings file. */
async function overStdio(...args: string[]): Promise<Client> {
  const client = new Client({ name: 'e2e', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  const command = [join(root, 'bin/gatewrit.mjs'), 'stdio', '--home', quickstart.gateway.home, ...args];
  await client.connect(new StdioClientTransport({ command: process.execPath, args: command, stderr: 'inherit' }));
  return client;
}

const WAYS: readonly { readonly way: string; readonly connect: () => Promise<Client> }[] = [
  {
    way: 'over HTTPS',
    connect: async () => quickstart.gateway.client(await quickstart.token('bob', WRITE)),
  },
  { way: 'through the stdio entry', connect: () => overStdio('--as', 'bob') },
];

for (const { way, connect } of WAYS) {
  describe(`the official SDK client ${way}`, () => {
    let client: Client;
    before(async () => {
      client = await connect();
    });
    after(() => client?.close());

    test('negotiates 2026-07-28 and sees who it speaks to', () => {
      assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
      assert.equal(client.getServerVersion()?.name, 'gatewrit');
    });

    test('lists the tools of all servers and calls one', async () => {
      const { tools } = await client.listTools();
      const names = tools.map(({ name }) => name);
      for (const name of ['readonly__postgres_query', 'destructive__jira_create', 'everything__echo'])
        assert.ok(names.includes(name), name);
      const orders = await client.callTool({
        name: 'readonly__postgres_query',
        arguments: { sql: 'SELECT item FROM orders ORDER BY id' },
      });
      assert.match(JSON.stringify(orders.content), /whiteboard/);
    });

    test('passes structured content that holds its output schema', async () => {
      const weather = await client.callTool({
        name: 'everything__get-structured-content',
        arguments: { location: 'Chicago' },
      });
      assert.equal(typeof (weather.structuredContent as { temperature: number }).temperature, 'number');
    });

    test('lists prompts and gets one with arguments', async () => {
      const { prompts } = await client.listPrompts();
      assert.ok(prompts.some(({ name }) => name === 'everything__args-prompt'));
      const { messages } = await client.getPrompt({ name: 'everything__args-prompt', arguments: { city: 'Oslo' } });
      assert.match(JSON.stringify(messages), /Oslo/);
    });

    test('lists resources and templates, reads one of each', async () => {
      const { resources } = await client.listResources();
      const { resourceTemplates } = await client.listResourceTemplates();
      assert.ok(resourceTemplates.length > 0);
      const first = await client.readResource({ uri: resources[0]!.uri });
      assert.ok(String((first.contents[0] as { text?: string }).text).length > 0);
      const dynamic = await client.readResource({ uri: 'demo://resource/dynamic/text/7' });
      assert.match(JSON.stringify(dynamic.contents), /7/);
    });

    test('hears of progress while a call runs, then gets its result', async () => {
      const heard: number[] = [];
      const result = await client.callTool(
        { name: 'everything__trigger-long-running-operation', arguments: { duration: 0.6, steps: 3 } },
        { onprogress: ({ progress }) => heard.push(progress) },
      );
      assert.match(JSON.stringify(result.content), /completed/i);
      assert.deepEqual(
        heard,
        [...heard].sort((a, b) => a - b),
      );
      assert.ok(heard.length >= 2, `${heard.length} notifications came`);
    });

    test('is told in words a model can act on when arguments do not fit', async () => {
      const refused = await client.callTool({ name: 'readonly__postgres_query', arguments: { sql: 42 } });
      assert.equal(refused.isError, true);
      assert.match(JSON.stringify(refused.content), /INVALID_ARGUMENTS.*\/sql/);
    });
  });
}

test('the stdio entry serves one server alone under its original names', async () => {
  const client = await overStdio('--as', 'bob', '--server', 'internal-readonly');
  const { tools } = await client.listTools();
  await client.close();
  assert.deepEqual(tools.map(({ name }) => name).sort(), ['jira_search', 'postgres_query', 's3_list']);
});

test('an answer is plain JSON unless something has to be said before it, then an event stream', async () => {
  const token = await quickstart.token('bob', WRITE);
  const quick = await quickstart.gateway.call('everything__echo', { message: 'hello' }, token);
  assert.equal(quick.headers['content-type'], 'application/json');
  const slow = await quickstart.gateway.rpc(
    'tools/call',
    {
      name: 'everything__trigger-long-running-operation',
      arguments: { duration: 0.4, steps: 2 },
      _meta: { progressToken: 'p1' },
    },
    token,
  );
  assert.equal(slow.headers['content-type'], 'text/event-stream');
  const events = slow.text
    .split('\n\n')
    .filter(Boolean)
    .map((event) => JSON.parse(/^data: (.*)$/m.exec(event)![1]!) as { method?: string; params?: object; id?: number });
  assert.ok(events.length >= 2);
  for (const { method, params } of events.slice(0, -1)) {
    assert.equal(method, 'notifications/progress');
    assert.equal((params as { progressToken: string }).progressToken, 'p1');
  }
  assert.equal(events.at(-1)!.id, 1);
});

test('a hundred callers at once, all with request id 1, each get their own answer (SS-05)', async () => {
  const echo = async (_: unknown, i: number) => {
    const token = await quickstart.token(`caller${i}`, READ);
    const nonce = `nonce ${i} ${Math.random()}`;
    const call = () => quickstart.gateway.call('everything__echo', { message: nonce }, token);
    const answer = await untilDecided(call);
    assert.ok(textOf(answer).includes(nonce), answer.text);
  };
  await Promise.all(Array.from({ length: 100 }, echo));
});

test('a notification is taken with 202 and no body', async () => {
  const { gateway } = quickstart;
  const answer = await gateway.send(gateway.ready.mcp, {
    headers: {
      authorization: `Bearer ${await quickstart.token('bob', WRITE)}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'notifications/cancelled',
    },
    body: '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
  });
  assert.equal(answer.status, 202, answer.text);
  assert.equal(answer.text, '');
  assert.equal(answer.headers['content-type'], undefined);
});

describe('a destructive call', () => {
  const approvalOf = (answer: Answer) => {
    assert.equal(wordOf(answer), 'APPROVAL_REQUIRED', answer.text);
    const meta = answer.json.result?.['_meta'] as Record<string, { id: string }>;
    return meta['gatewrit/approval']!.id;
  };
  const create = (title: string, token: string) =>
    quickstart.gateway.call('destructive__jira_create', { title }, token);
  const made = (title: string) => quickstart.issues().filter((issue) => issue === title).length;

  test('waits for a person, is refused to the requester himself, runs once for 40 parallel repeats', async () => {
    const bob = await quickstart.token('bob', WRITE);
    const title = 'Order a whiteboard';
    const id = approvalOf(await create(title, bob));
    assert.equal(made(title), 0);

    const himself = await quickstart.gateway.run('approvals', 'approve', id, '--as', 'bob');
    assert.equal(himself.code, 1, himself.stderr);
    approvalOf(await create(title, bob));

    const approved = await quickstart.gateway.run(
      'approvals',
      'approve',
      id,
      '--as',
      'approver1',
      '--reason',
      'budget is there',
    );
    assert.equal(approved.code, 0, approved.stderr);

    const changed = await quickstart.gateway.call(
      'destructive__jira_create',
      { title, description: 'two of them' },
      bob,
    );
    assert.notEqual(approvalOf(changed), id);
    const other = await create(title, await quickstart.token('carol', WRITE));
    assert.notEqual(approvalOf(other), id);
    assert.equal(made(title), 0);

    const answers = await Promise.all(Array.from({ length: 40 }, () => untilDecided(() => create(title, bob))));
    const done = answers.filter((answer) => wordOf(answer) === '');
    for (const answer of answers)
      assert.ok(done.includes(answer) || wordOf(answer) === 'APPROVAL_CONSUMED', answer.text);
    assert.equal(new Set(done.map(textOf)).size, 1);
    assert.match(textOf(done[0]!), /PROJ-\d+/);
    assert.equal(
      done.filter((answer) => !replayed(answer)).length,
      1,
      'one answer is the execution, the others repeat it',
    );
    assert.equal(made(title), 1, 'one row in the tracker');

    const again = await create(title, bob);
    assert.ok(replayed(again), again.text);
    assert.equal(textOf(again), textOf(done[0]!));
    assert.equal(made(title), 1);
  });

  test('is not approved by its requester though he is an approver with every scope', async () => {
    const groups = ['approvers'];
    const { admin } = quickstart.gateway.ready;
    const id = approvalOf(await create('Buy a yacht', await quickstart.token('approver1', WRITE, { groups })));
    const { code, stderr } = await quickstart.gateway.run('approvals', 'approve', id, '--as', 'approver1');
    assert.equal(code, 1);
    assert.match(stderr, /SELF_APPROVAL/);
    // The same over the admin API, with a token that holds everything and names another client.
    const token = await quickstart.token('approver1', [...WRITE, ...APPROVE], { audience: `${admin}/api`, groups });
    const answer = await quickstart.gateway.send(`${admin}/api/approvals/${id}/approve`, {
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json' },
      body: '{}',
    });
    assert.equal(answer.status, 403);
    approvalOf(await create('Buy a yacht', await quickstart.token('approver1', WRITE, { groups })));
    assert.equal(made('Buy a yacht'), 0);
  });

  test('that was denied does not run', async () => {
    const bob = await quickstart.token('bob', WRITE);
    const id = approvalOf(await create('Delete everything', bob));
    assert.equal((await quickstart.gateway.run('approvals', 'deny', id, '--as', 'approver2')).code, 0);
    assert.equal(wordOf(await create('Delete everything', bob)), 'APPROVAL_DENIED');
    assert.equal(made('Delete everything'), 0);
  });

  test('through the stdio entry is approved and run the same way', async () => {
    const client = await overStdio('--as', 'bob');
    const call = { name: 'destructive__jira_create', arguments: { title: 'Water the plants' } };
    const asked = await client.callTool(call);
    const { id } = asked._meta!['gatewrit/approval'] as { id: string };
    assert.equal((await quickstart.gateway.run('approvals', 'approve', id, '--as', 'approver2')).code, 0);
    const ran = await client.callTool(call);
    await client.close();
    assert.match(JSON.stringify(ran.content), /PROJ-\d+/);
    assert.equal(made('Water the plants'), 1);
  });
});

test('a read scope lists a destructive tool but may not call it: 403 with the scope it takes', async () => {
  const answer = await quickstart.gateway.call(
    'destructive__jira_create',
    { title: 'x' },
    await quickstart.token('alice', READ),
  );
  assert.equal(answer.status, 403);
  assert.match(String(answer.headers['www-authenticate']), /error="insufficient_scope", scope="jira:write"/);
});

/** Few calls of one tool run at a time (its manifest says four): who is told to wait waits and asks again. */
async function untilDecided(call: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await call();
    if (wordOf(answer) !== 'RATE_LIMITED') return answer;
    assert.equal(answer.status, 429);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function replayed(answer: Answer): boolean {
  return (answer.json.result?.['_meta'] as Record<string, unknown> | undefined)?.['gatewrit/replayed'] === true;
}
