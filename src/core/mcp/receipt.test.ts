import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RECEIPT_MARK, takeReceipt, withReceipt } from './receipt.ts';

const RECEIPT = 'gwr1.AAAAAAAAAAAAAAAAAAAAAA';
const RUNS = 300 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const put = (text: string) => Buffer.concat(withReceipt(Buffer.from(text), RECEIPT)).toString();

describe('a receipt in a result', () => {
  test('stands first in _meta, or in a _meta that stands first, and every other byte stays', () => {
    const cases: [string, string][] = [
      ['{}', `{"_meta":{"gatewrit/receipt":"${RECEIPT}"}}`],
      ['{ }', `{"_meta":{"gatewrit/receipt":"${RECEIPT}"} }`],
      ['{"a":1.0}', `{"_meta":{"gatewrit/receipt":"${RECEIPT}"},"a":1.0}`],
      ['{ "a" : 1e2 }', `{"_meta":{"gatewrit/receipt":"${RECEIPT}"}, "a" : 1e2 }`],
      ['{"a":1,"_meta":{}}', `{"a":1,"_meta":{"gatewrit/receipt":"${RECEIPT}"}}`],
      ['{"a":1,"_meta":{ "x":1}}', `{"a":1,"_meta":{"gatewrit/receipt":"${RECEIPT}", "x":1}}`],
      ['{"\\u005fmeta":{"x":1}}', `{"\\u005fmeta":{"gatewrit/receipt":"${RECEIPT}","x":1}}`],
      ['{"a":"_meta","b":{"_meta":{}}}', `{"_meta":{"gatewrit/receipt":"${RECEIPT}"},"a":"_meta","b":{"_meta":{}}}`],
    ];
    for (const [before, after] of cases) assert.equal(put(before), after);
  });

  test('takes the place of every mark by this name that is there already, however it is spelt', () => {
    for (const forged of ['gatewrit/receipt', 'gatewrit\\/receipt', 'gatewrit\\u002freceipt', 'Gatewrit/Receipt']) {
      const said = JSON.parse(put(`{"content":[],"_meta":{"a":1,"${forged}":"gwr1.forged"}}`)) as object;
      assert.deepEqual(said, { content: [], _meta: { [RECEIPT_MARK]: RECEIPT, a: 1 } }, forged);
      const alone = JSON.parse(put(`{"_meta":{"${forged}":"gwr1.forged"}}`)) as object;
      assert.deepEqual(alone, { _meta: { [RECEIPT_MARK]: RECEIPT } }, forged);
    }
  });

  test('is left out where _meta is no object, or not one: no client could find it', () => {
    for (const text of ['{"_meta":1}', '{"_meta":[{}]}', '{"_meta":null}', '{"_meta":{},"_meta":1}', '[]'])
      assert.equal(put(text), text);
  });

  test('is found again by who kept the answer, and what it was put into comes back byte for byte', () => {
    const value = fc.oneof(
      fc.string(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.array(fc.string({ unit: fc.constantFrom('{', '}', '_meta', ',', '"') })),
      fc.constant({ _meta: { 'gatewrit/receipt': 'inner' } }),
    );
    const blank = fc.constantFrom('', '', ' ', '\n', '\t ');
    const key = fc.oneof(
      fc.constantFrom('_meta', '\\u005fmeta', '\\u005Fmeta', 'meta', 'a\\u0000'),
      fc.string({ unit: fc.constantFrom('a', 'b', '1', ' ') }),
    );
    // Keys that differ in case alone, or look alike, are refused by the scanner before.
    const meta = fc.dictionary(fc.string({ unit: fc.constantFrom('a', 'b', '/', '"', '\\', '}') }), value, {
      maxKeys: 3,
    });
    const object = fc
      .tuple(
        fc.uniqueArray(key, { maxLength: 5, selector: (one) => JSON.parse(`"${one}"`) as string }),
        fc.infiniteStream(blank),
        fc.infiniteStream(value),
        meta,
      )
      .map(([keys, blanks, values, metaValue]) => {
        const next = () => blanks.next().value as string;
        const members = keys.map((name) => {
          const value: unknown = JSON.parse(`"${name}"`) === '_meta' ? metaValue : values.next().value;
          return `${next()}"${name}"${next()}:${next()}${JSON.stringify(value)}${next()}`;
        });
        return `{${members.length > 0 ? members.join(',') : next()}}`;
      });
    fc.assert(
      fc.property(object, (text) => {
        const sent = put(text);
        const read = JSON.parse(sent) as { _meta: Record<string, unknown> };
        assert.equal(read._meta[RECEIPT_MARK], RECEIPT);
        const taken = takeReceipt(Buffer.from(sent))!;
        assert.equal(taken.receipt, RECEIPT);
        const readings = taken.before.map((bytes) => Buffer.from(bytes).toString());
        assert.ok(readings.includes(text), `${text} came back as ${readings.join(' or ')}`);
        assert.ok(readings.length <= 2);
      }),
      { numRuns: RUNS },
    );
  });

  test('of an answer that was written anew is still found, but no bytes are claimed', () => {
    const anew = JSON.stringify(JSON.parse(put('{"a":1,"_meta":{"z":1}}')), null, 2).replace(
      `"gatewrit/receipt": "${RECEIPT}",\n    "z": 1`,
      `"z": 1,\n "gatewrit/receipt": "${RECEIPT}"`,
    );
    const taken = takeReceipt(Buffer.from(anew))!;
    assert.deepEqual([taken.receipt, taken.before.length], [RECEIPT, 0]);
    assert.deepEqual(JSON.parse(Buffer.from(taken.without).toString()), { a: 1, _meta: { z: 1 } });
  });

  test('that is not there is said so; what is no object is nothing', () => {
    for (const text of ['{"a":1}', '{"_meta":{"x":1}}', '{"_meta":7}']) {
      const taken = takeReceipt(Buffer.from(` ${text}\n`))!;
      assert.equal(taken.receipt, null);
      assert.deepEqual(
        taken.before.map((bytes) => Buffer.from(bytes).toString()),
        [text],
      );
    }
    for (const text of ['[]', '1', '{', '{"a":1,"a":2}']) assert.equal(takeReceipt(Buffer.from(text)), null);
  });
});
