import { type FixtureEra, HttpFixture, stdioFixture } from './fixture.ts';
import { ConformanceGateway } from './gateway.ts';
import type { Packages } from './packages.ts';
import { Relay } from './relay.ts';
import { type Revision, runSuite, type Scenario } from './suite.ts';

/** What stands between the suite and a fixture, and which of its revisions is asked for. */
export interface Topology {
  readonly name: string;
  readonly revision: Revision;
  readonly era: FixtureEra;
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
  const { packages, scenario } = options;
  const fixture = over === 'http' ? await HttpFixture.start(era) : null;
  try {
    if (direct) {
      // The suite's check of Host wants a name of this machine: localhost, as everywhere else.
      const url = fixture!.url.replace('127.0.0.1', 'localhost');
      return await runSuite({ packages, revision, url, scenario });
    }
    const relay = await Relay.open();
    relay.onExchange = options.onExchange ?? null;
    let gateway: ConformanceGateway | null = null;
    try {
      const host = `localhost:${relay.port}`;
      gateway = await ConformanceGateway.start(
        { everything: fixture ? { http: { url: fixture.url } } : { stdio: stdioFixture(era) } },
        [host],
      );
      const endpoint = gateway.endpoint('everything');
      relay.aim({ url: endpoint, ca: gateway.process.ready.ca, token: await gateway.token('everything') });
      return await runSuite({ packages, revision, url: `http://${host}${new URL(endpoint).pathname}`, scenario });
    } finally {
      relay.close();
      options.onLog?.(gateway?.process.log() ?? '');
      await gateway?.close();
    }
  } finally {
    await fixture?.stop();
  }
}
