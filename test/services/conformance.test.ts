import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isBad, judge, readExpected } from '../conformance/expected.ts';
import { conformancePackages } from '../conformance/packages.ts';
import type { Broken, Scenario } from '../conformance/suite.ts';
import { rows } from '../conformance/table.ts';
import { runTopology, TOPOLOGIES } from '../conformance/topologies.ts';
import { skipped } from './install.ts';

const packages = conformancePackages();
const missing = packages.missing && skipped('the conformance suite', packages.missing);

const OVER = {
  modern: 'a modern server',
  legacy: 'a legacy server',
  both: 'a server of both eras',
  tasks: 'a server that answers with tasks',
} as const;

describe('the official conformance suite', { skip: missing ?? false }, () => {
  for (const topology of TOPOLOGIES) {
    const { name, revision, era, over } = topology;
    test(`${name}: every required scenario of ${revision} passes over ${OVER[era]} on ${over}, or is known not to`, async () => {
      const started = Date.now();
      const judged = judge(await runTopology(topology, { packages }), readExpected(name, revision), true);
      const said = rows(topology, judged, false, Date.now() - started);
      console.log(said);
      assert.equal(isBad(judged), false, said);
      // Scenarios of an extension never count; our own fixture of it must be right all the same.
      if (name === 'tasks-direct')
        assert.equal(
          judged.verdicts.some(({ unexpected }) => unexpected.length > 0),
          false,
          said,
        );
    });
  }
});

describe('what counts as a failure of a conformance run', () => {
  const broken: Broken = { id: 'check-1', status: 'FAILURE', why: 'as it happens' };
  const scenario = (over: Partial<Scenario>): Scenario => ({
    ...{ name: 'one', required: true, checks: 2, broken: [broken] },
    ...over,
  });
  const known = { one: { 'check-1': 'a reason that names the paragraph' } };

  test('a required scenario that nobody expected to fail', () => {
    assert.equal(isBad(judge([scenario({})], {}, true)), true);
    assert.equal(isBad(judge([scenario({ broken: [broken, { ...broken, id: 'check-2' }] })], known, true)), true);
  });

  test('a line that expects what does not happen, or a scenario that is not there', () => {
    assert.deepEqual(judge([scenario({ broken: [] })], known, true).stale, ['one: check-1']);
    assert.deepEqual(judge([], known, true).stale, ['one: no such scenario']);
    assert.deepEqual(judge([], known, false).stale, []);
    assert.equal(isBad(judge([scenario({ broken: [] })], known, true)), true);
  });

  test('not a known failure, and not a scenario that is only reported', () => {
    assert.equal(isBad(judge([scenario({})], known, true)), false);
    assert.equal(isBad(judge([scenario({ required: false })], {}, true)), false);
  });
});
