import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import type { CallWith, ErrorMode, Result, Slots, TargetKind } from '../../core/call.ts';
import { readSection } from '../../core/settings.ts';
import { DIAGNOSTIC_RULES, diagnosticsIn } from './diagnostics.ts';
import { openErrors } from './index.ts';
import { maySayIsError } from './is-error.ts';
import { errorsSettings } from './settings.ts';

const corpus = (name: string) =>
  parse(readFileSync(new URL(`../../../test/attacks/errors/${name}.yaml`, import.meta.url), 'utf8')) as unknown;
const more = (name: string) =>
  Object.entries(
    parse(readFileSync(new URL(`../../../test/errors/${name}.yaml`, import.meta.url), 'utf8')) as Record<
      string,
      string[]
    >,
  ).flatMap(([group, texts]) => texts.map((text) => ({ name: group, text })));
const failures = (corpus('failures') as { name: string; text: string }[])
  .map(({ name, text }) => ({ name, text: text === 'REPEAT' ? 'the row was not written; '.repeat(2_000) : text }))
  .concat(more('failures'));
const ordinary = (corpus('ordinary') as string[]).concat(more('ordinary').map(({ text }) => text));

const ID = '01935f4e-8a00-7000-8000-000000000017';
const GENERIC = `TOOL_EXECUTION_ERROR: The tool failed. Its operator has the details; quote correlation id ${ID}.`;

function resultOf(kind: Result['kind'], value: unknown): Result {
  const bytes = Buffer.from(JSON.stringify(value));
  return { kind, bytes, view: () => JSON.parse(bytes.toString()), diagnostics: null };
}

function run(result: Result, options: { kind?: TargetKind; mode?: ErrorMode; settings?: object } = {}): Result {
  const { stage } = openErrors({ settings: readSection('errors', errorsSettings, options.settings) });
  const target = { kind: options.kind ?? 'tool', errors: options.mode ?? 'scrub' };
  return stage.run({ id: ID, target, result } as unknown as CallWith<'message' | 'target' | 'result'>, {
    utc: 0,
    mono: 0,
  }) as Slots['scrubbed'];
}

const outside = (result: Result) => JSON.parse(Buffer.from(result.bytes).toString());
const failed = (text: string, more: object = {}) =>
  resultOf('result', { content: [{ type: 'text', text }], isError: true, ...more });

test(`${failures.length} failures of real systems: not one diagnostic byte outside, in either form, and all of it inside`, () => {
  assert.ok(failures.length >= 200);
  for (const { name, text } of failures) {
    const asResult = failed(text);
    const scrubbed = run(asResult);
    assert.deepEqual(outside(scrubbed).content, [{ type: 'text', text: GENERIC }], `${name}, as a result`);
    assert.equal(outside(scrubbed).isError, true);
    assert.equal(scrubbed.diagnostics, asResult.bytes, name);

    const asError = resultOf('error', { code: -32603, message: text, data: { stack: text } });
    const converted = run(asError);
    assert.equal(converted.kind, 'result');
    assert.deepEqual(outside(converted).content, [{ type: 'text', text: GENERIC }], `${name}, as an error`);
    assert.equal(converted.diagnostics, asError.bytes, name);

    const resource = outside(run(asError, { kind: 'resource' }));
    assert.deepEqual(Object.keys(resource), ['code', 'message', 'data']);
    assert.deepEqual(resource.data, { code: 'TOOL_EXECUTION_ERROR', correlationId: ID }, name);
    assert.match(resource.message, /^The server could not answer\./, `${name}, of a resource`);

    // In a place where only programs look, beside a text that says nothing.
    for (const beside of [
      { structuredContent: { cause: text } },
      { structuredContent: { [text]: [1] } },
      { _meta: { cause: text } },
    ]) {
      const quiet = run(failed('It did not work.', beside));
      assert.deepEqual(Object.keys(outside(quiet)), ['resultType', 'content', 'isError', '_meta'], name);
      assert.deepEqual(
        outside(quiet).content.map((item: { text: string }) => item.text),
        ['It did not work.', GENERIC],
      );
      assert.deepEqual(outside(quiet)._meta, { 'gatewrit/code': 'TOOL_EXECUTION_ERROR', 'gatewrit/correlationId': ID });
    }
  }
});

test(`${ordinary.length} ordinary errors: the model reads them as the tool wrote them`, () => {
  assert.ok(ordinary.length >= 100);
  for (const text of ordinary) {
    assert.equal(diagnosticsIn(text), null, text);
    const result = failed(text, { structuredContent: { reason: text, count: 3 } });
    assert.equal(run(result), result, text);
    const told = outside(run(resultOf('error', { code: -32602, message: text })));
    assert.equal(told.content[0].text, `TOOL_EXECUTION_ERROR: ${text} (correlation id ${ID})`);
    assert.equal(outside(run(resultOf('error', { code: -32602, message: text }), { kind: 'prompt' })).message, text);
  }
});

test('every rule is needed by at least one failure or refuses its own example, and none runs without its literal', () => {
  const kinds = new Set(failures.map(({ text }) => diagnosticsIn(text)));
  for (const { kind, literals } of DIAGNOSTIC_RULES) {
    assert.ok(kinds.has(kind), `no failure shows rule "${kind}"`);
    for (const literal of literals) assert.equal(literal, literal.toLowerCase());
  }
});

test('a prefilter never hides what its rule would find', () => {
  for (const { name, text } of failures) {
    for (const { kind, literals, pattern } of DIAGNOSTIC_RULES) {
      if (!pattern.test(text)) continue;
      assert.ok(
        literals.some((literal) => text.toLowerCase().includes(literal)),
        `${name}: ${kind}`,
      );
    }
  }
});

test('diagnostics are found wherever they stand in a failed result', () => {
  const dirty = 'connect ECONNREFUSED 10.0.0.1:5432';
  for (const more of [
    { structuredContent: { a: [{ b: dirty }] } },
    { structuredContent: { [dirty]: 1 } },
    { structuredContent: { stack: 'one two' } },
    { _meta: { x: dirty } },
    { content: [{ type: 'resource', resource: { uri: 'a:b', text: dirty } }] },
  ]) {
    const scrubbed = run(failed('order 17 not found', more));
    assert.ok(!Buffer.from(scrubbed.bytes).includes('ECONN') && !Buffer.from(scrubbed.bytes).includes('one two'));
    assert.ok(scrubbed.diagnostics);
  }
});

test('text beside diagnostics that carries none is kept', () => {
  const scrubbed = run(
    resultOf('result', {
      content: [
        { type: 'text', text: 'order 17 not found' },
        { type: 'text', text: 'at run (/srv/x.js:1:2)' },
        { type: 'image', data: 'AAAA', mimeType: 'image/png' },
      ],
      isError: true,
    }),
  );
  assert.deepEqual(
    outside(scrubbed).content.map((item: { text: string }) => item.text),
    ['order 17 not found', GENERIC],
  );
});

test('what did not fail goes on as the same object, unread', () => {
  const unreadable = (json: string): Result => ({
    kind: 'result',
    bytes: Buffer.from(json),
    view: () => assert.fail('was parsed'),
    diagnostics: null,
  });
  for (const json of [
    '{"content":[{"type":"text","text":"at run (/srv/x.js:1:2)"}]}',
    '{"content":[],"isError":false}',
    '{"content":[],"isError" : \n false}',
    '{"content":[{"type":"text","text":"say \\"isError\\": true"}]}',
    '{"content":["isError"]}',
  ]) {
    const result = unreadable(json);
    assert.equal(run(result), result, json);
  }
  const contents = resultOf('result', { contents: [{ uri: 'x', text: '/etc/passwd' }], isError: true });
  assert.equal(run(contents, { kind: 'resource' }), contents, 'isError means nothing outside tools');
});

test('no spelling of a failure passes as a success', () => {
  for (const json of [
    '{"isError":true}',
    '{"isError" \t:\r\n true}',
    '{"is\\u0045rror":true}',
    '{"isError":false,"isError":true}',
    '{"isError":1}',
    '{"isError":"true"}',
  ]) {
    assert.ok(maySayIsError(Buffer.from(json)), json);
  }
  for (const value of [true, 1, 'true', {}]) {
    const scrubbed = run(resultOf('result', { content: [{ type: 'text', text: '/etc/shadow' }], isError: value }));
    assert.equal(outside(scrubbed).content[0].text, GENERIC);
  }
});

test('the look at bytes agrees with a parser on every generated result', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.constant(undefined), fc.boolean(), fc.string()),
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom(undefined, 1, 2),
      (isError, more, indent) => {
        const json = JSON.stringify(
          { more, ...(isError === undefined ? {} : { isError }), text: '"isError": true' },
          null,
          indent,
        );
        const says = JSON.parse(json).isError;
        if (says !== undefined && says !== false) assert.ok(maySayIsError(Buffer.from(json)));
      },
    ),
    { numRuns: 300 * Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1) },
  );
});

test('the modes: generic tells nothing, verbatim everything, and an operator can switch verbatim off', () => {
  const clean = failed('order 17 not found');
  const dirty = failed('panic: /srv/x.go:1');
  assert.equal(outside(run(clean, { mode: 'generic' })).content[0].text, GENERIC);
  assert.equal(run(dirty, { mode: 'verbatim' }), dirty);
  assert.equal(outside(run(dirty, { mode: 'verbatim', settings: { allowVerbatim: false } })).content[0].text, GENERIC);
  const error = resultOf('error', { code: -32603, message: 'panic: x.go:1' });
  assert.equal(
    outside(run(error, { mode: 'verbatim' })).content[0].text,
    `TOOL_EXECUTION_ERROR: panic: x.go:1 (correlation id ${ID})`,
  );
  assert.equal(
    outside(run(resultOf('error', { code: 1, message: 'order 17' }), { mode: 'generic' })).content[0].text,
    GENERIC,
  );
});

test("an upstream's quarrel with us is never told as the caller's fault", () => {
  const codeFor = (code: unknown) =>
    outside(run(resultOf('error', { code, message: 'x' }), { kind: 'resource', mode: 'verbatim' })).code;
  for (const code of [
    -32020,
    -32021,
    -32022,
    -32001,
    -32042,
    -32000,
    -32700,
    -32600,
    -32601,
    -32603,
    -32768,
    1.5,
    '1',
    null,
    undefined,
  ]) {
    assert.equal(codeFor(code), -32603, String(code));
  }
  assert.equal(codeFor(-32602), -32602);
  assert.equal(codeFor(-32002), -32602);
  assert.equal(codeFor(4711), 4711);
});

test('a missing resource keeps its URI, and nothing else of the data', () => {
  const error = (data: object) => resultOf('error', { code: -32002, message: 'Resource not found', data });
  assert.deepEqual(outside(run(error({ uri: 'notes://a', stack: 'x' }), { kind: 'resource' })).data, {
    code: 'TOOL_EXECUTION_ERROR',
    correlationId: ID,
    uri: 'notes://a',
  });
  assert.equal(outside(run(error({ uri: 'file:///etc/passwd' }), { kind: 'resource' })).data.uri, undefined);
});

test('shapes nobody agreed on end as the generic sentence; a long message is cut', () => {
  for (const value of [null, 'text', [], {}, { message: 5 }, { message: '' }, { message: ' ' }]) {
    assert.equal(outside(run(resultOf('error', value))).content[0].text, GENERIC);
  }
  const long = outside(run(resultOf('error', { code: 1, message: 'order not found '.repeat(500) }))).content[0].text;
  assert.ok(long.length < 2_100 && long.includes('…'));
  // Between words, since half of an address or a token would not be known for one; and never within a character.
  const cut = (message: string) => outside(run(resultOf('error', { code: 1, message }))).content[0].text as string;
  assert.ok(!cut(`${'order '.repeat(332)}carol@example.com is not known`).includes('carol'));
  assert.ok(cut(`a${'😀'.repeat(2_000)}`).isWellFormed());
  assert.equal(outside(run(resultOf('result', { isError: true, content: 'C:\\Windows\\x' }))).content.length, 1);
});

test('no text makes the judgement slow', () => {
  const seeds = [
    'a',
    '.',
    'a.',
    '/',
    '/a',
    '/usr',
    'at ',
    'at a.',
    '::',
    '1.',
    '0x',
    'a-',
    '\\',
    '%2',
    'SELECT ',
    'host=a ',
    '://',
    'x@',
    '(',
    ' ',
    '"',
    'A_',
    'File "',
    'table `',
    'a:',
    '&lt',
    '\\u00',
    'redis ',
    '2026-11-22 ',
    'http://a',
    'column ',
  ];
  for (const seed of seeds) {
    const text = seed.repeat(Math.floor(16_384 / seed.length));
    const started = performance.now();
    diagnosticsIn(text);
    const ms = performance.now() - started;
    assert.ok(ms < 150, `${JSON.stringify(seed)}: ${ms} ms`);
  }
});

const SENT = { taskId: 't', status: 'failed', ttlMs: 1 };
const dirty = 'connect ECONNREFUSED 10.0.0.7:5432';
function runTask(state: object, mode: ErrorMode = 'scrub'): Record<string, Record<string, unknown>> {
  const told = run({ ...resultOf('result', { ...SENT, ...state }), task: true }, { mode });
  assert.equal(told.task, true);
  return outside(told);
}

test('a task that failed, or whose result did, is told as the call would be without a task', () => {
  const failed = runTask({ error: { code: -32001, message: dirty, data: { stack: dirty } }, statusMessage: dirty });
  assert.deepEqual(Object.keys(failed), ['taskId', 'status', 'ttlMs', 'error']);
  assert.equal(failed['error']?.['code'], -32603);
  assert.match(String(failed['error']?.['message']), /quote correlation id/);
  const content = [
    { type: 'text', text: dirty },
    { type: 'text', text: 'order 17 not found' },
  ];
  const ended = runTask({ status: 'completed', result: { content, isError: true } });
  assert.equal(ended['result']?.['isError'], true);
  assert.ok(!JSON.stringify(ended).includes('ECONN') && JSON.stringify(ended).includes('order 17'));
  const generic = runTask(
    { status: 'completed', statusMessage: 'broken', result: { content, isError: 'yes' } },
    'generic',
  );
  assert.ok(!JSON.stringify(generic).includes('order 17') && generic['statusMessage'] === undefined);
});

test('a task that did not fail goes on as it is, and so does every one where all may be told', () => {
  const fine = {
    ...resultOf('result', { ...SENT, status: 'completed', result: { content: [dirty] } }),
    task: true,
  } as const;
  assert.equal(run(fine), fine);
  const failed = { ...resultOf('result', { ...SENT, error: { code: 1, message: dirty } }), task: true } as const;
  assert.equal(run(failed, { mode: 'verbatim' }), failed);
});
