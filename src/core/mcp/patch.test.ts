import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { json, jsonObject, plainText, SCALE, SEED } from '../../../test/vectors/generated-json.ts';
import type { Span } from '../call.ts';
import { type Edit, objectEdits, patch } from './patch.ts';
import { scanDocument } from './scanner.ts';
import { treeOf } from './tree.ts';

const runs = { numRuns: 300 * SCALE, seed: SEED };

function membersOf(bytes: Uint8Array): ReadonlyMap<string, Span> {
  const scanned = scanDocument(bytes);
  assert.ok(typeof scanned === 'object' && scanned.members, `scanner refused generated text: ${String(scanned)}`);
  return scanned.members;
}

test('parse(patched) = edit(parse(original)) for replaced, removed and inserted members', () => {
  fc.assert(
    fc.property(
      jsonObject,
      fc.array(fc.constantFrom('keep', 'keep', 'replace', 'remove'), { minLength: 5, maxLength: 5 }),
      json,
      fc.uniqueArray(plainText, { maxLength: 2 }),
      (document, acts, replacement, names) => {
        const bytes = Buffer.from(` ${document.text}\n`);
        const value = treeOf(replacement.text);
        const expected = new Map(Object.entries(treeOf(document.text) as object));
        const edits: Edit[] = [];
        const remove: Span[] = [];
        [...membersOf(bytes)].forEach(([name, span], index) => {
          if (acts[index] === 'replace') {
            edits.push({ span, replacement: Buffer.from(replacement.text) });
            expected.set(name, value);
          } else if (acts[index] === 'remove') {
            remove.push(span);
            expected.delete(name);
          }
        });
        const insert = names
          .filter((name) => !expected.has(name))
          .map((name) => ({ name, value: Buffer.from(replacement.text) }));
        for (const member of insert) expected.set(member.name, value);
        const scanned = scanDocument(bytes);
        assert.ok(typeof scanned === 'object');
        const patched = patch(bytes, [...edits, ...objectEdits(bytes, scanned.value, { remove, insert })]);
        assert.deepEqual(new Map(Object.entries(treeOf(Buffer.from(patched).toString()) as object)), expected);
        assert.equal(typeof scanDocument(patched), 'object');
      },
    ),
    runs,
  );
});

test('every byte outside the edited spans is passed on untouched', () => {
  fc.assert(
    fc.property(jsonObject, fc.nat(), json, (document, pick, replacement) => {
      const bytes = Buffer.from(document.text);
      const spans = [...membersOf(bytes).values()];
      fc.pre(spans.length > 0);
      const span = spans[pick % spans.length]!;
      const patched = Buffer.from(patch(bytes, [{ span, replacement: Buffer.from(replacement.text) }]));
      const tail = bytes.length - span.end;
      assert.deepEqual(patched.subarray(0, span.start), bytes.subarray(0, span.start));
      assert.deepEqual(patched.subarray(patched.length - tail), bytes.subarray(span.end));
      assert.equal(patched.length, bytes.length - (span.end - span.start) + Buffer.byteLength(replacement.text));
    }),
    runs,
  );
});

test('without edits the very same bytes come back', () => {
  const bytes = Buffer.from('{"a":1}');
  assert.equal(patch(bytes, []), bytes);
});

test('overlapping edits are a fault of ours and throw', () => {
  const bytes = Buffer.from('{"a":1}');
  const replacement = Buffer.from('2');
  assert.throws(
    () =>
      patch(bytes, [
        { span: { start: 1, end: 5 }, replacement },
        { span: { start: 4, end: 6 }, replacement },
      ]),
    { code: 'mcp.patch_overlap' },
  );
  assert.throws(() => patch(bytes, [{ span: { start: 5, end: 99 }, replacement }]), { code: 'mcp.patch_overlap' });
});
