import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  draftManifest,
  inert,
  LISTS,
  loadManifests,
  PREFIX,
  type Problem,
  SERVER_NAME,
  type ServerPins,
  writeWhole,
} from '../../controls/registry/index.ts';
import { SettingsError } from '../../core/internal-error.ts';
import { silentLog } from '../../core/log.ts';
import type { ServerSettings } from '../../upstream/servers.ts';
import { type Command, type Io, wrongUse } from './command.ts';
import { splitCommand } from './registry-command-line.ts';

const usage = `usage: gatewrit registry add NAME --command "CMD ARGS" [--env NAME=env:NAME …] [--accept] [--set C …] [--json]
       gatewrit registry add URL [--server NAME] [--authorization file:PATH] [--accept] [--set C …] [--json]
       gatewrit registry add NAME
       gatewrit registry list [--home D] [--key JWKS] [--json]
       gatewrit registry show SERVER [--home D] [--key JWKS] [--json]
       gatewrit registry draft --server NAME (--command "CMD ARGS" | --url U) [--prefix P] [--out FILE] [--json]

add    asks a server once what it offers, shows it with what to look at, and signs, pins and enables what you accept;
       NAME alone: an upstream that stands in gatewrit.yaml, or that has changed and is reviewed again
list   the signed manifests under the home: who signed what, and what is wrong with them
show   one manifest, item by item
draft  asks a server once what it offers and writes a manifest that nobody has reviewed or signed; findings go to stderr

options
  --home D       state folder (default .gatewrit)
  --server NAME  name of the server in your settings: [a-z0-9-], at most 32 characters
  --prefix P     beginning of its names on /mcp (default: the server name)
  --command C    command line of a stdio server, split at blanks, quotes respected, no shell
  --url U        endpoint of a Streamable HTTP server
  --env N=V      add: a variable of its environment; V is plain, env:NAME or file:PATH; may be given several times
  --authorization R  add: our credential there, the whole header value, as file:PATH or env:NAME
  --accept       add: accept what is proposed, for scripts; what has a finding stays out
  --set C        add: change the proposal: TOOL.effect=read, TOOL.scope=a:b, TOOL.serve=no, TOOL.limits.timeoutMs=5000;
                 *.effect=read means every tool that is not destructive
  --pass ID      add: let a finding pass that you looked at
  --owner WHO    add: who answers for it, and reviewed it (default: you)
  --config F     add: settings to write (default gatewrit.yaml); what is there stays, comments included
  --replace      add: take the place of another upstream of this name
  --key FILE     list, show: JWK Set of the public keys to trust instead of the operator key under the home
  --out FILE     write the draft there instead of to stdout
  --json         machine-readable answer

example
  gatewrit registry add everything --command "node node_modules/@modelcontextprotocol/server-everything/dist/index.js stdio" --accept
  gatewrit registry draft --server everything --command "node node_modules/@modelcontextprotocol/server-everything/dist/index.js stdio" --out everything.json
`;

/** What is pinned, and what could be. Only `add` signs, and only what a person accepted. */
export const registryCommand: Command = {
  name: 'registry',
  summary: 'add servers; see and draft capability manifests',
  usage,
  async run(argv: string[], io: Io): Promise<number> {
    if (argv[0] === 'add' && !argv.includes('--help')) {
      const { runAdd } = await import('./registry-add-command.ts');
      return await runAdd(argv.slice(1), io);
    }
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        home: { type: 'string', default: '.gatewrit' },
        server: { type: 'string' },
        prefix: { type: 'string' },
        command: { type: 'string' },
        url: { type: 'string' },
        key: { type: 'string' },
        out: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    const [verb, server, ...more] = positionals;
    if (values.help) {
      io.stdout(usage);
      return 0;
    }
    if (more.length === 0) {
      if (verb === 'list' && server === undefined) return await list(values, io);
      if (verb === 'show' && server !== undefined) return await show(server, values, io);
      if (verb === 'draft' && server === undefined) return await draft(values, io);
    }
    return wrongUse(io, 'registry', 'say add, list, show SERVER or draft');
  },
};

interface Options {
  readonly home: string;
  readonly server?: string | undefined;
  readonly prefix?: string | undefined;
  readonly command?: string | undefined;
  readonly url?: string | undefined;
  readonly key?: string | undefined;
  readonly out?: string | undefined;
  readonly json: boolean;
}

/** Signatures, names and texts are judged as at the start; schemas and scopes need the whole gateway: `gatewrit check`. */
async function read({ home, key }: Options): Promise<{ servers: readonly ServerPins[]; problems: readonly Problem[] }> {
  const keys = { folder: join(home, 'keys'), generate: false };
  const ports = { schemas: { accept: () => null }, scopes: { accepts: () => null } };
  if (key === undefined && !existsSync(join(keys.folder, 'operator.jwks')))
    throw new SettingsError(
      `there is no operator key in ${keys.folder}; is that the home? Where manifests are signed elsewhere, name a file of registry.trust: --key FILE`,
    );
  return await loadManifests({ ...ports, settings: { trust: key === undefined ? [] : [key] }, home, keys }, Date.now());
}

async function list(options: Options, io: Io): Promise<number> {
  const { servers, problems } = await read(options);
  const { json } = options;
  if (json) {
    const rows = servers.map(({ server, manifest, digest, kid, pins }) => ({
      ...{ server, prefix: manifest.prefix, version: manifest.version, owner: manifest.owner, digest, kid },
      ...{ review: manifest.review, items: pins.length },
    }));
    io.stdout(`${JSON.stringify({ servers: rows, problems })}\n`);
  } else {
    for (const { server, manifest, pins } of servers) {
      io.stdout(
        `${server.padEnd(24)} ${String(pins.length).padStart(4)} items  ${inert(manifest.version)}  reviewed by ${inert(manifest.review.by)} at ${manifest.review.at}\n`,
      );
    }
    printProblems(problems, io);
  }
  return problems.length > 0 ? 1 : 0;
}

async function show(server: string, options: Options, io: Io): Promise<number> {
  const { servers, problems } = await read(options);
  const { home, json } = options;
  const found = servers.find((entry) => entry.server === server);
  const mine = problems.filter((problem) => problem.server === server);
  if (!found) {
    printProblems(mine, io);
    io.stderr(`gatewrit registry: there is no good manifest of "${inert(server, 40)}" under ${home}\n`);
    return 1;
  }
  if (json)
    io.stdout(
      `${JSON.stringify({ manifest: found.manifest, digest: found.digest, kid: found.kid, problems: mine })}\n`,
    );
  else {
    for (const pin of found.pins) {
      io.stdout(
        `${pin.kind.padEnd(9)} ${inert(pin.key).padEnd(48)} ${pin.effect.padEnd(12)} ${pin.scopes.join(' ')}\n`,
      );
    }
    for (const left of found.manifest.excluded)
      io.stdout(`left out  ${inert(`${server}/${left.name}`).padEnd(48)} ${inert(left.reason)}\n`);
    printProblems(mine, io);
  }
  return mine.length > 0 ? 1 : 0;
}

function printProblems(problems: readonly Problem[], io: Io): void {
  for (const { server, name, code, text } of problems) {
    io.stdout(`PROBLEM   ${inert(name === null ? server : `${server}/${name}`)}: ${code}: ${inert(text, 500)}\n`);
  }
}

/** The same way of asking as the gateway itself, so that what is drafted is what it will compare. */
async function draft(options: Options, io: Io): Promise<number> {
  const { server, prefix = server, command, url } = options;
  if (
    !server ||
    !SERVER_NAME.test(server) ||
    !prefix ||
    !PREFIX.test(prefix) ||
    (command === undefined) === (url === undefined)
  ) {
    io.stderr(
      'gatewrit registry draft: give --server, a --prefix of at most 16 of a-z, 0-9 and dashes that begins with a letter (default: the server name), and either --command or --url\n',
    );
    return 2;
  }
  const settings = command === undefined ? httpSettings(url!) : stdioSettings(command);
  if (settings === null) {
    io.stderr('gatewrit registry draft: --command needs a program and closed quotes, --url an http or https URL\n');
    return 2;
  }
  // Loaded when needed: lists work without anything that can dial out.
  const { openServer } = await import('../../upstream/servers.ts');
  const { WireFault } = await import('../../upstream/wire.ts');
  const clock = () => ({ utc: Date.now(), mono: performance.now() });
  const live = openServer(server, settings, { clock, log: silentLog, onChanged: () => {}, onEnded: () => {} });
  try {
    const definitions = await live.introspect();
    if (definitions instanceof WireFault) {
      io.stderr(`gatewrit registry draft: the server cannot be asked: ${inert(definitions.evidence)}\n`);
      return 3;
    }
    return print(draftManifest({ server, prefix, live: definitions }), options, io);
  } finally {
    await live.close();
  }
}

function print(
  { manifest, findings, notes }: ReturnType<typeof draftManifest>,
  { out, json }: Options,
  io: Io,
): number {
  const text = `${JSON.stringify(json ? { manifest, findings, notes } : manifest, null, 2)}\n`;
  if (out === undefined) io.stdout(text);
  else writeWhole(out, text);
  for (const note of notes) io.stderr(`note: ${note}\n`);
  for (const finding of findings) io.stderr(`${finding.id}  ${inert(finding.item)} ${finding.path}: ${finding.what}\n`);
  const count = LISTS.reduce((sum, name) => sum + (manifest[name] as unknown[]).length, 0);
  io.stderr(
    `${count} items drafted, ${findings.length} findings. Next: review it, fill in version, owner and review, then: gatewrit manifest sign\n`,
  );
  return findings.length > 0 ? 1 : 0;
}

function httpSettings(url: string): ServerSettings | null {
  if (!URL.canParse(url) || !/^https?:/.test(url)) return null;
  return { http: { url, ca: undefined, authorization: undefined, maxConnections: 4 } };
}

function stdioSettings(line: string): ServerSettings | null {
  const words = splitCommand(line);
  const [command, ...args] = words ?? [];
  return command ? { stdio: { command, args, cwd: process.cwd(), env: {} } } : null;
}
