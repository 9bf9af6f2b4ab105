import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EFFECTS } from '../../core/call.ts';
import { propose } from './draft-proposal.ts';
import { DEFAULT_LIMITS } from './manifest.ts';

const scale = Number(process.env['GATEWRIT_TEST_SCALE'] ?? 1);
const closed = { type: 'object', additionalProperties: false };

test('a tool writes until a person says that it only reads, whatever it says of itself', () => {
  for (const annotations of [undefined, {}, { readOnlyHint: true }, { destructiveHint: false, readOnlyHint: true }]) {
    const { effect, scopes } = propose('notes', 'tool', { name: 'list_notes', annotations });
    assert.deepEqual([effect, scopes], ['write', ['notes:write']]);
  }
});

test('a name, a description or a hint raises it to destructive, and the reason is said', () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ name: 'deleteNote' }, /name says "delete"/],
    [{ name: 'note-REMOVE' }, /name says "remove"/],
    [{ name: 'ｄｅｌｅｔｅ_note' }, /name says "delete"/],
    [{ name: 'tidy', title: 'Purge notes' }, /name says "purge"/],
    [{ name: 'tidy', description: 'Permanently cleans up.' }, /description says "permanently"/],
    [{ name: 'tidy', annotations: { destructiveHint: true } }, /says of itself/],
    [{ name: 'delete', annotations: { destructiveHint: false, readOnlyHint: true } }, /name says "delete"/],
  ];
  for (const [definition, why] of cases) {
    const { effect, scopes, reasons, limits } = propose('notes', 'tool', definition);
    assert.deepEqual([effect, scopes], ['destructive', ['notes:destructive']], JSON.stringify(definition));
    assert.match(reasons.join('; '), why);
    assert.ok((limits.cost ?? 0) > DEFAULT_LIMITS.cost && (limits.maxConcurrent ?? 99) < DEFAULT_LIMITS.maxConcurrent);
  }
  assert.equal(propose('notes', 'tool', { name: 'undeleted_notes' }).effect, 'write', 'whole words only');
});

test('no hint and no word lowers what is proposed', () => {
  const word = fc.constantFrom('list', 'get', 'delete', 'send', 'note', 'drop', 'read', 'only', 'safe');
  const hint = fc.option(fc.boolean(), { nil: undefined });
  const property = fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), hint, hint, (words, reads, destroys) => {
    const rank = (definition: object) =>
      EFFECTS.indexOf(propose('notes', 'tool', definition as Record<string, unknown>).effect);
    const bare = { name: words.join('_') };
    const claims = { ...bare, annotations: { readOnlyHint: reads, destructiveHint: destroys } };
    return rank(claims) >= rank(bare) && rank({ ...bare, description: 'Safe, read-only.' }) >= rank(bare);
  });
  fc.assert(property, { numRuns: 200 * scale });
});

test('arguments are capped where the schema sets an end to them, and never above what every item has', () => {
  const capOf = (inputSchema: object) => propose('notes', 'tool', { name: 'n', inputSchema }).limits.maxArgumentBytes;
  assert.equal(capOf({ ...closed, properties: { id: { type: 'string', maxLength: 10 } } }), 1024, 'the least cap');
  const text = { ...closed, properties: { text: { type: 'string', maxLength: 1000 }, n: { type: 'integer' } } };
  const cap = capOf(text)!;
  assert.ok(
    cap >= JSON.stringify({ text: '😀'.repeat(1000), n: 1 }).length * 2 && cap < DEFAULT_LIMITS.maxArgumentBytes,
  );
  for (const open of [
    { type: 'object', properties: { id: { type: 'string', maxLength: 10 } } },
    { ...closed, properties: { id: { type: 'string' } } },
    { ...closed, properties: { id: { $ref: '#/$defs/id' } } },
    { ...closed, properties: { id: { type: 'string', maxLength: 1_000_000 } } },
    { ...closed, properties: { ids: { type: 'array', items: { type: 'integer' } } } },
  ])
    assert.equal(capOf(open), undefined, JSON.stringify(open));
});

test('prompts, resources and templates only read', () => {
  for (const kind of ['prompt', 'resource', 'template'] as const)
    assert.deepEqual(propose('notes', kind, { name: 'delete' }).scopes, ['notes:read']);
});
