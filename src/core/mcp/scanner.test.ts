import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { json, jsonObject, plainText, SCALE, SEED, stringLexeme } from '../../../test/vectors/generated-json.ts';
import { DEFAULT_SCAN_LIMITS, parseSpan, scanDocument, scanMessage, textOf } from './scanner.ts';
import { treeOf } from './tree.ts';

const scan = (text: string | Uint8Array) => scanDocument(typeof text === 'string' ? Buffer.from(text) : text);
const limited = (text: string, limits: object) =>
  scanDocument(Buffer.from(text), { ...DEFAULT_SCAN_LIMITS, ...limits });

test('spans of a request name exactly the lexemes that were sent', () => {
  const text =
    ' { "jsonrpc" : "2.0","id":7.50,"method":"tools\\/call", "params":{"name":"a\\u0062","arguments":{"x":[1,{}]},"_meta":{"k":{"params":1},"":null}} }\n';
  const bytes = Buffer.from(text);
  const spans = scanMessage(bytes);
  assert.ok(typeof spans === 'object');
  const at = (span: { start: number; end: number } | null | undefined) => span && textOf(bytes, span.start, span.end);
  assert.equal(at(spans.jsonrpc), '"2.0"');
  assert.equal(at(spans.id), '7.50');
  assert.equal(at(spans.method), '"tools\\/call"');
  assert.equal(at(spans.paramsMembers.get('name')), '"a\\u0062"');
  assert.equal(at(spans.paramsMembers.get('arguments')), '{"x":[1,{}]}');
  assert.equal(at(spans.metaMembers.get('k')), '{"params":1}');
  assert.equal(at(spans.metaMembers.get('')), 'null');
  assert.equal(spans.unknown, false);
  assert.deepEqual([...spans.paramsMembers.keys()], ['name', 'arguments', '_meta']);
});

test('an answer of an upstream gives the span of its result, and a strange member is reported', () => {
  const bytes = Buffer.from('{"result":{"a":[]},"jsonrpc":"2.0","id":"x","extra":1}');
  const spans = scanMessage(bytes);
  assert.ok(typeof spans === 'object' && spans.result);
  assert.deepEqual(parseSpan(bytes, spans.result), { a: [] });
  assert.equal(spans.unknown, true);
});

test('a name given twice is refused at every depth, however it is escaped', () => {
  const nested = '{"a":1,"b":[{"c":{"x":1,"y":2,"x":3}}]}';
  assert.equal(scan(nested), 'duplicate_key');
  assert.equal(scan('{"a":1,"\\u0061":2}'), 'duplicate_key');
  assert.equal(scan('{"\\u0061":1,"a":2}'), 'duplicate_key');
  assert.equal(scan('{"é":1,"\\u00E9":2}'), 'duplicate_key');
  assert.equal(scan('{"😀":1,"\\ud83d\\ude00":2}'), 'duplicate_key');
  assert.equal(scan('{"__proto__":1,"__proto__":2}'), 'duplicate_key');
  assert.equal(scan('{"":1,"":2}'), 'duplicate_key');
  const wide = Array.from({ length: 500 }, (_, i) => `"k${i}":${i}`);
  assert.equal(typeof scan(`{${wide.join()}}`), 'object');
  assert.equal(scan(`{${wide.join()},"k0":0}`), 'duplicate_key');
  assert.equal(scan(`{${wide.join()},"\\u006b499":0}`), 'duplicate_key');
  assert.equal(typeof scan('[{"a":1},{"a":1},{"b":{"a":1},"a":2}]'), 'object');
  assert.equal(typeof scan(`[{${wide.join()}},{${wide.join()}}]`), 'object');
});

test('a name that a lenient decoder would take for an envelope member is refused where it would count', () => {
  const folded = [
    '{"jsonrpc":"2.0","Method":"tools/call"}',
    '{"jſonrpc":"2.0"}',
    '{"method\\u0000":"x"}',
    '{"params":{"NAME":"x"}}',
    '{"params":{"arguments":{},"Arguments":{}}}',
    '{"params":{"argumentſ":{}}}',
    '{"params":{"_META":{}}}',
    '{"params":{"ta\u212aId":1,"tas\u212aId":1}}',
    '{"params":{"_meta":{"IO.modelcontextprotocol/protocolVersion":"x"}}}',
    '{"params":{"_meta":{"ProgressToken":1}}}',
  ];
  for (const text of folded) assert.equal(scanMessage(Buffer.from(text)), 'folded_key', text);
  assert.equal(typeof scanMessage(Buffer.from('{"params":{"arguments":{"NAME":1,"Method":2}}}')), 'object');
});

test('bytes that are not plain UTF-8 are refused before anything is read', () => {
  const raw = (...bytes: number[]) => scan(Buffer.from(bytes));
  assert.equal(raw(0xef, 0xbb, 0xbf, 0x7b, 0x7d), 'encoding');
  assert.equal(raw(0x22, 0xff, 0x22), 'encoding');
  assert.equal(raw(0x22, 0xed, 0xa0, 0x80, 0x22), 'encoding');
  assert.equal(raw(0x22, 0xc0, 0xaf, 0x22), 'encoding');
  assert.equal(scan(Buffer.from('{}', 'utf16le')), 'json');
  for (const text of ['"\\ud800"', '"\\udc00"', '"\\ud800\\u0061"', '"\\ud800x"', '{"\\udfff":1}']) {
    assert.equal(scan(text), 'json', text);
  }
});

test('bounds hold for depth, members, strings and numbers, and are met in no time', () => {
  assert.equal(typeof scan('['.repeat(64) + ']'.repeat(64)), 'object');
  assert.equal(scan('['.repeat(65) + ']'.repeat(65)), 'bounds');
  assert.equal(scan('['.repeat(100_000)), 'bounds');
  assert.equal(scan('{"a":'.repeat(100_000)), 'bounds');
  assert.equal(typeof limited('['.repeat(500) + ']'.repeat(500), { maxDepth: 500 }), 'object');
  assert.equal(limited('{"a":1,"b":2}', { maxMembers: 1 }), 'bounds');
  assert.equal(limited('"abc"', { maxStringBytes: 2 }), 'bounds');
  assert.equal(limited('{"abc":1}', { maxStringBytes: 2 }), 'bounds');
  assert.equal(scan(`${'1'.repeat(400)}`), 'bounds');
  assert.equal(scan('1e400'), 'bounds');
  assert.equal(scan('-1E+309'), 'bounds');
  assert.equal(limited('9'.repeat(320), { maxNumberBytes: 1000 }), 'bounds');
  const million = `{${Array.from({ length: 1_000_000 }, (_, i) => `"k${i}":0`).join()}}`;
  const started = performance.now();
  assert.equal(scan(million), 'bounds');
  assert.ok(performance.now() - started < 1000);
});

test('a quote, a backslash, a control or a letter of any width is seen wherever in a string it stands', () => {
  for (let length = 0; length < 40; length++) {
    for (let at = 0; at <= length; at++) {
      const around = (middle: string) => `["${'x'.repeat(at)}${middle}${'~'.repeat(length - at)}"]`;
      for (const middle of [
        '',
        ' ',
        '!',
        '#',
        '[',
        ']',
        '\x7f',
        '\x80',
        '\u00e9',
        '\u20ac',
        '\ud83d\ude00',
        '\\n',
        '\\\\',
        '\\"',
      ])
        assert.equal(typeof scan(around(middle)), 'object', around(middle));
      for (const middle of ['"', '\x00', '\x01', '\x1f', '\n', '\\', '\\x'])
        assert.equal(scan(around(middle)), 'json', JSON.stringify(around(middle)));
      assert.equal(scan(`["${'x'.repeat(at)}`), 'json');
    }
  }
});

test('a name with an escape is told, wherever it stands; an escape in a value is none', () => {
  const escapedNames = (text: string) => (scanMessage(Buffer.from(text)) as { escapedNames: boolean }).escapedNames;
  assert.equal(escapedNames('{"method":"a\\n","params":{"x":["\\\\"]}}'), false);
  for (const text of ['{"\\u0069d":1}', '{"params":{"\\u0061":1}}', '{"params":{"x":[{"y":{"\\"":1}}]}}'])
    assert.equal(escapedNames(text), true, text);
});

test('large and exact numbers pass as they were written', () => {
  for (const text of ['9007199254740993', '1.0', '-0', '1e308', '12345678901234567890', '0.1e-7']) {
    const scanned = scan(` ${text} `);
    assert.ok(typeof scanned === 'object');
    assert.deepEqual(scanned.value, { start: 1, end: 1 + text.length });
  }
});

test('a batch and a bare value are told apart from broken JSON', () => {
  assert.equal(scanMessage(Buffer.from('[]')), 'batch');
  assert.equal(scanMessage(Buffer.from('[{"id":1}]')), 'batch');
  assert.equal(scanMessage(Buffer.from('3')), 'not_object');
  assert.equal(scanMessage(Buffer.from('[}')), 'json');
  assert.equal(scanMessage(Buffer.from('')), 'json');
});

test('every generated document is taken, and its members are where JSON.parse finds them', () => {
  fc.assert(
    fc.property(jsonObject, (document) => {
      const bytes = Buffer.from(`\t${document.text} `);
      const scanned = scanDocument(bytes);
      assert.ok(typeof scanned === 'object' && scanned.members, String(scanned));
      const expected = new Map(Object.entries(treeOf(document.text) as object));
      assert.deepEqual(new Map([...scanned.members].map(([name, span]) => [name, parseSpan(bytes, span)])), expected);
    }),
    { numRuns: 300 * SCALE, seed: SEED },
  );
});

test('whatever one changed byte makes of a document, what the scanner takes JSON.parse takes, and what it calls broken JSON.parse refuses', () => {
  fc.assert(
    fc.property(json, fc.nat(), fc.integer({ min: 0, max: 127 }), fc.boolean(), (document, at, byte, drop) => {
      const source = Buffer.from(document.text);
      const index = at % source.length;
      const bytes = drop
        ? Buffer.concat([source.subarray(0, index), source.subarray(index + 1)])
        : Buffer.concat([source.subarray(0, index), Buffer.from([byte]), source.subarray(index + 1)]);
      const scanned = scanDocument(bytes);
      let parsed = true;
      let value: unknown;
      try {
        value = JSON.parse(bytes.toString());
      } catch {
        parsed = false;
      }
      if (typeof scanned === 'object') assert.ok(parsed, `taken: ${bytes}`);
      // A lone surrogate is the one thing JSON.parse takes and we call broken.
      if (scanned === 'json' && parsed) assert.ok(/\\ud[89a-f]/i.test(bytes.toString()), `${bytes} ${String(value)}`);
    }),
    { numRuns: 1500 * SCALE, seed: SEED },
  );
});

test('two lexemes of one name are always a duplicate', () => {
  const dice = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(plainText, dice, dice, fc.nat(40), (name, first, second, fill) => {
      const filler = Array.from({ length: fill }, (_, i) => `"filler-${i}":${i},`).join('');
      assert.equal(scan(`{${filler}${stringLexeme(name, first)}:1,${stringLexeme(name, second)}:2}`), 'duplicate_key');
    }),
    { numRuns: 200 * SCALE, seed: SEED },
  );
});
