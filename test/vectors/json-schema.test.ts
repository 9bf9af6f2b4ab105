import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SchemaCompiler } from '../../src/controls/validation/schema.ts';

const folder = process.env['GATEWRIT_VECTORS'] ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url));
const suite = `${folder}/json-schema-2020-12`;
const missing = !existsSync(suite);
if (missing)
  console.error(`*** SKIPPED: ${suite} is not there; set GATEWRIT_VECTORS to run the JSON Schema vectors ***`);

interface Group {
  readonly description: string;
  readonly schema: unknown;
  readonly tests: readonly { readonly description: string; readonly data: unknown; readonly valid: boolean }[];
}

for (const formats of ['assert', 'annotate'] as const) {
  test(`no invalid instance of the JSON Schema suite is accepted (formats: ${formats})`, {
    skip: missing,
  }, (context) => {
    const compiler = new SchemaCompiler({ formats });
    const declined = new Map<string, number>();
    let judged = 0;
    let refusedValid = 0;
    let declinedCases = 0;
    for (const file of readdirSync(suite).sort()) {
      for (const group of JSON.parse(readFileSync(`${suite}/${file}`, 'utf8')) as Group[]) {
        const compiled = compiler.compile(group.schema);
        if (typeof compiled === 'string') {
          declined.set(compiled, (declined.get(compiled) ?? 0) + 1);
          declinedCases += group.tests.length;
          continue;
        }
        for (const { description, data, valid } of group.tests) {
          const accepted: boolean = compiled.violation(data) === null;
          const place = `${file}: ${group.description}: ${description}`;
          judged++;
          if (!valid) assert.equal(accepted, false, place);
          else if (!accepted) {
            refusedValid++;
            // Asserting formats is stricter than the required part of the suite, and nothing else is.
            assert.equal(formats === 'assert' && file === 'format.json', true, place);
          }
        }
      }
    }
    context.diagnostic(
      `${judged} judged, ${refusedValid} valid ones refused, ${declinedCases} in schemas declined at registration`,
    );
    for (const [reason, count] of [...declined].sort()) context.diagnostic(`declined ${count}: ${reason}`);
    assert.ok(judged > 2 * declinedCases, 'most of the suite must be judged, not declined');
  });
}
