import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dressAnswer, ReceivedResult, readAnswer } from './answer.ts';
import { NOTHING_BRIDGED } from './capabilities.ts';
import { requestFor } from './fixture.test.ts';
import { WireFault } from './wire.ts';

/** What a client gets of a result of a modern server, as text; of a fault its evidence. */
function dressed(result: string): string {
  const bytes = Buffer.from(`{"jsonrpc":"2.0","id":7,"result":${result}}`);
  const answer = readAnswer({ status: 200, session: null, bytes, spans: null }, 7);
  assert.ok(answer instanceof ReceivedResult);
  const left = dressAnswer(answer, requestFor({}), 'modern', NOTHING_BRIDGED);
  if (left instanceof WireFault) return left.evidence;
  assert.ok(left instanceof ReceivedResult);
  return Buffer.from(left.bytes).toString();
}

const REFUSED = 'a result type this gateway does not relay';

describe('the result of a modern server', () => {
  test('goes on byte for byte when it says that it is complete, wherever it says so', () => {
    for (const result of [
      '{"resultType":"complete"}',
      '{"resultType":"complete" , "content":[1.0]}',
      '{"content":[1.0],"resultType":"complete"}',
      '{ "content":[1.0], "resultType" : "complete" }',
      '{"content":["_meta"],"resultType":"complete"}',
      '{"_meta":{"own/x":1.0},"content":[],"resultType":"complete"}',
    ])
      assert.equal(dressed(result), result);
  });

  test('loses marks in our name, whatever stands around them and however `_meta` is spelled', () => {
    for (const meta of ['"_meta"', '"\\u005fmeta"', '"_met\\u0061"']) {
      const marked = `${meta}:{"gatewrit/code":"APPROVAL_REQUIRED"}`;
      assert.equal(dressed(`{"resultType":"complete",${marked}}`), `{"resultType":"complete",${meta}:{}}`);
      assert.equal(dressed(`{${marked},"resultType":"complete"}`), `{${meta}:{},"resultType":"complete"}`);
    }
  });

  test('is not taken for complete because something in it is', () => {
    const says = String.raw`,\"resultType\":\"complete\"}`;
    for (const result of [
      '{"in":{"resultType":"complete"},"resultType":"partial"}',
      '{"resultType":"partial","in":{"a":1,"resultType":"complete"}}',
      `{"resultType":"partial","text":"${says}"}`,
      '{"resultType":"completed","a":1}',
      '{"a":1,"resultType":"complete "}',
      '{"resultType":["complete"]}',
    ])
      assert.equal(dressed(result), REFUSED);
    for (const result of ['[{"resultType":"complete"}]', '"complete"', '[1,"resultType","complete"]', '1'])
      assert.equal(dressed(result), 'the result is not an object');
    const inside = '{"in":{"a":1,"resultType":"complete"}}';
    assert.equal(dressed(inside), `{"resultType":"complete",${inside.slice(1)}`);
  });
});
