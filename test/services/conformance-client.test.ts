import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isBad, judge } from '../conformance/expected.ts';
import { conformancePackages } from '../conformance/packages.ts';
import { REVISIONS } from '../conformance/suite.ts';
import { clientTable, readExpectedClientFailures } from '../conformance-client/run.ts';
import { runClientSuite } from '../conformance-client/suite.ts';
import { skipped } from './install.ts';

/** The official suite plays servers and authorization servers; the client is our own connector to upstreams. */
const packages = conformancePackages();
const missing = packages.missing && skipped('@modelcontextprotocol/conformance', packages.missing);

describe('the suite’s client scenarios', { skip: missing ?? false }, () => {
  for (const revision of REVISIONS)
    test(`${revision}: every required scenario passes, and the ones that are not scored`, async () => {
      const judged = judge(await runClientSuite({ packages, revision }), readExpectedClientFailures(revision), true);
      assert.equal(isBad(judged), false, clientTable(revision, judged));
      const unscored = judged.verdicts.filter(({ unexpected }) => unexpected.length > 0);
      assert.deepEqual(
        unscored.map(({ scenario }) => scenario.name),
        [],
        clientTable(revision, judged),
      );
    });
});
