import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Broken, Scenario } from './suite.ts';

/**
 * Failures we know of, one file per topology and revision: scenario → check → the reason, which names the paragraph that
 * says why it cannot be. Nothing is expected of a topology without a file.
 */
export type Expected = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface Verdict {
  readonly scenario: Scenario;
  readonly unexpected: readonly Broken[];
  readonly expected: readonly (Broken & { readonly reason: string })[];
}

export interface Judged {
  readonly verdicts: readonly Verdict[];
  /** `scenario: check` of lines that expect what does not happen (any more). */
  readonly stale: readonly string[];
}

/** @throws when a line gives no reason */
export function readExpected(topology: string, revision: string): Expected {
  const file = join(import.meta.dirname, 'expected-failures', `${topology}-${revision}.yaml`);
  if (!existsSync(file)) return {};
  const expected = (parse(readFileSync(file, 'utf8')) ?? {}) as Expected;
  for (const [scenario, checks] of Object.entries(expected))
    for (const [check, reason] of Object.entries(checks ?? {}))
      if (typeof reason !== 'string' || reason.length < 20)
        throw new Error(`${file}: ${scenario}: ${check} gives no reason`);
  return expected;
}

/** @param whole every scenario was run, so that an expected one that is not there is stale */
export function judge(scenarios: readonly Scenario[], expected: Expected, whole: boolean): Judged {
  const verdicts = scenarios.map((scenario) => {
    const known = expected[scenario.name] ?? {};
    return {
      scenario,
      unexpected: scenario.broken.filter(({ id }) => !Object.hasOwn(known, id)),
      expected: scenario.broken.flatMap((broken) =>
        Object.hasOwn(known, broken.id) ? [{ ...broken, reason: known[broken.id]! }] : [],
      ),
    };
  });
  const stale = Object.entries(expected).flatMap(([name, checks]) => {
    const run = scenarios.find((scenario) => scenario.name === name);
    if (!run) return whole ? [`${name}: no such scenario`] : [];
    return Object.keys(checks).flatMap((check) =>
      run.broken.some(({ id }) => id === check) ? [] : [`${name}: ${check}`],
    );
  });
  return { verdicts, stale };
}

/** What makes a run fail: a required scenario, or anything at all among the stale lines. */
export function isBad({ verdicts, stale }: Judged): boolean {
  return stale.length > 0 || verdicts.some(({ scenario, unexpected }) => scenario.required && unexpected.length > 0);
}
