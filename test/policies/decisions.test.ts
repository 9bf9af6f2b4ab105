import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import {
  type Authorization,
  authorizationSettings,
  differences,
  openAuthorization,
  readDecisionCases,
  rehearse,
  writeDefaultPolicy,
} from '../../src/controls/authorization/index.ts';

/**
 * Every folder here is a policy and the decisions it must come to: `policy/` (absent: the default quickstart policy)
 * and `decisions/*.yaml`. To add a case, add a document; nothing else has to be touched.
 */
const here = import.meta.dirname;
const temporary = mkdtempSync(join(tmpdir(), 'gatewrit-policies-'));
after(() => rmSync(temporary, { recursive: true }));

for (const entry of readdirSync(here, { withFileTypes: true }).filter((found) => found.isDirectory())) {
  const folder = join(here, entry.name);
  describe(`policy ${entry.name}`, async () => {
    const authorization = await open(folder);
    for (const file of readdirSync(join(folder, 'decisions')).sort()) {
      for (const one of readDecisionCases(file, readFileSync(join(folder, 'decisions', file), 'utf8'))) {
        test(one.description, async () => {
          const cold = await rehearse(authorization, one);
          assert.deepEqual(differences(one.expect, cold), [], cold.evidence ?? cold.verdict);
          assert.deepEqual(await rehearse(authorization, one), cold, 'the remembered answer is the same');
        });
      }
    }
  });
}

async function open(folder: string): Promise<Authorization> {
  let policy = join(folder, 'policy');
  if (!readdirSync(folder).includes('policy')) {
    policy = join(temporary, 'default');
    await writeDefaultPolicy(policy, { quickstart: true });
  }
  const now = () => ({ utc: 0, mono: 0 });
  return openAuthorization({ settings: authorizationSettings.parse({}), folder: policy, now });
}
