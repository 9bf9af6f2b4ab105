import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { isBad, type Judged, judge, readExpected } from './expected.ts';
import { conformancePackages } from './packages.ts';
import { rows, table } from './table.ts';
import { runTopology, TOPOLOGIES } from './topologies.ts';

const usage = `usage: npm run test:conformance -- [options]

Runs the server scenarios of @modelcontextprotocol/conformance, directly against our fixtures and through a gateway.

  --topology T   only this one: ${[...new Set(TOPOLOGIES.map(({ name }) => name))].join(', ')}
  --revision R   only this one: 2026-07-28, 2025-11-25
  --scenario S   only this one
  --direct       the same as --topology direct
  --json         machine-readable answer on stdout
  --trace D      keep what passed between suite and gateway, and what the gateway wrote, in this folder

Example: npm run test:conformance -- --topology same-era --scenario server-stateless --trace out
`;

const { values } = parseArgs({
  options: {
    topology: { type: 'string' },
    revision: { type: 'string' },
    scenario: { type: 'string' },
    direct: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    trace: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
process.exitCode = await main();

async function main(): Promise<number> {
  const topology = values.direct ? 'direct' : values.topology;
  const chosen = TOPOLOGIES.filter(
    ({ name, revision }) => (topology ?? name) === name && (values.revision ?? revision) === revision,
  );
  if (values.help || chosen.length === 0) {
    process.stderr.write(usage);
    return values.help ? 0 : 2;
  }
  const packages = conformancePackages();
  if (packages.missing !== null) {
    process.stderr.write(`\n!!! the conformance suite is not to be had, NOTHING was run: ${packages.missing}\n\n`);
    return 3;
  }
  const all: { topology: string; revision: string; judged: Judged }[] = [];
  for (const each of chosen) {
    const started = Date.now();
    const scenarios = await runTopology(each, {
      packages,
      scenario: values.scenario,
      ...tracing(`${each.name}-${each.revision}`),
    });
    const judged = judge(scenarios, readExpected(each.name, each.revision), values.scenario === undefined);
    all.push({ topology: each.name, revision: each.revision, judged });
    if (!values.json) process.stdout.write(rows(each, judged, values.scenario !== undefined, Date.now() - started));
  }
  process.stdout.write(values.json ? `${JSON.stringify(all)}\n` : table(all));
  return all.some(({ judged }) => isBad(judged)) ? 1 : 0;
}

function tracing(name: string) {
  if (values.trace === undefined) return {};
  const folder = resolve(values.trace);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.exchanges`);
  rmSync(file, { force: true });
  return {
    onExchange: (line: string) => appendFileSync(file, `${line}\n\n`),
    onLog: (log: string) => writeFileSync(join(folder, `${name}.log`), log),
  };
}
