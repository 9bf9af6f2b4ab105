import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Agent, fetch as undiciFetch } from 'undici';
import type { Packages } from './packages.ts';

/** Where a client connects to, and with what. */
export interface Place {
  readonly url: string;
  readonly token: string;
  /** The authority of its certificate: PEM, and the path of the same. */
  readonly ca: string;
  readonly caFile: string;
}

/** What every client of the matrix is asked to do; each answer is the text in it that shows the fixture was reached. */
export interface Connected {
  /** The revision it negotiated; null where the client does not say. */
  readonly revision: string | null;
  tools(): Promise<readonly string[]>;
  call(name: string): Promise<string>;
  read(uri: string): Promise<string>;
  prompt(name: string): Promise<string>;
  close(): Promise<void>;
}

export interface InteropClient {
  readonly name: string;
  /** What it must end up speaking. */
  readonly revision: string;
  connect(place: Place): Promise<Connected>;
}

const MODERN = '2026-07-28';
const LEGACY = '2025-11-25';

export function interopClients(packages: Packages): readonly InteropClient[] {
  return [
    { name: 'SDK 2.4, modern', revision: MODERN, connect: (place) => sdk2(place, { pin: MODERN }) },
    { name: 'SDK 2.4, legacy', revision: LEGACY, connect: (place) => sdk2(place, 'legacy') },
    { name: 'SDK 2.4, auto', revision: MODERN, connect: (place) => sdk2(place, 'auto') },
    { name: 'SDK 1.32', revision: LEGACY, connect: (place) => sdk1(place, packages) },
    { name: 'Inspector CLI, modern', revision: MODERN, connect: async (place) => inspector(place, packages, 'modern') },
    { name: 'Inspector CLI, legacy', revision: LEGACY, connect: async (place) => inspector(place, packages, 'legacy') },
  ];
}

/** The members both generations of the SDK have in common. */
interface AnyClient {
  listTools(): Promise<{ tools: readonly { name: string }[] }>;
  callTool(call: { name: string; arguments: object }): Promise<unknown>;
  readResource(request: { uri: string }): Promise<unknown>;
  getPrompt(request: { name: string }): Promise<unknown>;
  close(): Promise<void>;
}

const INFO = { name: 'gatewrit-interop', version: '1.0.0' };

async function sdk2(place: Place, mode: 'legacy' | 'auto' | { readonly pin: string }): Promise<Connected> {
  const client = new Client(INFO, { versionNegotiation: { mode } });
  const { fetch, agent } = trusting(place);
  await client.connect(
    new StreamableHTTPClientTransport(new URL(place.url), { fetch, authProvider: { token: async () => place.token } }),
  );
  return through(client as AnyClient, agent, client.getNegotiatedProtocolVersion() ?? null);
}

async function sdk1(place: Place, { folder }: Packages): Promise<Connected> {
  const module = (path: string) =>
    import(pathToFileURL(join(folder, 'node_modules/@modelcontextprotocol/sdk/dist/esm/client', path)).href);
  const [{ Client: Client1 }, { StreamableHTTPClientTransport: Transport1 }] = await Promise.all([
    module('index.js'),
    module('streamableHttp.js'),
  ]);
  const client = new Client1(INFO);
  const { fetch, agent } = trusting(place);
  const requestInit = { headers: { Authorization: `Bearer ${place.token}` } };
  const transport = new Transport1(new URL(place.url), { fetch, requestInit });
  await client.connect(transport);
  return through(client as AnyClient, agent, transport.protocolVersion ?? null);
}

function through(client: AnyClient, agent: Agent, revision: string | null): Connected {
  return {
    revision,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name) => JSON.stringify(await client.callTool({ name, arguments: {} })),
    read: async (uri) => JSON.stringify(await client.readResource({ uri })),
    prompt: async (name) => JSON.stringify(await client.getPrompt({ name })),
    async close() {
      await client.close();
      await agent.destroy();
    },
  };
}

function trusting({ ca }: Place) {
  const agent = new Agent({ connect: { ca } });
  const fetch = (input: string | URL, init?: RequestInit) =>
    undiciFetch(input, { ...init, dispatcher: agent } as Parameters<
      typeof undiciFetch
    >[1]) as unknown as Promise<Response>;
  return { fetch, agent };
}

/** One process and one connection per request: that is how it is used. */
function inspector(place: Place, { folder }: Packages, era: 'modern' | 'legacy'): Connected {
  const main = join(folder, 'node_modules/@modelcontextprotocol/inspector/clients/cli/build/index.js');
  const home = mkdtempSync(join(tmpdir(), 'gatewrit-inspector-'));
  const ask = (...method: string[]) =>
    new Promise<string>((resolve, reject) => {
      const to = ['--transport', 'http', '--server-url', place.url, '--protocol-era', era];
      execFile(
        process.execPath,
        [main, ...to, '--header', `Authorization: Bearer ${place.token}`, '--method', ...method],
        {
          // It keeps a catalogue in the home of who runs it.
          env: {
            PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
            HOME: home,
            NODE_EXTRA_CA_CERTS: place.caFile,
          },
          timeout: 30_000,
        },
        (error, stdout, stderr) =>
          error ? reject(new Error(`${method.join(' ')}: ${stdout}${stderr}`.slice(0, 2_000))) : resolve(stdout),
      );
    });
  return {
    revision: null,
    tools: async () =>
      (JSON.parse(await ask('tools/list')) as { tools: { name: string }[] }).tools.map(({ name }) => name),
    call: (name) => ask('tools/call', '--tool-name', name),
    read: (uri) => ask('resources/read', '--uri', uri),
    prompt: (name) => ask('prompts/get', '--prompt-name', name),
    close: async () => rmSync(home, { recursive: true, force: true }),
  };
}
