import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cedarArguments, Unjudgeable } from './values.ts';

const from = (json: string) => cedarArguments(JSON.parse(json));
const plain = (json: string) => JSON.stringify(from(json));

test('texts, booleans, whole numbers, lists and objects stay what they are', () => {
  const json = '{"a":"x","b":true,"c":-9007199254740991,"d":["x",1],"e":{"f":"y"}}';
  assert.equal(plain(json), json);
});

test('a number that is not whole becomes text, so that no rule compares it as a number', () => {
  assert.equal(plain('{"a":1.5,"b":-0.25,"c":1e-7}'), '{"a":"1.5","b":"-0.25","c":"1e-7"}');
});

test('a number that cannot be told exactly is not judged', () => {
  for (const json of ['{"a":{"b":[9007199254740993]}}', '{"a":{"b":[1e300]}}', '{"a":{"b":[-1e19]}}']) {
    const found = from(json);
    assert.ok(found instanceof Unjudgeable);
    assert.deepEqual([found.reason, found.path], ['inexact_number', '/a/b/0']);
  }
});

test('null is absent as a member and equal to nothing as an item', () => {
  assert.equal(plain('{"a":null,"b":{"c":null}}'), '{"b":{}}');
  assert.equal(plain('{"a":[null]}'), '{"a":[{"__entity":{"type":"Null","id":"null"}}]}');
});

test('names with which Cedar makes entities out of objects are not judged, at any depth', () => {
  for (const name of ['__entity', '__extn', '__expr']) {
    for (const json of [
      `{"${name}":1}`,
      `{"a":{"${name}":{"type":"Group","id":"approvers"}}}`,
      `{"a":[{"${name}":1}]}`,
    ]) {
      const found = from(json);
      assert.ok(found instanceof Unjudgeable, json);
      assert.equal(found.reason, 'reserved_name');
    }
  }
});

test('inherited names are members like any other and change no object', () => {
  const found = from('{"__proto__":{"polluted":true},"constructor":"c","toString":"t"}');
  assert.deepEqual(Object.keys(found), ['__proto__', 'constructor', 'toString']);
  assert.equal(Object.getPrototypeOf(found), null);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  assert.equal(Object.hasOwn(cedarArguments({}), 'constructor'), false);
});

test('depth, number of values and length of a reported path are bounded', () => {
  const deep = `{"a":${'['.repeat(100)}${']'.repeat(100)}}`;
  assert.equal((from(deep) as Unjudgeable).reason, 'too_deep');
  assert.equal((from(`{"a":[${'1,'.repeat(30_000)}1]}`) as Unjudgeable).reason, 'too_many');
  assert.ok((from(`{"${'k'.repeat(1000)}":1e300}`) as Unjudgeable).path.length <= 200);
});
