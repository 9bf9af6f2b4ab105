import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GatewayProcess } from '../../examples/quickstart/tour/gateway.ts';
import { writeTourSettings } from '../../examples/quickstart/tour/settings.ts';
import { mintDevelopmentToken } from '../../src/controls/authentication/index.ts';
import { writeDefaultPolicy } from '../../src/controls/authorization/index.ts';

const root = join(import.meta.dirname, '../..');

export const READ = ['postgres:query:readonly', 's3:list', 'jira:read', 'everything:use'];
export const WRITE = [...READ, 'jira:write'];
export const APPROVE = ['gatewrit:approvals:read', 'gatewrit:approvals:decide'];

type Sections = Readonly<Record<string, unknown>>;

export interface QuickstartOptions {
  /** Sections of gatewrit.yaml laid over those of the tour, section by section. */
  readonly settings?: Sections;
  /** With the protocol's reference server as a third upstream. */
  readonly everything?: boolean;
  /** Policy files besides the default ones, by name; null takes a default one away. */
  readonly policy?: Readonly<Record<string, string | null>>;
  /** Does what has to be done in the home before the first start. */
  readonly prepare?: (home: string) => void | Promise<void>;
}

/** The gateway of the tour in a process and a home of its own, with limits that tests do not meet by accident. */
export class Quickstart {
  readonly gateway: GatewayProcess;
  /** Once this file exists, the first tool of internal-readonly is another than was reviewed. */
  readonly change: string;

  private constructor(gateway: GatewayProcess, change: string) {
    this.gateway = gateway;
    this.change = change;
  }

  static async start(options: QuickstartOptions = {}): Promise<Quickstart> {
    const home = mkdtempSync(join(tmpdir(), 'gatewrit-test-'));
    try {
      const { config, change } = writeTourSettings(home);
      writeFileSync(config, JSON.stringify(settingsOf(config, options)));
      await writePolicy(home, options.policy ?? {});
      await options.prepare?.(home);
      return new Quickstart(await GatewayProcess.start({ home, config }), change);
    } catch (cause) {
      rmSync(home, { recursive: true, force: true });
      throw cause;
    }
  }

  /** Signed by the development issuer, without the 300 ms of a command. */
  token(
    subject: string,
    scopes: readonly string[],
    more: { audience?: string; groups?: readonly string[]; ttlSeconds?: number } = {},
  ): Promise<string> {
    const { home, ready } = this.gateway;
    const { audience = ready.mcp, ...rest } = more;
    return mintDevelopmentToken({ home, issuer: ready.issuer, audience, subject, scopes, ...rest });
  }

  /** Titles of the issues that really are in the tracker: how far upstreams have moved. */
  issues(): string[] {
    const file = join(this.gateway.home, 'tracker.db');
    if (!existsSync(file)) return [];
    const database = new DatabaseSync(file, { readOnly: true });
    try {
      const there = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'issues'").get();
      return there
        ? database
            .prepare('SELECT title FROM issues')
            .all()
            .map((row) => String(row['title']))
        : [];
    } finally {
      database.close();
    }
  }

  /** Ends the process in order; the home stays to be looked at. */
  async stop(): Promise<number | null> {
    return await this.gateway.stop();
  }

  /** Ends everything and removes the home. */
  async close(): Promise<void> {
    await this.gateway.stop();
    rmSync(this.gateway.home, { recursive: true, force: true });
  }
}

function settingsOf(config: string, options: QuickstartOptions): object {
  const tour = JSON.parse(readFileSync(config, 'utf8')) as Record<string, object>;
  const everything = {
    everything: {
      stdio: {
        command: 'node',
        args: ['node_modules/@modelcontextprotocol/server-everything/dist/index.js', 'stdio'],
        cwd: root,
      },
    },
  };
  const base: Record<string, object> = {
    ...tour,
    limits: {
      principal: { limit: 100_000 },
      tool: { limit: 100_000 },
      address: { limit: 1_000_000 },
      tenant: { limit: 1_000_000 },
    },
    upstreams: { ...tour['upstreams'], ...(options.everything ? everything : {}) },
  };
  for (const [section, laid] of Object.entries(options.settings ?? {}))
    base[section] = { ...base[section], ...(laid as object) };
  return base;
}

/** The default policy as the first start would write it, then what this test wants different. */
async function writePolicy(home: string, files: Readonly<Record<string, string | null>>): Promise<void> {
  const folder = join(home, 'policy');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await writeDefaultPolicy(folder, { quickstart: true });
  for (const [file, text] of Object.entries(files)) {
    if (text === null) rmSync(join(folder, file));
    else writeFileSync(join(folder, file), text, { mode: 0o600 });
  }
}
