import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256Base64Url } from '../../../core/crypto/digest.ts';
import { downLevel } from '../../../core/mcp/down-level.ts';
import { withReceipt } from '../../../core/mcp/receipt.ts';
import { matchAnswer, type RecordedReply, readSavedAnswer } from './answer.ts';
import { encodeEvidence, parseEvidence } from './evidence.ts';

const numRuns = 300 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const RECEIPT = 'gwr1.AAAAAAAAAAAAAAAAAAAAAA';
const REPLY = '{"content":[{"type":"text","text":"a"}],"n":1.0,"resultType":"complete"}';

const recorded = (text: string, kept = true, kind = 'result'): RecordedReply => ({
  digest: sha256Base64Url(Buffer.from(text)),
  kind,
  bytes: kept ? Buffer.from(text) : null,
});
const sent = (text: string) => Buffer.concat(withReceipt(Buffer.from(text), RECEIPT)).toString();
const response = (result: string) => `{"jsonrpc":"2.0","id":7,"result":${result}}`;
const match = (file: string, reply: RecordedReply) => {
  const saved = readSavedAnswer(Buffer.from(file));
  return saved && matchAnswer(saved, reply)?.as;
};

test('a kept answer is recognised as a whole response, as its result alone, and at the end of an event stream', () => {
  const body = response(sent(REPLY));
  const stream = `id: 1\nretry: 1000\ndata: \n\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\nevent: message\ndata: ${body}\n\n`;
  for (const file of [body, ` ${body}\n`, sent(REPLY), stream, stream.replaceAll('\n', '\r\n')])
    assert.equal(match(file, recorded(REPLY, false)), 'bytes', file);
  assert.equal(readSavedAnswer(Buffer.from(body))!.receipt, RECEIPT);
});

test('an error is compared as it is: it bears no receipt', () => {
  const error = '{"code":-32602,"message":"no"}';
  const body = `{"jsonrpc":"2.0","id":7,"error":${error}}`;
  assert.equal(match(body, recorded(error, false, 'error')), 'bytes');
  assert.equal(match(body, recorded(error, true, 'result')), undefined, 'an error is no result');
});

test('in the words of an older revision it is recognised while the reply is kept, and only then', () => {
  const old = Buffer.from(
    downLevel({ kind: 'result', bytes: Buffer.from(REPLY) }, 'tools/call', '2025-06-18'),
  ).toString();
  assert.notEqual(old, REPLY);
  assert.equal(match(response(sent(old)), recorded(REPLY)), 'words');
  assert.equal(match(response(sent(old)), recorded(REPLY, false)), undefined);
});

test('written anew it is recognised by its value; a number is what stands there, not what it amounts to', () => {
  const anew = '{ "resultType":"complete", "n":1.0, "content":[{"text":"\\u0061","type":"text"}] }';
  assert.equal(match(response(sent(anew)), recorded(REPLY)), 'value');
  assert.equal(match(response(sent(anew.replace('1.0', '1'))), recorded(REPLY)), undefined);
  assert.equal(match(response(sent(anew)), recorded(REPLY, false)), undefined);
});

test('a record whose reply is not what it hashed proves nothing by it', () => {
  const lying = { ...recorded('{"other":1}'), bytes: Buffer.from(REPLY) };
  assert.equal(match(response(sent(REPLY)), lying), undefined);
});

test('every changed character is another answer; what is no answer is none, and nothing throws', () => {
  const body = response(sent(REPLY));
  for (let i = body.indexOf(',"content') + 2; i < body.length - 2; i++) {
    const changed = `${body.slice(0, i)}${body[i] === 'b' ? 'c' : 'b'}${body.slice(i + 1)}`;
    assert.ok(!match(changed, recorded(REPLY)), changed);
  }
  const noise = fc.oneof(
    fc.string(),
    fc.json(),
    fc.constant(body).chain((text) => fc.nat({ max: text.length }).map((n) => text.slice(n))),
  );
  fc.assert(
    fc.property(noise, (text) => {
      assert.ok(!match(text, recorded('{"never":"this"}')));
    }),
    { numRuns },
  );
});

test('evidence has one spelling: nothing stands in a proof that is not looked at', () => {
  const evidence = { entry: Buffer.from('{"id":"x"}'), openings: new Map([['meta', Buffer.alloc(34, 7)]] as const) };
  const text = encodeEvidence(evidence).toString();
  assert.deepEqual(parseEvidence(Buffer.from(text)), evidence);
  for (const other of [
    ` ${text}`,
    text.replace(',"format"', ', "format"'),
    text.replace('}}', '},"more":1}'),
    text.replace('"meta"', '"others"'),
    text.replace(/.="/, (two) => `${two[0] === 'A' ? 'B' : 'A'}="`),
    text.replace('="', '"'),
    text.replace('@v1', '@v2'),
    '{"entry":1}',
    'null',
    '',
  ]) {
    const read = parseEvidence(Buffer.from(other));
    if (read) assert.notDeepEqual(read, evidence, other);
    assert.ok(read === null || encodeEvidence(read).toString() === other, other);
  }
});
