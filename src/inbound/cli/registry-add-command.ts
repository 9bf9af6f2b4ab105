import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { inert, SERVER_NAME } from '../../controls/registry/index.ts';
import { SettingsError } from '../../core/internal-error.ts';
import { secretReference } from '../../core/settings.ts';
import { type Io, wrongUse } from './command.ts';
import { serverNameOf } from './init-clients.ts';
import { type Added, addServer, personAtTerminal } from './registry-add.ts';
import { splitCommand } from './registry-command-line.ts';
import { openConfiguration } from './registry-write.ts';
import { printed, snippets } from './snippets.ts';
import { isDevelopment } from './start.ts';

export const ADD_OPTIONS = {
  config: { type: 'string', default: 'gatewrit.yaml' },
  home: { type: 'string', default: '.gatewrit' },
  set: { type: 'string', multiple: true, default: [] as string[] },
  pass: { type: 'string', multiple: true, default: [] as string[] },
  owner: { type: 'string' },
  accept: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** `gatewrit registry add`: the rest of its command line, without the verb. */
export async function runAdd(argv: string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      ...ADD_OPTIONS,
      server: { type: 'string' },
      prefix: { type: 'string' },
      command: { type: 'string' },
      url: { type: 'string' },
      cwd: { type: 'string' },
      env: { type: 'string', multiple: true, default: [] },
      authorization: { type: 'string' },
      replace: { type: 'boolean', default: false },
    },
  });
  const [named, ...more] = positionals;
  const url = named !== undefined && /^https?:\/\//.test(named) ? named : values.url;
  if (url !== undefined && !URL.canParse(url)) return wrongUse(io, 'registry', `"${inert(url)}" is no URL`);
  const server = values.server ?? (url !== undefined && url === named ? serverNameOf(new URL(url).hostname) : named);
  if (server === undefined) return wrongUse(io, 'registry', 'add what? Say NAME --command "…", or the URL of a server');
  if (more.length > 0) return wrongUse(io, 'registry', `"${inert(more[0]!)}" is one word too many`);
  if (url !== undefined && values.command !== undefined)
    return wrongUse(io, 'registry', 'a server has either a URL or a --command');
  if (!SERVER_NAME.test(server)) throw new SettingsError(`a server's name is [a-z0-9-], at most 32 characters`);
  const upstream = url === undefined ? stdioUpstream(values) : httpUpstream(url, values.authorization);
  const person = values.accept ? { ask: null, close() {} } : personAtTerminal();
  const home = resolve(values.home);
  const configuration = openConfiguration(values.config);
  try {
    const { set, pass, owner, accept, json, replace, prefix } = values;
    const options = { home, configuration, server, prefix, upstream, set, pass, owner, accept, json, replace };
    const added = await addServer({ ...options, ask: person.ask }, io);
    return report([added], { home, file: values.config, json, development: isDevelopment(configuration.read()) }, io);
  } finally {
    person.close();
  }
}

function stdioUpstream(of: { command?: string | undefined; cwd?: string | undefined; env: string[] }) {
  if (of.command === undefined) return undefined;
  const [command, ...args] = splitCommand(of.command) ?? [];
  if (command === undefined) throw new SettingsError('--command needs a program and closed quotes');
  const env = of.env.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new SettingsError('--env takes NAME=VALUE, NAME=env:NAME or NAME=file:PATH');
    return [text.slice(0, at), text.slice(at + 1)] as const;
  });
  return {
    stdio: {
      ...{ command, args },
      ...(of.cwd === undefined ? {} : { cwd: of.cwd }),
      ...(env.length === 0 ? {} : { env: Object.fromEntries(env) }),
    },
  };
}

function httpUpstream(url: string, authorization: string | undefined) {
  if (!URL.canParse(url) || !/^https?:/.test(url)) throw new SettingsError('--url takes an http or https URL');
  if (authorization !== undefined && !secretReference.safeParse(authorization).success)
    throw new SettingsError('--authorization takes file:PATH or env:NAME, never the credential itself');
  return { http: { url, ...(authorization === undefined ? {} : { authorization }) } };
}

/** What was done, what a client's settings must say now, and what comes next. @returns the exit code */
export function report(
  added: readonly Added[],
  of: { home: string; file: string; json: boolean; development: boolean },
  io: Io,
): number {
  const enabled = added.filter(({ accepted }) => accepted);
  const url = of.development ? null : 'https://YOUR-GATEWAY/mcp';
  const clients = snippets({ servers: enabled.map(({ server }) => server), home: of.home, url });
  const code = enabled.length === added.length ? 0 : 1;
  if (of.json) {
    io.stdout(`${JSON.stringify({ servers: added, clients: enabled.length > 0 ? clients : [] })}\n`);
    return code;
  }
  for (const { server, accepted, served, excluded } of added)
    io.stdout(
      accepted
        ? `${server}: ${served.length} items signed and pinned, ${excluded.length} left out.\n`
        : `${server}: nothing was changed. Run it again in a terminal, or with --accept and --set TOOL.effect=read.\n`,
    );
  if (enabled.length === 0) return code;
  const written = [...new Set(enabled.flatMap((one) => one.written))];
  io.stdout(`\nWritten:\n${written.map((file) => `  ${file}`).join('\n')}\n`);
  io.stdout(`\nPut it into your client in place of the server itself.\n\n${printed(clients)}\n`);
  const next = enabled.some(({ restart }) => restart)
    ? 'Restart the gateway that runs with this home: it serves what was signed when it started.'
    : `Next: gatewrit start${defaults(of)}`;
  io.stdout(`${next}\n`);
  return code;
}

function defaults({ home, file }: { home: string; file: string }): string {
  const config = file === 'gatewrit.yaml' && existsSync(file) ? '' : ` --config ${file}`;
  return `${config}${home === resolve('.gatewrit') ? '' : ` --home ${home}`}`;
}
