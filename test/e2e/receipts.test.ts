import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Answer } from '../../examples/quickstart/tour/gateway.ts';
import { auditCommand } from '../../src/inbound/cli/audit/main.ts';
import { Quickstart, WRITE } from './quickstart.ts';

const ECHO = 'everything__echo';
const LONG = 'everything__trigger-long-running-operation';

/** What a caller gets of its record, and what who runs the log makes of it, beside a running gateway. */
describe('a receipt', () => {
  let quickstart: Quickstart;
  let home: string;
  let token: string;

  before(async () => {
    quickstart = await Quickstart.start({ everything: true, settings: { audit: { checkpointMs: 50 } } });
    home = quickstart.gateway.home;
    token = await quickstart.token('bob', WRITE);
  });
  after(() => quickstart?.close());

  async function audit(...argv: string[]) {
    const out: string[] = [];
    const err: string[] = [];
    const io = { stdout: (text: string) => void out.push(text), stderr: (text: string) => void err.push(text) };
    const code = await auditCommand.run([...argv, '--home', home], io);
    return { code, out: out.join(''), err: err.join('') };
  }

  /** As a person does: a second later, when the tree was signed. */
  async function prove(...argv: string[]) {
    for (const deadline = Date.now() + 10_000; ; ) {
      const said = await audit('prove', ...argv);
      if (said.code !== 3 || Date.now() > deadline) return said;
      assert.match(said.err, /not signed yet/);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async function metaOf(receipt: string): Promise<Record<string, unknown>> {
    const { code, out, err } = await prove(receipt, '--disclose', 'meta');
    assert.equal(code, 0, err);
    const file = keep(`${receipt}.tlog-proof`, out);
    const checked = await audit('verify-proof', file, '--json');
    assert.equal(checked.code, 0, checked.out + checked.err);
    const { ok, proofs } = JSON.parse(checked.out) as { ok: boolean; proofs: { disclosed: { meta: string } }[] };
    assert.ok(ok);
    return JSON.parse(proofs[0]!.disclosed.meta) as Record<string, unknown>;
  }

  function keep(name: string, text: string | Buffer): string {
    const path = join(home, name);
    writeFileSync(path, text);
    return path;
  }

  const metaIn = ({ json }: Answer) => (json.result?.['_meta'] ?? {}) as Record<string, unknown>;
  const receiptOf = (answer: Answer) => {
    const receipt = String(metaIn(answer)['gatewrit/receipt']);
    assert.match(receipt, /^gwr1\./, answer.text);
    return receipt;
  };
  const legacy = (method: string, params: object, revision = '2025-06-18') =>
    quickstart.gateway.send(quickstart.gateway.ready.mcp, {
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${token}`,
        ...(method === 'initialize' ? {} : { 'mcp-protocol-version': revision }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });

  test('is in every kind of result, and opens to the record of that very call', async () => {
    const initialize = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'e2e', version: '1' } };
    const answers: [string, Answer, Record<string, unknown>][] = [
      ['a result', await quickstart.gateway.call(ECHO, { message: 'hi' }, token), { reply_kind: 'result' }],
      ['a refusal in band', await quickstart.gateway.call(ECHO, {}, token), { code: 'validation.arguments' }],
      ['a list', await quickstart.gateway.rpc('tools/list', {}, token), { method: 'tools/list' }],
      ['discovery', await quickstart.gateway.rpc('server/discover', {}, token), { method: 'server/discover' }],
      ['a legacy result', await legacy('tools/call', { name: ECHO, arguments: { message: 'hi' } }), {}],
      ['a legacy beginning', await legacy('initialize', initialize), { method: 'initialize' }],
    ];
    const seen = new Set<string>();
    for (const [what, answer, expected] of answers) {
      const receipt = receiptOf(answer);
      const meta = await metaOf(receipt);
      assert.equal(meta['subject'], 'bob', what);
      for (const [name, value] of Object.entries(expected)) assert.equal(meta[name], value, what);
      seen.add(receipt).add(String(meta['call']));
    }
    assert.equal(seen.size, 2 * answers.length, 'each its own');
  });

  test('is in no error: what is hidden and what is not there are told in the same bytes', async () => {
    const [one, two] = [
      await quickstart.gateway.call('no__tool', {}, token),
      await quickstart.gateway.call('no__other', {}, token),
    ];
    assert.equal(one.text, two.text);
    assert.ok(!one.text.includes('gwr1'));
  });

  test('ends an event stream too, and a saved stream is the recorded answer byte for byte', async () => {
    const said = await quickstart.gateway.rpc(
      'tools/call',
      { name: LONG, arguments: { duration: 0.2, steps: 2 }, _meta: { progressToken: 'p' } },
      token,
    );
    assert.match(String(said.headers['content-type']), /event-stream/);
    receiptOf(said);
    const { code, err } = await prove('--reply', keep('stream.txt', said.text));
    assert.equal(code, 0, err);
    assert.match(err, /byte for byte\n/);
  });

  test('a saved answer is the recorded one byte for byte, in the words of its revision, or by its value; a changed one is not', async () => {
    const modern = await quickstart.gateway.call(ECHO, { message: 'to keep' }, token);
    const old = await legacy('tools/call', { name: ECHO, arguments: { message: 'to keep' } });
    const pretty = JSON.stringify(modern.json, null, 2);
    const cases: [string, string, number, RegExp][] = [
      ['modern.json', modern.text, 0, /recorded, byte for byte\n/],
      ['legacy.json', old.text, 0, /byte for byte, in the words of 2025-/],
      ['pretty.json', pretty, 0, /JSON value/],
      ['forged.json', modern.text.replace('to keep', 'to keeq'), 1, /NOT the one/],
      ['forged-pretty.json', pretty.replace('to keep', 'to keeq'), 1, /NOT the one/],
    ];
    for (const [name, text, code, words] of cases) {
      const said = await prove('--reply', keep(name, text));
      assert.deepEqual([said.code, words.test(said.err)], [code, true], `${name}: ${said.err}`);
    }
    const proof = await prove(receiptOf(modern), '--disclose', 'meta');
    const file = keep('kept.tlog-proof', proof.out);
    const checked = await audit('verify-proof', file, '--reply', join(home, 'modern.json'));
    assert.equal(checked.code, 0, checked.out);
    assert.match(checked.out, /PROVEN/);
    assert.equal((await audit('verify-proof', file, '--reply', join(home, 'forged.json'))).code, 1);
  });

  test('of a whole call: a file of its own, read by who has the public key alone', async () => {
    const meta = await metaOf(receiptOf(await quickstart.gateway.call(ECHO, { message: 'whole' }, token)));
    const out = join(home, 'call.tlog-proof');
    const said = await prove(String(meta['call']), '--disclose', 'all', '--out', out);
    assert.equal(said.code, 0, said.err);
    const checked = await audit('verify-proof', out, '--key', join(home, 'keys/audit.pub'));
    assert.equal(checked.code, 0, checked.out);
    assert.match(
      checked.out,
      /record: intent[\s\S]*"message":"whole"[\s\S]*record: outcome[\s\S]*\(proof 1\)[\s\S]*Echo: whole/,
    );
    assert.match(checked.out, /not proven: /);
    const changed = readFileSync(out, 'utf8').replace('index ', 'index 1');
    assert.equal((await audit('verify-proof', keep('changed.tlog-proof', changed))).code, 1);
  });

  test('is not stored with an approved outcome: a repeat gets that outcome, and a receipt of its own', async () => {
    const create = () => quickstart.gateway.call('destructive__jira_create', { title: 'Receipts' }, token);
    const asked = await create();
    const { id } = metaIn(asked)['gatewrit/approval'] as { id: string };
    const approved = await quickstart.gateway.run(
      'approvals',
      'approve',
      id,
      '--as',
      'approver1',
      '--reason',
      'a test',
    );
    assert.equal(approved.code, 0, approved.stderr);
    const [first, repeat] = [await create(), await create()];
    assert.equal(metaIn(repeat)['gatewrit/replayed'], true, repeat.text);
    const receipts = [asked, first, repeat].map(receiptOf);
    assert.equal(new Set(receipts).size, 3);
    assert.equal(repeat.text.split('gwr1.').length, 2, 'one receipt');
    const metas = await Promise.all(receipts.map(metaOf));
    assert.deepEqual(
      metas.map(({ approval, code }) => [approval, code]),
      [
        [id, 'approval.required'],
        [id, undefined],
        [id, undefined],
      ],
    );
    assert.equal(new Set(metas.map(({ call }) => call)).size, 3);
    const said = await prove('--reply', keep('repeat.json', repeat.text));
    assert.match(said.err, /recorded, byte for byte\n/);
    const whole = await prove(String(metas[1]!['call']), '--out', join(home, 'approved.tlog-proof'));
    assert.equal(whole.code, 0, whole.err);
    assert.match(whole.out, /approval [\s\S]* intent [\s\S]* outcome /);
  });

  test('that nobody gave, or that was given elsewhere, opens to nothing', async () => {
    const receipt = receiptOf(await quickstart.gateway.call(ECHO, { message: 'x' }, token));
    const forged = receipt.slice(0, -3) + (receipt.at(-3) === 'A' ? 'B' : 'A') + receipt.slice(-2);
    for (const what of [forged, 'gwr1.', 'no-such-call', '999999999']) {
      const { code, err } = await audit('prove', what);
      assert.equal(code, 1, `${what}: ${err}`);
    }
    for (const argv of [['prove'], ['prove', '1', '2'], ['prove', '1', '--disclose', 'everything'], ['verify-proof']])
      assert.equal((await audit(...argv)).code, 2, argv.join(' '));
    assert.equal((await audit('verify-proof', join(home, 'none'))).code, 3);
    assert.equal((await audit('prove', '--reply', keep('no.json', '[]'))).code, 3);
  });
});
