import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openValidation, validationSettings } from '../../src/controls/validation/index.ts';
import type { CallWith } from '../../src/core/call.ts';
import { Refusal } from '../../src/core/stage.ts';
import { openEphemeralMemory } from '../../src/core/store/ephemeral-memory.ts';

const folder = process.env['GATEWRIT_VECTORS'] ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url));
const file = `${folder}/json-parsing.json`;
const missing = !existsSync(file);
if (missing)
  console.error(`*** SKIPPED: ${file} is not there; set GATEWRIT_VECTORS to run the JSON parsing vectors ***`);
const vectors = missing
  ? { accept: {}, reject: {} }
  : (JSON.parse(readFileSync(file, 'utf8')) as Record<'accept' | 'reject', Record<string, string>>);

const { stages } = openValidation({
  settings: validationSettings.parse({}),
  keys: [{ kid: 'k', secret: new Uint8Array(32) }],
  ephemeral: openEphemeralMemory(),
  since: 0,
});
const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'x' };
const HEAD = Buffer.from(
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},"arguments":{"value":',
);
const TAIL = Buffer.from('}}}');

/** `not JSON`: the parse errors; `strict`: what we refuse beyond the grammar; else what the stage said. */
function verdict(body: Uint8Array): string {
  const call = { way: 'http', body, head: { headers } } as unknown as CallWith<'endpoint' | 'principal' | 'body'>;
  const left = stages.message.run(call, { utc: 0, mono: 0 });
  if (!(left instanceof Refusal)) return 'taken';
  if (left.code === 'validation.json' || left.code === 'validation.encoding') return 'not JSON';
  if (left.code === 'validation.duplicate_key' || left.code === 'validation.bounds') return 'strict';
  return left.code;
}

const within = (value: Uint8Array) => Buffer.concat([HEAD, value, TAIL]);

test('what the corpus rejects is a parse error, as a body and as an argument', { skip: missing }, (context) => {
  const entries = Object.entries(vectors.reject);
  let bounded = 0;
  for (const [name, base64] of entries) {
    const bytes = Buffer.from(base64, 'base64');
    for (const body of [bytes, within(bytes)]) {
      const said = verdict(body);
      if (said === 'strict') bounded++;
      assert.ok(said === 'not JSON' || said === 'strict', `${name}: ${said}`);
    }
  }
  context.diagnostic(`${entries.length} rejected twice, ${bounded} of them by a bound before the fault`);
});

test('what the corpus accepts is no parse error, as a body and as an argument', { skip: missing }, (context) => {
  const entries = Object.entries(vectors.accept);
  const strict: string[] = [];
  for (const [name, base64] of entries) {
    const bytes = Buffer.from(base64, 'base64');
    assert.notEqual(verdict(bytes), 'not JSON', name);
    const said = verdict(within(bytes));
    if (said === 'strict') strict.push(name);
    else assert.equal(said, 'taken', name);
  }
  assert.deepEqual(
    strict.filter((name) => !name.includes('duplicated_key')),
    [],
    'only repeated names may be refused beyond the grammar',
  );
  context.diagnostic(`${entries.length} accepted, ${strict.length} refused for repeated names: ${strict.join(', ')}`);
});
