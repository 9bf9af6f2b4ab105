import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Packages } from '../conformance/packages.ts';
import { type Broken, conformance, type Revision, type Scenario } from '../conformance/suite.ts';
import { MUST_REFUSE } from './scenarios.ts';

const CLIENT = join(import.meta.dirname, 'client.ts');
const SCENARIO_MS = 20_000;

interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
  readonly description?: string;
}

/**
 * Runs the client scenarios of a revision: the suite plays the servers, our connector is the client.
 * @throws when the suite does not come to its end or leaves a scenario out
 */
export async function runClientSuite(of: {
  readonly packages: Packages;
  readonly revision: Revision;
  readonly scenario?: string | undefined;
}): Promise<readonly Scenario[]> {
  const out = mkdtempSync(join(tmpdir(), 'gatewrit-conformance-client-'));
  const which = of.scenario
    ? ['--scenario', of.scenario, '--spec-version', of.revision]
    : ['--requirements', of.revision];
  try {
    const said = await conformance(of.packages, [
      ...['client', '--command', `${process.execPath} ${CLIENT}`, ...which],
      ...['-o', out, '--timeout', String(SCENARIO_MS)],
    ]);
    const { required, all } = requirements(of.packages, of.revision);
    return (of.scenario ? [of.scenario] : all).map((name) => {
      const [folder] = globSync(`${name}-[0-9]*T*Z`, { cwd: out });
      if (folder === undefined) throw new Error(`the suite left ${name} out:\n${said}`);
      const read = (file: string) => readFileSync(join(out, folder, file), 'utf8');
      const checks = JSON.parse(read('checks.json')) as readonly Check[];
      const broken = [...brokenOf(checks), ...endOf(name, read('stdout.txt'))];
      return { name, required: required.has(name), checks: checks.length + 1, broken };
    });
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function requirements({ folder }: Packages, revision: Revision) {
  const file = join(folder, 'node_modules/@modelcontextprotocol/conformance/requirements', `${revision}.yaml`);
  const { client, not_scored } = parse(readFileSync(file, 'utf8')) as {
    readonly client: readonly string[];
    readonly not_scored: readonly { readonly scenario: string; readonly leg: string }[];
  };
  const others = not_scored.filter(({ leg }) => leg === 'client').map(({ scenario }) => scenario);
  return { required: new Set(client), all: [...client, ...others] };
}

function brokenOf(checks: readonly Check[]): readonly Broken[] {
  return checks.flatMap(({ id, status, errorMessage, description }) =>
    status === 'FAILURE' || status === 'WARNING' ? [{ id, status, why: errorMessage ?? description ?? '' }] : [],
  );
}

/** A check of our own: the client came to its end, and stopped where it had to and nowhere else. */
function endOf(name: string, stdout: string): readonly Broken[] {
  const broken = (why: string): readonly Broken[] => [{ id: 'gatewrit-ended', status: 'FAILURE', why }];
  const last = stdout.trim().split('\n').at(-1) ?? '';
  if (!last.startsWith('{"ended"')) return broken('the client did not come to its end');
  const { ended, why } = JSON.parse(last) as { ended: string; why?: readonly string[] };
  const must = MUST_REFUSE[name];
  if (must === undefined) return ended === 'good' ? [] : broken(`refused: ${why}`);
  return why?.some((one) => one.startsWith(must)) ? [] : broken(`it must refuse with ${must}, but: ${why ?? ended}`);
}
