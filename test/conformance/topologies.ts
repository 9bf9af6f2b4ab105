import { type FixtureEra, HttpFixture, stdioFixture } from './fixture.ts';
import { ConformanceGateway } from './gateway.ts';
import type { Packages } from './packages.ts';
import { Relay } from './relay.ts';
import { type Revision, requirements, runSuite, type Scenario } from './suite.ts';

/** What stands between the suite and a fixture, and which of its revisions is asked for. */
export interface Topology {
  readonly name: string;
  readonly revision: Revision;
  readonly era: FixtureEra | 'tasks';
  readonly over: 'http' | 'stdio';
  /** Without a gateway: shows that the fixture itself is right. */
  readonly direct?: true;
}

export const TOPOLOGIES: readonly Topology[] = [
  { name: 'direct', revision: '2026-07-28', era: 'modern', over: 'http', direct: true },
  { name: 'direct', revision: '2025-11-25', era: 'legacy', over: 'http', direct: true },
  { name: 'same-era', revision: '2026-07-28', era: 'both', over: 'http' },
  { name: 'same-era', revision: '2025-11-25', era: 'legacy', over: 'http' },
  { name: 'cross-era', revision: '2026-07-28', era: 'legacy', over: 'http' },
  { name: 'cross-era', revision: '2025-11-25', era: 'modern', over: 'http' },
  { name: 'stdio-same-era', revision: '2026-07-28', era: 'modern', over: 'stdio' },
  { name: 'stdio-same-era', revision: '2025-11-25', era: 'legacy', over: 'stdio' },
  { name: 'stdio-cross-era', revision: '2026-07-28', era: 'legacy', over: 'stdio' },
  { name: 'stdio-cross-era', revision: '2025-11-25', era: 'modern', over: 'stdio' },
  { name: 'tasks-direct', revision: '2026-07-28', era: 'tasks', over: 'http', direct: true },
  { name: 'tasks', revision: '2026-07-28', era: 'tasks', over: 'http' },
];

export interface RunOptions {
  readonly packages: Packages;
  readonly scenario?: string | undefined;
  /** Takes one line per exchange between suite and gateway. */
  readonly onExchange?: ((line: string) => void) | undefined;
  /** Takes what the gateway wrote, at the end. */
  readonly onLog?: ((log: string) => void) | undefined;
}

export async function runTopology(topology: Topology, options: RunOptions): Promise<readonly Scenario[]> {
  const { revision, era, over, direct } = topology;
  const { packages } = options;
  const only = scenariosOf(topology, options);
  const fixture =
    era === 'tasks' ? await HttpFixture.startTasks() : over === 'http' ? await HttpFixture.start(era) : null;
  try {
    if (direct) {
      // The suite's check of Host wants a name of this machine: localhost, as everywhere else.
      const url = fixture!.url.replace('127.0.0.1', 'localhost');
      return await runSuite({ packages, revision, url, only });
    }
    const relay = await Relay.open();
    relay.onExchange = options.onExchange ?? null;
    let gateway: ConformanceGateway | null = null;
    try {
      const host = `localhost:${relay.port}`;
      gateway = await ConformanceGateway.start(
        { everything: fixture ? { http: { url: fixture.url } } : { stdio: stdioFixture(era as FixtureEra) } },
        [host],
      );
      const endpoint = gateway.endpoint('everything');
      relay.aim({ url: endpoint, ca: gateway.process.ready.ca, token: await gateway.token('everything') });
      return await runSuite({ packages, revision, url: `http://${host}${new URL(endpoint).pathname}`, only });
    } finally {
      relay.close();
      options.onLog?.(gateway?.process.log() ?? '');
      await gateway?.close();
    }
  } finally {
    await fixture?.stop();
  }
}

/** The tasks fixture offers what the scenarios of that extension need and nothing else; the others do not offer that. */
function scenariosOf({ era, revision }: Topology, { scenario, packages }: RunOptions): readonly string[] | undefined {
  if (scenario !== undefined) return [scenario];
  return era === 'tasks' ? requirements(packages, revision).all.filter((name) => name.startsWith('tasks-')) : undefined;
}
