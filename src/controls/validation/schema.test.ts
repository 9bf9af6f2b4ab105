import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { SchemaCompiler } from './schema.ts';
import { SCHEMA_BOUNDS } from './schema-screen.ts';

const compiler = new SchemaCompiler({ formats: 'assert' });

function holds(schema: unknown, value: unknown): boolean {
  const compiled = compiler.compile(schema);
  assert.ok(typeof compiled === 'object', String(compiled));
  return compiled.violation(value) === null;
}
const refused = (schema: unknown) =>
  assert.equal(typeof compiler.compile(schema), 'string', JSON.stringify(schema).slice(0, 200));

test('inherited names are no members (SC-02)', () => {
  for (const name of ['constructor', 'toString', 'hasOwnProperty', '__proto__']) {
    assert.equal(holds({ required: [name] }, {}), false, name);
    assert.equal(holds({ required: [name] }, JSON.parse(`{"${name}":1}`)), true, name);
  }
  assert.equal(holds({ properties: { toString: { type: 'number' } } }, {}), true);
  assert.equal(holds({ additionalProperties: false, properties: { a: true } }, JSON.parse('{"__proto__":1}')), false);
});

test('equality reads own members only, whatever they are called', () => {
  const odd = JSON.parse('{"constructor":{},"valueOf":1,"toString":null}');
  assert.equal(holds({ const: odd }, structuredClone(odd)), true);
  assert.equal(holds({ not: { const: odd } }, structuredClone(odd)), false);
  assert.equal(holds({ uniqueItems: true }, [odd, structuredClone(odd)]), false);
  assert.equal(holds({ enum: [{ a: 1, b: [2] }] }, { b: [2], a: 1 }), true);
  assert.equal(holds({ enum: [0, ''] }, false), false);
});

test('no schema leads to the network, to another dialect or to a private keyword of the compiler (SC-04)', () => {
  refused({ $ref: 'http://127.0.0.1:9/x.json' });
  refused({ properties: { a: { $ref: '//evil/x' } } });
  refused({ $schema: 'http://127.0.0.1:9/dialect' });
  refused({ $id: 'https://evil.example/x', type: 'object' });
  refused({ properties: { a: { $id: 'x' } } });
  refused({ $dynamicRef: '#a' });
  refused({ anyOf: [{ properties: { a: true } }], unevaluatedProperties: false });
  refused({ items: [{ type: 'string' }] });
  refused({ dependencies: { a: ['b'] } });
  refused({ $ref: '#/nowhere' });
  refused({ type: 'strange' });
  refused(JSON.parse('{"properties":{"__proto__":{"type":"string"}}}'));
  for (const schema of [null, 7, 'x', [], { properties: [] }, { allOf: {} }, { enum: [] }, { items: 7 }])
    refused(schema);
  assert.equal(holds({ type: 'string', nullable: true }, null), false);
  assert.equal(holds({ $async: true, type: 'string' }, 7), false);
  assert.equal(holds({ $schema: 'http://json-schema.org/draft-07/schema#', type: 'string' }, 7), false);
});

test('a schema beyond its bounds is refused, not compiled', () => {
  let deep: object = { type: 'string' };
  for (let i = 0; i < 20_000; i++) deep = { properties: { a: deep } };
  refused(deep);
  refused({ allOf: Array.from({ length: SCHEMA_BOUNDS.keywords }, () => ({ type: 'object' })) });
  refused({ enum: Array.from({ length: 40_000 }, (_, i) => `value-${i}`) });
});

test('a recursive schema that branches ends as a refusal, in no time', () => {
  const branch = { properties: { a: { $ref: '#' } } };
  const schema = { allOf: [branch, branch] };
  let value: object = {};
  for (let i = 0; i < 40; i++) value = { a: value };
  const started = performance.now();
  assert.equal(holds(schema, value), false);
  assert.equal(holds({ $ref: '#' }, {}), false);
  assert.ok(performance.now() - started < 1_000);
  assert.equal(holds({ type: 'string' }, 'still serving'), true);
});

test('patterns that repeat by the thousand keep nobody waiting (SC-03)', () => {
  const some = '[a-z]{0,1000}';
  const letters = 'abcdefghijklm';
  assert.equal(holds({ pattern: `${some.repeat(8)}[0-9]` }, letters.repeat(4_000)), false);
  const twice = { pattern: `${some.repeat(2)}$` };
  assert.equal(holds({ allOf: Array.from({ length: 12 }, () => twice) }, letters.repeat(75)), false);
  assert.equal(holds(twice, letters.repeat(75)), true);
  refused({ pattern: some.repeat(60) });
  refused({ patternProperties: Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`${some}${i}`, true])) });
  assert.equal(holds({ pattern: '^[a-z]{1,1000}$' }, 'a'.repeat(1_000)), true);
  assert.equal(holds({ pattern: '^[A-Za-z0-9+/=]*$' }, 'a'.repeat(1_000_000)), true);
});

test('thousands of items are compared for uniqueness in no time', () => {
  const started = performance.now();
  assert.equal(
    holds(
      { uniqueItems: true },
      Array.from({ length: 30_000 }, (_, i) => ({ i })),
    ),
    true,
  );
  assert.ok(performance.now() - started < 1_000);
});

test('unevaluatedProperties and unevaluatedItems are enforced where nothing beside them applies in place', () => {
  assert.equal(holds({ properties: { a: true }, unevaluatedProperties: false }, { b: 1 }), false);
  assert.equal(holds({ prefixItems: [true], unevaluatedItems: { type: 'string' } }, [1, 2]), false);
  assert.equal(holds({ additionalProperties: true, unevaluatedProperties: false }, { b: 1 }), true);
});

test('one schema leaves nothing behind for the next', () => {
  assert.equal(holds({ $id: 'same', type: 'string', $defs: { a: { $anchor: 'x' } } }, 's'), true);
  assert.equal(holds({ $id: 'same', type: 'number', $defs: { a: { $anchor: 'x' } } }, 's'), false);
  assert.equal(holds({ properties: { a: { pattern: '^a$' }, b: { pattern: '^b$' } } }, { a: 'a', b: 'a' }), false);
});

test('formats are asserted, unknown ones are annotations', () => {
  const good: Record<string, string[]> = {
    date: ['2024-02-29', '2026-12-31'],
    time: ['10:00:00Z', '23:59:60Z', '01:29:60+01:30', '12:00:00.123+02:00'],
    'date-time': ['2026-11-22T10:00:00Z', '2026-11-22t10:00:00.5-03:00'],
    email: ['a@b.co', 'first.last+tag@sub.example.org', 'a@[127.0.0.1]'],
    hostname: ['localhost', 'a-b.example.com'],
    ipv4: ['127.0.0.1'],
    ipv6: ['::1', '2001:db8::1'],
    uri: ['https://u@h.example:8443/a?b#c', 'urn:isbn:1', 'file:///a', 'http://[::1]:1/', 'mailto:a@b.co'],
    uuid: ['2EB8AA08-aa98-11ea-b4aa-73b441d16380'],
    strange: ['anything'],
  };
  const bad: Record<string, string[]> = {
    date: ['2023-02-29', '2026-13-01', '2026-1-1', '2026-04-31', '٢٠٢٦-01-01'],
    time: ['24:00:00Z', '10:00:00', '22:59:60Z', '10:00Z'],
    'date-time': ['2026-11-22 10:00:00Z', '2026-11-22T10:00:00', '2026-11-22'],
    email: ['a', '@b.co', 'a@', 'a b@c.de', 'a..b@c.de', 'a@b@c', 'a@-b.co'],
    hostname: ['-a', 'a..b', 'a_b', '', `${'a'.repeat(64)}.com`],
    ipv4: ['127.0.0.1.1', '256.0.0.1', '1.2.3', '01.2.3.4'],
    ipv6: ['::g', '1::2::3', 'fe80::1%eth0'],
    uri: ['/relative', 'http://a b', 'http://[::1', 'a', 'http://h/%zz', 'http://x/#a#b', 'ht^tp://x'],
    uuid: ['2eb8aa08aa9811eab4aa73b441d16380', 'not-a-uuid'],
  };
  for (const [format, list] of Object.entries(good))
    for (const text of list) assert.equal(holds({ format }, text), true, `${format} ${text}`);
  for (const [format, list] of Object.entries(bad))
    for (const text of list) assert.equal(holds({ format }, text), false, `${format} ${text}`);
  assert.equal(holds({ format: 'date' }, 7), true);
  const lenient = new SchemaCompiler({ formats: 'annotate' }).compile({ format: 'date' });
  assert.ok(typeof lenient === 'object' && lenient.violation('x') === null);
});

test('a violation bears what the schema asked for', () => {
  const cases: [object, unknown, unknown][] = [
    [{ maximum: 3 }, 4, 3],
    [{ minLength: 2 }, 'x', 2],
    [{ maxItems: 1 }, [1, 2], 1],
    [{ minProperties: 1 }, {}, 1],
    [{ multipleOf: 5 }, 4, 5],
    [{ pattern: '^a' }, 'b', '^a'],
    [{ format: 'date' }, 'b', 'date'],
    [{ enum: ['a', { b: 1 }] }, 'b', ['a', { b: 1 }]],
    [{ const: false }, 1, false],
    [{ $defs: { a: { const: null } }, $ref: '#/$defs/a' }, 1, null],
  ];
  for (const [schema, value, expected] of cases) {
    const compiled = compiler.compile(schema);
    assert.ok(typeof compiled === 'object', String(compiled));
    assert.deepEqual(compiled.violation(value)?.expected, expected, JSON.stringify(schema));
  }
});

test('what was judged is not kept with the schema, whatever was said of it', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const some = {
    $defs: { few: { maxItems: 3 } },
    properties: { a: { anyOf: [{ $ref: '#/$defs/few' }, { minItems: 5 }] } },
  };
  const compiled = compiler.compile(some);
  assert.ok(typeof compiled === 'object', String(compiled));
  for (const length of [4, 10_000]) {
    const judged = (() => {
      const a = Array.from({ length }, () => ({}));
      assert.equal(compiled.violation({ a }) === null, length > 4);
      return new WeakRef(a);
    })();
    // What a WeakRef was made of is there to the end of this turn.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    assert.equal(judged.deref(), undefined, `${length} items`);
  }
});
