import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { wordOf } from '../../examples/quickstart/tour/gateway.ts';
import { AskingUpstream, FORM, startAsking } from './asking-upstream.ts';
import { type Quickstart, READ, WRITE } from './quickstart.ts';
import { recordsOf } from './recorded.ts';

/**
 * Values that nobody else has are sent through a real gateway by every way a value can come in. Afterwards no byte of
 * its home, of what it wrote to its terminal or of its metrics holds one, in any spelling; its log opens to all of them.
 */
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';

/** Letters alone, so that JSON, URLs and headers spell it as it is. */
function canary(): string {
  return `kanarie${[...randomBytes(16)].map((byte) => String.fromCharCode(97 + (byte % 26))).join('')}`;
}

/** Every spelling in which a value may stand somewhere. */
function spellings(value: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>([
    ['utf-8', Buffer.from(value)],
    ['upper case', Buffer.from(value.toUpperCase())],
    ['utf-16le', Buffer.from(value, 'utf16le')],
    ['utf-16be', Buffer.from(value, 'utf16le').swap16()],
    ['hex', Buffer.from(Buffer.from(value).toString('hex'))],
    ['HEX', Buffer.from(Buffer.from(value).toString('hex').toUpperCase())],
    ['percent', Buffer.from([...Buffer.from(value)].map((byte) => `%${byte.toString(16)}`).join(''))],
  ]);
  for (const [at, skip] of [0, 2, 3].entries()) {
    // The characters at both ends depend on what stands beside the value.
    const text = Buffer.concat([Buffer.alloc(at), Buffer.from(value)])
      .toString('base64')
      .replaceAll('=', '');
    const whole = text.slice(skip, -1);
    found.set(`base64 at ${at}`, Buffer.from(whole));
    found.set(`base64url at ${at}`, Buffer.from(whole.replaceAll('+', '-').replaceAll('/', '_')));
  }
  return found;
}

function* filesBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}

function findings(name: string, bytes: Buffer, values: Readonly<Record<string, string>>): string[] {
  const list: string[] = [];
  for (const [what, value] of Object.entries(values))
    for (const [spelling, needle] of spellings(value))
      if (bytes.includes(needle)) list.push(`${what} in ${name} as ${spelling}`);
  return list;
}

const values = {
  subject: canary(),
  'second subject': canary(),
  argument: canary(),
  result: canary(),
  question: canary(),
  answer: canary(),
  stored: canary(),
  reason: canary(),
  'invalid argument': canary(),
  'unknown tool': canary(),
  'failing statement': canary(),
  'bad token': canary(),
  'bad body': canary(),
  header: canary(),
  path: canary(),
  query: canary(),
  basis: canary(),
};
let upstream: AskingUpstream;
let quickstart: Quickstart;

before(async () => {
  upstream = await AskingUpstream.start();
  quickstart = await startAsking(upstream, { settings: { telemetry: { level: 'debug' } } });
});
after(async () => {
  await quickstart?.close();
  await upstream?.close();
});

test('the search finds a value in every spelling it knows', () => {
  const value = canary();
  const kinds = [...spellings(value)].filter(([, needle]) => findings('x', needle, { value }).length > 0);
  assert.equal(kinds.length, spellings(value).size);
  for (const at of [0, 1, 2]) {
    const inside = Buffer.from(Buffer.from(`${'"'.repeat(at)}${value}", and on`).toString('base64'));
    assert.ok(findings('x', inside, { value }).length > 0, `base64 at ${at}`);
  }
});

test('no value of a call is in any file, log, store or metric; the log opens to every one of them', async () => {
  const { gateway } = quickstart;
  const { home, ready } = gateway;
  const tokens = [
    await quickstart.token(values.subject, WRITE),
    await quickstart.token(values['second subject'], READ),
  ];
  const [token, second] = tokens as [string, string];
  const meta = { _meta: { [CAPABILITIES]: { elicitation: { form: {} } } } };
  const ask = (more: object) =>
    gateway.rpc(
      'tools/call',
      {
        name: 'demo__ask',
        arguments: {
          note: values.argument,
          questions: { one: { method: 'elicitation/create', params: { ...FORM, message: values.question } } },
        },
        ...more,
        ...meta,
      },
      token,
    );

  // Questions, answers, arguments, results.
  const asked = await ask({});
  const { requestState } = asked.json.result as { requestState: string };
  assert.ok(requestState, asked.text);
  const inputResponses = { one: { action: 'accept', content: { answer: `${values.answer} ${values.result}` } } };
  const answered = await ask({ inputResponses, requestState });
  assert.ok(answered.text.includes(values.answer), answered.text);

  // A call that waits for a person, a reason, and its repeat.
  const waits = () => gateway.call('demo__delete', { what: values.stored }, token);
  assert.equal(wordOf(await waits()), 'APPROVAL_REQUIRED');
  const as = ['--as', 'approver1'];
  const { stdout } = await gateway.run('approvals', 'list', ...as, '--json');
  const [{ id }] = (JSON.parse(stdout) as { approvals: [{ id: string }] }).approvals;
  const decided = await gateway.run('approvals', 'approve', id, ...as, '--reason', values.reason);
  assert.equal(decided.code, 0, decided.stderr);
  await waits();

  // What is refused and what fails.
  await gateway.rpc('tools/list', {}, second);
  const odd = { sql: { not: values['invalid argument'] } };
  assert.equal(wordOf(await gateway.call('readonly__postgres_query', odd, token)), 'INVALID_ARGUMENTS');
  await gateway.call(`demo__${values['unknown tool']}`, {}, token);
  await gateway.call('readonly__postgres_query', { sql: `SELECT ${values['failing statement']} FROM nowhere` }, token);
  await gateway.call('demo__ask', {}, values['bad token']);
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  await gateway.send(ready.mcp, { headers, body: `{"jsonrpc": "2.0", "${values['bad body']}` });
  await gateway.call('demo__ask', {}, null);
  await gateway.rpc('tools/list', {}, token, { headers: { 'x-note': values.header, 'user-agent': values.header } });
  await gateway.send(`${ready.mcp}/${values.path}`, { headers, body: '{}' });
  await gateway.send(`${ready.mcp}?q=${values.query}`, { headers, body: '{}' });
  const dry = ['--subject', values.subject, '--basis', values.basis, '--as', 'officer'];
  assert.equal((await gateway.run('audit', 'erase', ...dry, '--dry-run')).code, 0);
  const metrics = await gateway.send(`${ready.admin}/metrics`, { method: 'GET' });

  await sleep(1_200);
  // It all came in: whoever has the keys reads it.
  const records = await recordsOf(home);
  const open = JSON.stringify(
    records.map(({ meta, payload }) => [meta, payload && [...payload].map(([name, bytes]) => [name, String(bytes)])]),
  );
  const unseen = ['invalid argument', 'bad token', 'bad body', 'header', 'query'];
  const wrong = Object.entries(values).filter(([what, value]) => open.includes(value) === unseen.includes(what));
  assert.deepEqual(
    wrong.map(([what]) => what),
    [],
    'in the opened log, or not',
  );

  // Tokens are as secret as a value: no piece of one may stand anywhere.
  const secrets = Object.fromEntries(tokens.map((one, i) => [`signature ${i}`, one.slice(one.lastIndexOf('.') + 1)]));
  const sought = { ...values, ...secrets };
  const found: string[] = [];
  let bytes = 0;
  const look = () => {
    for (const file of filesBelow(home)) {
      const content = readFileSync(file);
      bytes += content.length;
      found.push(...findings(relative(home, file), content, sought));
      if (!relative(home, file).startsWith('audit/')) continue;
      for (const name of ['demo__', 'demo/', 'default', 'internal-readonly', ready.issuer, 'tools/call', 'everything:'])
        if (content.includes(name)) found.push(`${name} in ${relative(home, file)}`);
    }
  };
  look();
  for (const [name, text] of [
    ['stderr', gateway.log()],
    ['stdout', gateway.output()],
    ['metrics', metrics.text],
  ] as const)
    found.push(...findings(name, Buffer.from(text), sought));
  await quickstart.stop();
  look();
  found.push(...findings('stderr at the end', Buffer.from(gateway.log()), sought));
  assert.ok(bytes > 100_000, 'there was something to look at');
  assert.ok(gateway.log().includes('"code"') && gateway.output().includes('"ready":true'));
  assert.deepEqual(found, []);
});
