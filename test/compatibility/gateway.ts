import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Client } from '@modelcontextprotocol/client';
import { GatewayProcess } from '../../examples/quickstart/tour/gateway.ts';
import { mintDevelopmentToken } from '../../src/controls/authentication/index.ts';
import { writeDefaultPolicy } from '../../src/controls/authorization/index.ts';
import type { PublishedServer } from './servers.ts';

const run = promisify(execFile);
const bin = join(import.meta.dirname, '../../bin/gatewrit.mjs');
/** The scope of the default catalogue that opens every server here. */
const SCOPE = 'everything:use';
/** Prefixes are shorter than server names may be. */
const MAX_PREFIX = 16;
const READY_MS = 120_000;
const MANY = 1_000_000;
const LISTS = ['tools', 'prompts', 'resources', 'templates'] as const;

type Items = readonly Readonly<Record<string, unknown>>[];

/** What registration said of one server. */
export interface Registered {
  readonly items: number;
  /** What the scan found and a reviewer has to accept, `id item: what`. */
  readonly findings: readonly string[];
  /** Why it is not served at all; null when it is. */
  readonly left: string | null;
}

/** A gateway before other people's servers: redaction, validation and errors as they come, limits that are not met. */
export class CompatibilityGateway {
  readonly registered: ReadonlyMap<string, Registered>;
  readonly #process: GatewayProcess;

  private constructor(process: GatewayProcess, registered: ReadonlyMap<string, Registered>) {
    this.#process = process;
    this.registered = registered;
  }

  static async start(servers: readonly PublishedServer[]): Promise<CompatibilityGateway> {
    const home = mkdtempSync(join(tmpdir(), 'gatewrit-compatibility-'));
    try {
      await run(process.execPath, [bin, 'manifest', 'keygen', '--home', home]);
      // What servers call destructive would wait for a person; nobody sits here.
      await writeDefaultPolicy(join(home, 'policy'), { quickstart: true });
      rmSync(join(home, 'policy/20-approval.cedar'));
      const registered = new Map<string, Registered>();
      for (const server of servers) registered.set(server.name, await register(server, home));
      const served = servers.filter(({ name }) => registered.get(name)!.left === null);
      const config = join(home, 'gatewrit.yaml');
      // JSON is YAML.
      writeFileSync(config, JSON.stringify(settings(served)));
      return new CompatibilityGateway(await GatewayProcess.start({ home, config, timeoutMs: 120_000 }), registered);
    } catch (cause) {
      rmSync(home, { recursive: true, force: true });
      throw cause;
    }
  }

  /**
   * Connected to the endpoint of one server, with its original names, once what it offers has been compared with its
   * manifest: many servers that start at once on a busy machine answer late, and are asked again after a while.
   */
  async client(server: string): Promise<Client> {
    const end = Date.now() + READY_MS;
    for (;;) {
      const client = await this.#connect(server);
      if (client.getServerCapabilities()?.tools !== undefined && (await client.listTools()).tools.length > 0)
        return client;
      await client.close();
      if (Date.now() > end) throw new Error(`nothing of ${server} is listed:\n${this.log().slice(-4_000)}`);
      await pause(1_000);
    }
  }

  async #connect(server: string): Promise<Client> {
    const { home, ready } = this.#process;
    const audience = `${ready.mcp}/${server}`;
    const of = { home, issuer: ready.issuer, audience, subject: 'compatibility' };
    return this.#process.client(await mintDevelopmentToken({ ...of, scopes: [SCOPE], ttlSeconds: 3600 }), audience);
  }

  log(): string {
    return this.#process.log();
  }

  async close(): Promise<void> {
    await this.#process.stop();
    rmSync(this.#process.home, { recursive: true, force: true });
  }
}

function settings(servers: readonly PublishedServer[]): object {
  return {
    listen: { public: { port: 0 }, admin: { port: 0 } },
    authentication: { development: true },
    limits: { principal: { limit: MANY }, tool: { limit: MANY }, address: { limit: MANY }, tenant: { limit: MANY } },
    upstreams: Object.fromEntries(
      servers.map(({ name, command: [command, ...args], workspace, home, env }) => [
        name,
        { stdio: { command, args, cwd: workspace, env: { ...env, HOME: home } } },
      ]),
    ),
  };
}

/**
 * What a person does with a server of somebody else: draft, review, sign. The review here accepts every finding:
 * everything happens in a throw-away folder.
 */
async function register({ name, command, workspace, home: ownHome, version, env }: PublishedServer, home: string) {
  const draft = join(home, `${name}.json`);
  const asked = { cwd: workspace, timeout: 60_000, env: { ...process.env, ...env, HOME: ownHome } };
  const line = command.map((word) => `"${word}"`).join(' ');
  try {
    const prefix = name.slice(0, MAX_PREFIX).replace(/-$/, '');
    const args = [
      'registry',
      'draft',
      '--server',
      name,
      '--prefix',
      prefix,
      '--command',
      line,
      '--json',
      '--out',
      draft,
    ];
    // Findings are an exit of 1; that the file is there and whole is what counts.
    await run(process.execPath, [bin, ...args], asked).catch((error) => {
      if (error.code !== 1) throw error;
    });
    const { manifest, findings } = JSON.parse(readFileSync(draft, 'utf8')) as {
      manifest: Readonly<Record<string, Items>>;
      findings: readonly { readonly id: string; readonly item: string; readonly what: string }[];
    };
    const lists = Object.fromEntries(LISTS.map((list) => [list, (manifest[list] ?? []).map(reviewed)]));
    const review = { by: 'compatibility', at: new Date().toISOString(), note: 'a throw-away folder' };
    const accepted = [...new Set(findings.map(({ id }) => id))];
    writeFileSync(
      draft,
      JSON.stringify({ ...manifest, ...lists, version, owner: 'compatibility', review: { ...review, accepted } }),
    );
    await run(process.execPath, [bin, 'manifest', 'sign', draft, '--home', home, '--install'], { timeout: 60_000 });
    const items = Object.values(lists).reduce((sum, list) => sum + list.length, 0);
    return { items, findings: findings.map(({ id, item, what }) => `${id} ${item}: ${what}`), left: null };
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    return { items: 0, findings: [], left: (stderr || message).trim().split('\n').slice(-4).join(' / ') };
  }
}

function reviewed(item: Readonly<Record<string, unknown>>) {
  return { ...item, scopes: [SCOPE] };
}
