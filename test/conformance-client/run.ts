import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { type Expected, isBad, type Judged, judge } from '../conformance/expected.ts';
import { conformancePackages } from '../conformance/packages.ts';
import { REVISIONS, type Revision } from '../conformance/suite.ts';
import { runClientSuite } from './suite.ts';

const usage = `usage: node test/conformance-client/run.ts [--requirements R] [--scenario S] [--json]

Runs the client scenarios of @modelcontextprotocol/conformance against this gateway's connector to upstreams.

  --requirements R  only this revision: ${REVISIONS.join(', ')}
  --scenario S      only this one
  --json            machine-readable answer on stdout

Example: node test/conformance-client/run.ts --requirements 2026-07-28 --scenario auth/metadata-default
`;

/** Failures we know of: scenario → check → why it cannot be otherwise. @throws when a line gives no reason */
export function readExpectedClientFailures(revision: Revision): Expected {
  const file = join(import.meta.dirname, 'expected-failures', `${revision}.yaml`);
  if (!existsSync(file)) return {};
  const expected = (parse(readFileSync(file, 'utf8')) ?? {}) as Expected;
  for (const [scenario, checks] of Object.entries(expected))
    for (const [check, reason] of Object.entries(checks ?? {}))
      if (typeof reason !== 'string' || reason.length < 20)
        throw new Error(`${file}: ${scenario}: ${check} gives no reason`);
  return expected;
}

/** A sentence for each scenario. */
export function clientTable(revision: Revision, { verdicts, stale }: Judged): string {
  const lines = verdicts.flatMap(({ scenario, unexpected, expected }) => {
    const word = unexpected.length > 0 ? 'FAIL ' : expected.length > 0 ? 'known' : 'pass ';
    const kind = scenario.required ? '' : ' (not scored)';
    return [
      `${word} ${scenario.name}${kind}, ${scenario.checks} checks`,
      ...unexpected.map(({ id, status, why }) => `      ${status} ${id}: ${why.slice(0, 300)}`),
      ...expected.map(({ id, reason }) => `      ${id}: ${reason}`),
    ];
  });
  const good = (required: boolean) => {
    const some = verdicts.filter(({ scenario }) => scenario.required === required);
    const passed = some.filter(({ scenario }) => scenario.broken.length === 0).length;
    return `${passed} of ${some.length}`;
  };
  const sum = `${revision}: ${good(true)} required pass, ${good(false)} not scored, ${stale.length} stale`;
  return `\n${[...lines, ...stale.map((line) => `STALE ${line} is expected to fail and does not`), sum].join('\n')}\n`;
}

if (process.argv[1] === import.meta.filename) process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      requirements: { type: 'string' },
      scenario: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const revisions = REVISIONS.filter((revision) => (values.requirements ?? revision) === revision);
  if (values.help || revisions.length === 0) {
    process.stderr.write(usage);
    return values.help ? 0 : 2;
  }
  const packages = conformancePackages();
  if (packages.missing !== null) {
    process.stderr.write(`\n!!! the conformance suite is not to be had, NOTHING was run: ${packages.missing}\n\n`);
    return 3;
  }
  const all: { revision: Revision; judged: Judged }[] = [];
  for (const revision of revisions) {
    const scenarios = await runClientSuite({ packages, revision, scenario: values.scenario });
    const judged = judge(scenarios, readExpectedClientFailures(revision), values.scenario === undefined);
    all.push({ revision, judged });
    if (!values.json) process.stdout.write(clientTable(revision, judged));
  }
  if (values.json) process.stdout.write(`${JSON.stringify(all)}\n`);
  return all.some(({ judged }) => isBad(judged)) ? 1 : 0;
}
