import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { type Answer, textOf, wordOf } from '../../examples/quickstart/tour/gateway.ts';
import { Quickstart, READ } from './quickstart.ts';
import { recordsOf } from './recorded.ts';

const root = join(import.meta.dirname, '../..');
const corpus = (file: string): unknown => parse(readFileSync(join(root, file), 'utf8'));
const grouped = (file: string) => Object.values(corpus(file) as Record<string, string[]>).flat();
const failures = [
  ...(corpus('test/attacks/errors/failures.yaml') as { text: string }[]).map(({ text }) => text),
  ...grouped('test/errors/failures.yaml'),
].filter((text) => text !== 'REPEAT');
const ordinary = [
  ...(corpus('test/attacks/errors/ordinary.yaml') as string[]),
  ...grouped('test/errors/ordinary.yaml'),
];

/** The forms in which one failure is sent in turn. */
const FORMS: readonly ((text: string) => object)[] = [
  (text) => ({ error: { code: -32603, message: text, data: { detail: text } } }),
  (text) => ({ result: { resultType: 'complete', isError: true, content: [{ type: 'text', text }] } }),
  (text) => ({
    result: {
      resultType: 'complete',
      isError: true,
      content: [{ type: 'text', text: 'It did not work.' }],
      structuredContent: { cause: text },
      _meta: { 'example.com/cause': text },
    },
  }),
];
const GENERIC =
  /TOOL_EXECUTION_ERROR: The tool failed\. Its operator has the details; quote correlation id ([0-9a-f-]{36})\.$/;

/** A server whose one tool fails as its argument says. */
const prepared: object[] = [];
const TOOL = {
  name: 'fail',
  description: 'Fails.',
  inputSchema: { type: 'object', properties: { how: { type: 'integer' } } },
};
const upstream = createServer(async (req, res) => {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  if (req.method !== 'POST') return void res.writeHead(405).end();
  const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString()) as {
    id?: number;
    method?: string;
    params?: { arguments?: { how: number } };
  };
  if (id === undefined) return void res.writeHead(202).end();
  const common = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
  const said =
    method === 'tools/call'
      ? prepared[params!.arguments!.how]
      : method === 'server/discover'
        ? { result: { ...common, supportedVersions: ['2026-07-28'], capabilities: { tools: {} } } }
        : method === 'tools/list'
          ? { result: { ...common, tools: [TOOL] } }
          : { error: { code: -32601, message: 'unknown' } };
  res.writeHead(200, { 'content-type': 'application/json' });
  res.end(JSON.stringify({ jsonrpc: '2.0', id, ...said }));
});

let quickstart: Quickstart;
let bob: string;
before(async () => {
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  quickstart = await Quickstart.start({
    settings: {
      upstreams: { failing: { http: { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp` } } },
      // What is no diagnostics has to come through as it is; redaction is shown elsewhere.
      redaction: { mode: 'observe' },
    },
    async prepare(home) {
      const run = (...args: string[]) =>
        promisify(execFile)(process.execPath, [join(root, 'bin/gatewrit.mjs'), ...args, '--home', home], {
          timeout: 30_000,
        });
      const file = join(home, 'failing.json');
      writeFileSync(file, JSON.stringify(MANIFEST));
      await run('manifest', 'keygen');
      await run('manifest', 'sign', file, '--install');
    },
  });
  bob = await quickstart.token('bob', READ);
});
after(async () => {
  await quickstart?.close();
  upstream.closeAllConnections();
  upstream.close();
});

const MANIFEST = {
  ...{ format: 1, server: 'failing', prefix: 'failing', title: 'failing', version: '1', owner: 'tests' },
  review: { by: 'tests', at: '2026-11-01T00:00:00Z', note: 'a fixture of ours', accepted: [] },
  tools: [{ exposed: 'failing__fail', scopes: ['everything:use'], effect: 'read', definition: TOOL }],
  ...{ prompts: [], resources: [], templates: [], excluded: [] },
};

/** Has the tool fail in each of these ways, a few at a time; answers in their order. */
async function failing(all: readonly object[]): Promise<Answer[]> {
  const first = prepared.push(...all) - all.length;
  const answers: Answer[] = [];
  let left = 0;
  const caller = async () => {
    while (left < all.length) {
      const i = left++;
      answers[i] = await quickstart.gateway.call('failing__fail', { how: first + i }, bob);
    }
  };
  await Promise.all([caller(), caller(), caller(), caller()]);
  return answers;
}

test(`${failures.length} failures: no byte of them outside, each whole in the log under the correlation id the caller got`, async () => {
  const sent = new Map<string, string>();
  const all = failures.map((text, i) => FORMS[i % FORMS.length]!(text)) as { result?: object; error?: object }[];
  for (const [i, answer] of (await failing(all)).entries()) {
    const text = failures[i]!;
    const said = all[i]!;
    const { content, _meta, ...rest } = answer.json.result as {
      content: { text: string }[];
      _meta: Record<string, string>;
    };
    const id = GENERIC.exec(content.at(-1)!.text)?.[1];
    assert.ok(id, `${text}: ${answer.text}`);
    assert.deepEqual(
      content.slice(0, -1),
      said.result && 'structuredContent' in said.result ? [{ type: 'text', text: 'It did not work.' }] : [],
    );
    assert.deepEqual(rest, { resultType: 'complete', isError: true });
    assert.equal(_meta['gatewrit/correlationId'], id);
    sent.set(id, JSON.stringify(said.result ?? said.error));
  }
  assert.equal(sent.size, failures.length);

  const last = [...sent.keys()].at(-1)!;
  const shown = await quickstart.gateway.run('audit', 'show', last, '--json');
  assert.equal(shown.code, 0, shown.stderr);
  const records = shown.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { payload?: { diagnostics?: string } });
  assert.ok(
    records.some(({ payload }) => payload?.diagnostics === sent.get(last)),
    shown.stdout,
  );

  for (const { meta, envelope, payload } of await recordsOf(quickstart.gateway.home)) {
    const original = payload?.get('diagnostics')?.toString('utf8');
    if (original === undefined) continue;
    for (const id of [envelope.id, meta?.['call'], meta?.['intent']].map(String)) {
      if (sent.get(id) === original) sent.delete(id);
    }
  }
  assert.equal(sent.size, 0, `${sent.size} were not found inside`);
});

test(`${ordinary.length} ordinary errors: a model reads each as the tool wrote it`, async () => {
  const answers = await failing(ordinary.map((text, i) => FORMS[i % 2]!(text)));
  for (const [i, text] of ordinary.entries()) {
    const answer = answers[i]!;
    assert.ok(textOf(answer).includes(text), `${text}: ${answer.text}`);
    assert.equal(answer.json.result?.['isError'], true);
  }
});

const SQL: readonly (readonly [sql: string, told: RegExp])[] = [
  ['SELECT custmer FROM customers', /The statement names a column that does not exist: custmer\. \(character 8\)/],
  ['SELECT name FORM customers WHERE 1 = 1', /The statement has a syntax error near: customers \(character 18\)/],
  ['SELECT * FROM custmers', /The statement names a table that does not exist or may not be read: custmers\./],
  ["SELECT * FROM orders WHERE id = 'abc'", /A value in the statement is not a valid integer: abc/],
  ['SELECT id FROM orders o JOIN customers c ON c.id = o.customer_id', /more than one table of the statement.*: id/],
  ['SELECT city, count(*) FROM customers', /must stand in GROUP BY.*/],
  ['SELECT amount / 0 FROM orders', /divides by zero/],
];
for (const [sql, told] of SQL)
  test(`a model can mend its SQL, and learns nothing of the server: ${sql}`, async () => {
    const { gateway } = quickstart;
    const answer = await gateway.call('readonly__postgres_query', { sql }, bob);
    assert.equal(wordOf(answer), 'TOOL_EXECUTION_ERROR', answer.text);
    assert.match(textOf(answer), told);
    assert.doesNotMatch(answer.text, /node_modules|\.ts:|\.js:|DECLARE|\bat .*[(/]/);

    const legacy = await gateway.send(gateway.ready.mcp, {
      headers: {
        authorization: `Bearer ${bob}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2025-06-18',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'readonly__postgres_query', arguments: { sql } },
      }),
    });
    assert.match(textOf(legacy), told);
  });

test('what a caller is told to mend is enough: a path, then scopes, in both eras', async () => {
  const { gateway } = quickstart;
  const wrong = await gateway.call('readonly__postgres_query', { sql: 42 }, bob);
  assert.match(textOf(wrong), /INVALID_ARGUMENTS.*Argument: \/sql\./);
  const lacks = await gateway.call('destructive__jira_create', { title: 'x' }, bob);
  assert.equal(lacks.status, 403);
  assert.match(lacks.json.error!.message, /It needs: jira:write\./);
});
