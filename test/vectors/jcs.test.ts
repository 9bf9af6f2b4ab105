import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { canonicalJson } from '../../src/core/crypto/jcs.ts';

const folder = process.env['GATEWRIT_VECTORS'] ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url));
const file = `${folder}/jcs.json`;
const missing = !existsSync(file);
if (missing) console.error(`*** SKIPPED: ${file} is not there; set GATEWRIT_VECTORS to run the JCS vectors ***`);

test('every third-party JCS document comes out byte for byte', { skip: missing }, () => {
  const vectors = JSON.parse(readFileSync(file, 'utf8')) as Record<string, { input: string; output: string }>;
  assert.equal(Object.keys(vectors).length, 6);
  for (const [name, { input, output }] of Object.entries(vectors)) {
    const canonical = canonicalJson(JSON.parse(Buffer.from(input, 'base64').toString('utf8')));
    assert.equal(Buffer.from(canonical).toString('base64'), output, name);
  }
});
