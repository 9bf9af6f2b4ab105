import type { Judged, Verdict } from './expected.ts';
import type { Topology } from './topologies.ts';

/** What one run found, scenario by scenario where something is broken; `passed` too when a single one was asked for. */
export function rows(topology: Topology, { verdicts, stale }: Judged, passed: boolean, ms: number): string {
  const { name, revision, era, over } = topology;
  const lines = [`\n== ${name}, ${revision} over a ${era} fixture on ${over} (${(ms / 1000).toFixed(1)} s)`];
  for (const { scenario, unexpected, expected } of verdicts) {
    const kind = scenario.required ? '' : ' (not scored)';
    if (scenario.broken.length === 0 && passed) lines.push(`PASS ${scenario.name}${kind}, ${scenario.checks} checks`);
    if (scenario.skipped?.length) lines.push(`skipped ${scenario.name}${kind}: ${scenario.skipped.join(', ')}`);
    if (unexpected.length > 0) lines.push(`FAIL ${scenario.name}${kind}`);
    for (const { id, status, why } of unexpected) lines.push(`     ${status} ${id}: ${why.slice(0, 300)}`);
    if (expected.length > 0) lines.push(`known ${scenario.name}${kind}`);
    for (const { id, reason } of expected) lines.push(`     ${id}: ${reason}`);
  }
  for (const line of stale) lines.push(`STALE ${line} is expected to fail and does not`);
  return `${lines.join('\n')}\n`;
}

export function table(runs: readonly { topology: string; revision: string; judged: Judged }[]): string {
  const head = ['topology', 'revision', 'required', 'known', 'FAIL', 'not scored', 'known', 'fail', 'stale'];
  const body = runs.map(({ topology, revision, judged: { verdicts, stale } }) => [
    topology,
    revision,
    ...counts(verdicts.filter(({ scenario }) => scenario.required)),
    ...counts(verdicts.filter(({ scenario }) => !scenario.required)),
    String(stale.length),
  ]);
  const width = head.map((_, at) => Math.max(...[head, ...body].map((row) => row[at]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => cell.padEnd(width[at]!))
      .join('  ')
      .trimEnd();
  return `\n${[head, ...body].map(line).join('\n')}\n`;
}

/** Passed of all, those with nothing but known failures, those with others. */
function counts(verdicts: readonly Verdict[]): string[] {
  const failing = verdicts.filter(({ unexpected }) => unexpected.length > 0).length;
  const known = verdicts.filter(({ unexpected, expected }) => unexpected.length === 0 && expected.length > 0).length;
  return [`${verdicts.length - failing - known}/${verdicts.length}`, String(known), String(failing)];
}
