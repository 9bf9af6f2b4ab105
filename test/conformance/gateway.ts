import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GatewayProcess } from '../../examples/quickstart/tour/gateway.ts';
import { mintDevelopmentToken } from '../../src/controls/authentication/index.ts';
import { CHANGING } from './fixtures/everything.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const bin = join(root, 'bin/gatewrit.mjs');
/** The scope of the default catalogue that opens every server here. */
const SCOPE = 'everything:use';
const MANY = 1_000_000;

export type Upstream =
  | { readonly http: { readonly url: string } }
  | { readonly stdio: { readonly command: string; readonly args: readonly string[] } };

export type Upstreams = Readonly<Record<string, Upstream>>;

type Items = readonly Readonly<Record<string, unknown>>[];
interface Drafted {
  readonly manifest: Readonly<Record<'tools' | 'prompts' | 'resources' | 'templates', Items>>;
  readonly findings: readonly { readonly id: string }[];
}

/** A gateway before fixtures, in a process and a home of its own: everything allowed, nothing redacted or approved. */
export class ConformanceGateway {
  readonly process: GatewayProcess;

  private constructor(process: GatewayProcess) {
    this.process = process;
  }

  /** @param callers Host values (with port) under which it is called besides its own, from plain HTTP pages too */
  static async start(upstreams: Upstreams, callers: readonly string[] = []): Promise<ConformanceGateway> {
    const home = mkdtempSync(join(tmpdir(), 'gatewrit-conformance-'));
    try {
      await gatewrit('manifest', 'keygen', '--home', home);
      for (const [server, upstream] of Object.entries(upstreams)) await pin(server, upstream, home);
      const config = join(home, 'gatewrit.yaml');
      // JSON is YAML.
      writeFileSync(config, JSON.stringify(settings(upstreams, callers)));
      return new ConformanceGateway(await GatewayProcess.start({ home, config }));
    } catch (cause) {
      rmSync(home, { recursive: true, force: true });
      throw cause;
    }
  }

  /** The endpoint of one server, with its original names. */
  endpoint(server: string): string {
    return `${this.process.ready.mcp}/${server}`;
  }

  /** Good for the endpoint of one server. */
  token(server: string, subject = 'conformance'): Promise<string> {
    const { home, ready } = this.process;
    const of = { home, issuer: ready.issuer, audience: this.endpoint(server), subject };
    return mintDevelopmentToken({ ...of, scopes: [SCOPE], ttlSeconds: 3600 });
  }

  async close(): Promise<void> {
    await this.process.stop();
    rmSync(this.process.home, { recursive: true, force: true });
  }
}

function settings(upstreams: Upstreams, callers: readonly string[]): object {
  return {
    listen: { public: { port: 0 }, admin: { port: 0 } },
    authentication: { development: true },
    limits: { principal: { limit: MANY }, tool: { limit: MANY }, address: { limit: MANY }, tenant: { limit: MANY } },
    redaction: { profile: 'none' },
    transport: { hosts: callers, origins: callers.map((host) => `http://${host}`) },
    upstreams,
  };
}

/** What a reviewer does, without the review: the draft of what the fixture offers, accepted whole and signed. */
async function pin(server: string, upstream: Upstream, home: string): Promise<void> {
  const reach =
    'http' in upstream
      ? ['--url', upstream.http.url]
      : ['--command', [upstream.stdio.command, ...upstream.stdio.args].join(' ')];
  const draft = join(home, `${server}.json`);
  // Findings are an exit of 1; that the file is there and whole is what counts.
  await gatewrit('registry', 'draft', '--server', server, ...reach, '--json', '--out', draft).catch((error) => {
    if (error.code !== 1) throw error;
  });
  const { manifest, findings } = JSON.parse(readFileSync(draft, 'utf8')) as Drafted;
  const reason = 'comes and goes';
  const reviewed = {
    ...manifest,
    ...opened(manifest),
    ...{ version: '1.0.0', owner: 'conformance' },
    review: {
      ...{ by: 'conformance', at: new Date().toISOString(), note: 'a fixture of ours' },
      accepted: [...new Set(findings.map(({ id }) => id))],
    },
    excluded: [
      { kind: 'tool', name: CHANGING.tool, reason },
      { kind: 'prompt', name: CHANGING.prompt, reason },
    ],
  };
  writeFileSync(draft, JSON.stringify(reviewed));
  await gatewrit('manifest', 'sign', draft, '--home', home, '--install');
}

/** A draft asks for a scope of its own server; the catalogue of these runs has one for all. */
function opened({ tools, prompts, resources, templates }: Drafted['manifest']) {
  const under = (items: Items) => items.map((item) => ({ ...item, scopes: [SCOPE] }));
  return {
    ...{ tools: under(tools), prompts: under(prompts) },
    ...{ resources: under(resources), templates: under(templates) },
  };
}

async function gatewrit(...args: readonly string[]): Promise<void> {
  await run(process.execPath, [bin, ...args], { cwd: root, timeout: 60_000 });
}
