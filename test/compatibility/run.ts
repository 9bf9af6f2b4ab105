import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { ask, compare, isError, type Outcome, type Seen } from './compare.ts';
import { CompatibilityGateway, type Registered } from './gateway.ts';
import { type PublishedServer, publishedServers } from './servers.ts';
import { makeWorkspace } from './workspace.ts';

export interface Row {
  readonly server: PublishedServer;
  readonly registered: Registered;
  /** Tools a client lists, directly and through the gateway. */
  readonly tools: { readonly direct: number; readonly through: number };
  readonly outcomes: readonly Outcome[];
  /** Calls that do not work directly either, which no gateway can be asked about: a fault of the list, not of a server. */
  readonly useless: readonly string[];
}

interface Spoken {
  readonly tools: number;
  readonly seen: readonly Seen[];
}

/** The same calls twice, in the same folder made anew: directly, then through one gateway that guards all of them. */
export async function runCompatibility(folder: string, only: string | null = null): Promise<Row[]> {
  const base = mkdtempSync(join(tmpdir(), 'compat-'));
  const servers = publishedServers(folder, base).filter(({ name }) => only === null || name === only);
  try {
    for (const server of servers) makeWorkspace(server);
    const direct = await each(servers, async (server) => speak(await directly(server), server));
    for (const server of servers) makeWorkspace(server);
    const gateway = await CompatibilityGateway.start(servers);
    try {
      // Registration has started each once: what it left must not be there for the calls.
      return await each(servers, async (server, at) => {
        const registered = gateway.registered.get(server.name)!;
        const { tools, seen } = registered.left
          ? { tools: 0, seen: [] }
          : await speak(await gateway.client(server.name), server);
        return row(server, registered, direct[at]!, { tools, seen });
      });
    } finally {
      if (process.env['GATEWRIT_COMPATIBILITY_LOG']) process.stderr.write(gateway.log());
      await gateway.close();
    }
  } finally {
    rmSync(base, { recursive: true, force: true, maxRetries: 5 });
  }
}

function row(server: PublishedServer, registered: Registered, direct: Spoken, through: Spoken): Row {
  const useless: string[] = [];
  const outcomes = through.seen.map((seen, at) => {
    const call = server.calls[at]!;
    const before = direct.seen[at]!;
    if (isError(before) !== call.fails)
      useless.push(`${call.tool} ${JSON.stringify(call.arguments)}: ${JSON.stringify(before).slice(0, 300)}`);
    return compare(call, before, seen, server);
  });
  return { server, registered, tools: { direct: direct.tools, through: through.tools }, outcomes, useless };
}

async function speak(client: Client, { calls }: PublishedServer): Promise<Spoken> {
  try {
    const { tools } = await client.listTools();
    const seen: Seen[] = [];
    for (const call of calls) seen.push(await ask(client, call));
    return { tools: tools.length, seen };
  } finally {
    await client.close();
  }
}

async function directly({ command: [command, ...args], workspace, home, env }: PublishedServer): Promise<Client> {
  const client = new Client({ name: 'compatibility', version: '1.0.0' });
  const inherited = { PATH: process.env['PATH'] ?? '', HOME: home };
  await client.connect(
    new StdioClientTransport({
      command: command!,
      args,
      cwd: workspace,
      stderr: 'ignore',
      env: { ...inherited, ...env },
    }),
  );
  return client;
}

const AT_ONCE = 3;

/** In the order given, a few at a time: each server is one process that mostly waits. */
async function each<T, R>(items: readonly T[], work: (item: T, at: number) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at]!, at);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}
