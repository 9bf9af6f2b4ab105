import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SCALE, SEED } from '../../../test/vectors/generated-json.ts';
import type { Message, Target } from '../call.ts';
import {
  agrees,
  decodeHeaderValue,
  encodeHeaderValue,
  mirroredHeaders,
  paramHeaders,
  paramHeaderValue,
} from './mcp-headers.ts';

test('any text survives a header, and every header value is plain ASCII without blanks at its ends', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }).map((text) => text.toWellFormed()),
      (text) => {
        const header = encodeHeaderValue(text);
        assert.match(header, /^[\x21-\x7e](?:[\x09\x20-\x7e]*[\x21-\x7e])?$/);
        assert.equal(decodeHeaderValue(`\t ${header} `), text);
      },
    ),
    { numRuns: 300 * SCALE, seed: SEED },
  );
});

test('a plain value stays as it is; what a field cannot carry or would be misread is wrapped', () => {
  assert.equal(encodeHeaderValue('postgres__query'), 'postgres__query');
  assert.equal(encodeHeaderValue('a b'), 'a b');
  assert.equal(encodeHeaderValue('é'), '=?base64?w6k=?=');
  assert.equal(encodeHeaderValue(''), '=?base64??=');
  assert.equal(encodeHeaderValue(' a'), '=?base64?IGE=?=');
  assert.equal(encodeHeaderValue('=?base64?YQ==?='), `=?base64?${Buffer.from('=?base64?YQ==?=').toString('base64')}?=`);
});

test('marks with bad padding, alphabet, left-over bits or UTF-8 are malformed; without both marks the value is literal', () => {
  for (const payload of ['YQ', 'YQ=', 'Y Q=', 'Y-__', 'YR==', '/w==', '====', 'YQ==YQ==']) {
    assert.equal(decodeHeaderValue(`=?base64?${payload}?=`), null, payload);
  }
  for (const literal of ['=?base64?YQ==', 'YQ==?=', '=?BASE64?YQ==?=', '=?base64?=', 'YQ==']) {
    assert.equal(decodeHeaderValue(literal), literal);
  }
});

test('a literal that is not ASCII is malformed: its bytes are another text to a reader of UTF-8', () => {
  for (const literal of ['é', 'Ã©', 'caf\u0080', '=?base64?é']) assert.equal(decodeHeaderValue(literal), null, literal);
});

const schema = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });
const region = { type: 'string', 'x-mcp-header': 'Region' };

test('declarations are found along chains of properties, at any depth', () => {
  assert.deepEqual(paramHeaders(schema({ region, opts: schema({ n: { type: 'integer', 'x-mcp-header': 'N' } }) })), [
    { header: 'Region', path: ['region'], type: 'string' },
    { header: 'N', path: ['opts', 'n'], type: 'integer' },
  ]);
  assert.deepEqual(paramHeaders(schema({ 'x-mcp-header': { type: 'string' } })), []);
  assert.deepEqual(paramHeaders(schema({ a: { const: { 'x-mcp-header': 'R' } } })), []);
  assert.deepEqual(paramHeaders(true), []);
});

test('a declaration out of place, twice, of another type or not a token makes the tool unusable', () => {
  const broken: object[] = [
    schema({ a: region, b: { type: 'string', 'x-mcp-header': 'REGION' } }),
    schema({ a: { type: 'number', 'x-mcp-header': 'R' } }),
    schema({ a: { type: ['string', 'null'], 'x-mcp-header': 'R' } }),
    schema({ a: { 'x-mcp-header': 'R' } }),
    schema({ a: { type: 'string', 'x-mcp-header': '' } }),
    schema({ a: { type: 'string', 'x-mcp-header': 'a b' } }),
    schema({ a: { type: 'string', 'x-mcp-header': 'a\r\nb' } }),
    schema({ a: { type: 'string', 'x-mcp-header': 7 } }),
    schema({}, { 'x-mcp-header': 'R' }),
    schema({ a: { type: 'array', items: region } }),
    schema({}, { anyOf: [schema({ region })] }),
    schema({}, { $defs: { region } }),
    schema({}, { unknownKeyword: { region } }),
  ];
  for (const one of broken) assert.equal(typeof paramHeaders(one), 'string', JSON.stringify(one));
});

test('null and absent arguments have no header, others their canonical text', () => {
  const n = { header: 'N', path: ['opts', 'n'], type: 'integer' } as const;
  assert.equal(paramHeaderValue(n, { opts: { n: 42 } }), '42');
  assert.equal(paramHeaderValue(n, { opts: { n: null } }), null);
  assert.equal(paramHeaderValue(n, { opts: {} }), null);
  assert.equal(paramHeaderValue(n, {}), null);
  assert.equal(paramHeaderValue(n, { opts: { n: 'x' } }), undefined);
  assert.equal(paramHeaderValue({ header: 'C', path: ['constructor'], type: 'string' }, {}), null);
  assert.ok(agrees(n, '42.0', '42'));
  assert.ok(!agrees(n, '0x2a', '42'));
  assert.ok(!agrees(n, '42.00000000000000000001', '42'));
  assert.ok(!agrees({ ...n, type: 'string' }, '42.0', '42'));
});

test('headers for an upstream are computed from its own name and from the arguments that are executed', () => {
  const message = {
    method: 'tools/call',
    name: 'pg__query',
    params: { arguments: { region: 'eu' } },
  } as unknown as Message;
  const target = { kind: 'tool', name: 'quêry', definition: { inputSchema: schema({ region }) } } as unknown as Target;
  assert.deepEqual(mirroredHeaders({ message, target, approved: null }), [
    'mcp-method',
    'tools/call',
    'mcp-name',
    encodeHeaderValue('quêry'),
    'mcp-param-region',
    'eu',
  ]);
  const approved = Buffer.from('{"region":" us"}');
  assert.equal(mirroredHeaders({ message, target, approved }).at(-1), '=?base64?IHVz?=');
  const read = { method: 'resources/read', name: 'file:///a b', params: {} } as unknown as Message;
  assert.deepEqual(
    mirroredHeaders({ message: read, target: { ...target, kind: 'resource' }, approved: null }).slice(2),
    ['mcp-name', 'file:///a b'],
  );
  const list = { method: 'tools/list', name: '', params: {} } as unknown as Message;
  assert.deepEqual(mirroredHeaders({ message: list, target: { ...target, kind: 'resource' }, approved: null }), [
    'mcp-method',
    'tools/list',
  ]);
});

test('a request about a task is named by the id the upstream knows, and repeats no arguments', () => {
  const message = { method: 'tasks/update', name: 'sealed', params: { taskId: 'sealed' } } as unknown as Message;
  const target = { kind: 'tool', name: 'query', definition: { inputSchema: schema({ region }) } } as unknown as Target;
  const sent = { message, target, approved: Buffer.from('{"region":"eu"}'), tasks: { id: 'ö' } };
  assert.deepEqual(mirroredHeaders(sent), ['mcp-method', 'tasks/update', 'mcp-name', encodeHeaderValue('ö')]);
});
