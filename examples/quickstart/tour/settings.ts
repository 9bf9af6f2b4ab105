import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');

/** Settings of the tour's gateway: the quickstart on free ports, with a small window and a server that will change. */
export function writeTourSettings(home: string): { config: string; change: string } {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const config = join(home, 'gatewrit.yaml');
  const change = join(home, 'change-now');
  const server = (file: string, env: Record<string, string>) => ({
    stdio: { command: 'node', args: [file], cwd: root, env: { TRACKER_FILE: 'home:tracker.db', ...env } },
  });
  const settings = {
    listen: { public: { port: 0 }, admin: { port: 0 } },
    authentication: { development: true },
    limits: { principal: { limit: 60 } },
    registry: { observeEverySeconds: 1 },
    upstreams: {
      'internal-readonly': server('examples/quickstart/tour/changing-server.ts', { CHANGE_WHEN: change }),
      'internal-destructive': server('examples/internal-tools/destructive.ts', {}),
    },
  };
  // JSON is YAML.
  writeFileSync(config, JSON.stringify(settings, null, 2));
  return { config, change };
}
