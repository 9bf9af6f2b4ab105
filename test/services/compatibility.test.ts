import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { compare, type Seen } from '../compatibility/compare.ts';
import { type Row, runCompatibility } from '../compatibility/run.ts';
import { compatibilityPackages } from '../compatibility/servers.ts';
import { report, sums } from '../compatibility/table.ts';
import { skipped } from './install.ts';

/** Servers of other people behind a gateway with its defaults; docs/compatibility.md keeps what came of it. */
const packages = compatibilityPackages();
const missing = packages.missing && skipped('published MCP servers', packages.missing);
const MAX_FALSE = 0.001;
/** Answers only as a task of revision 2025-11-25: no gateway of the current one can relay it. */
const UNLISTED = new Map([['everything', 1]]);

describe('published servers behind a gateway', { skip: missing ?? false }, () => {
  let rows: readonly Row[] = [];
  before(async () => {
    rows = await runCompatibility(packages.folder);
    console.log(report(rows));
  });

  test('at least fifteen are registered, and list what they list without it', () => {
    assert.ok(sums(rows).servers >= 15);
    for (const { server, registered, tools } of rows) {
      assert.equal(registered.left, null, server.name);
      assert.equal(tools.through, tools.direct - (UNLISTED.get(server.name) ?? 0), server.name);
    }
  });

  test('every call of the list is an ordinary one, that goes directly as the list says', () => {
    for (const { server, outcomes, useless } of rows) {
      assert.deepEqual(useless, [], server.name);
      assert.ok(outcomes.length >= 10, server.name);
    }
  });

  test('at most one call in a thousand is refused or altered that should not be', () => {
    const { calls, refused, altered } = sums(rows);
    assert.ok(calls >= 1_000, `${calls} calls`);
    assert.ok((refused + altered) / calls <= MAX_FALSE, report(rows));
  });

  test('only errors are withheld, and only personal data that a list names is redacted', () => {
    for (const { server, outcomes } of rows) {
      for (const outcome of outcomes) {
        if (outcome.kind === 'withheld') assert.equal(outcome.call.fails, true, server.name);
        if (outcome.kind === 'redacted') assert.notDeepEqual(server.personal, [], server.name);
      }
    }
  });
});

describe('what counts against a gateway', () => {
  const call = { tool: 'read', arguments: {}, fails: false };
  const said = (text: string, more: object = {}): Seen => ({
    ...{ result: { content: [{ type: 'text', text }], ...more }, error: null },
  });
  const kind = (direct: Seen, through: Seen, personal: readonly string[] = []) =>
    compare(call, direct, through, { varies: [], personal }).kind;
  const EMAIL = '[EMAIL:WMLJDFM7XU6BH7KA]';

  test('one letter of an answer, not its clock', () => {
    assert.equal(kind(said('at 2026-01-01T10:00:00Z: 12'), said('at 2026-01-01T10:00:07Z: 12')), 'served');
    assert.equal(kind(said('part 4006381'), said('part 4006382')), 'altered');
  });

  test('a replaced value that the list does not name, even beside one that it does', () => {
    const before = said('robot@example.com, 4006381');
    assert.equal(kind(before, said(`${EMAIL}, 4006381`), ['robot@example.com']), 'redacted');
    assert.equal(kind(before, said(`${EMAIL}, 4006381`)), 'altered');
    assert.equal(kind(before, said(`${EMAIL}, [PHONE:WMLJDFM7XU6BH7KA]`), ['robot@example.com']), 'altered');
  });

  test('an error where directly there is none; an error that was one is withheld', () => {
    const refused = { isError: true, _meta: { 'gatewrit/code': 'TOOL_EXECUTION_ERROR' } };
    assert.equal(kind(said('fine'), said('failed', refused)), 'refused');
    assert.equal(kind(said('fine'), { result: null, error: 'not found' }), 'refused');
    assert.equal(kind(said('no such file', { isError: true }), said('failed', refused)), 'withheld');
    const invalid = { isError: true, _meta: { 'gatewrit/code': 'INVALID_ARGUMENTS' } };
    assert.equal(kind(said('no such file', { isError: true }), said('invalid', invalid)), 'refused');
  });
});
