import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { writeDefaultPolicy } from '../../controls/authorization/index.ts';
import { inert } from '../../controls/registry/index.ts';
import { SettingsError } from '../../core/internal-error.ts';
import { type Command, type Io, wrongUse } from './command.ts';
import { type ClientFile, type ClientServer, readClientFile } from './init-clients.ts';
import { type Added, addServer, personAtTerminal } from './registry-add.ts';
import { ADD_OPTIONS, report } from './registry-add-command.ts';
import { openConfiguration, saveConfiguration } from './registry-write.ts';
import { isDevelopment } from './start.ts';

const usage = `usage: gatewrit init [--from FILE] [--only NAME …] [--accept] [--set TOOL.effect=read …] [--config F] [--home D] [--json]

Writes a commented gatewrit.yaml and a policy folder. With --from it takes over the servers of an MCP client: each is
asked once what it offers, shown to you with what to look at, signed when you accept it, and put behind the gateway.

  --from FILE  settings of Claude Desktop, Claude Code, Cursor or VS Code, or any mcp.json
  --only NAME  this server of the file alone; may be given several times
  --accept     accept what is proposed, for scripts; what has a finding stays out
  --set C      change the proposal: TOOL.effect=read, TOOL.scope=a:b, TOOL.serve=no, TOOL.limits.timeoutMs=5000;
               SERVER/TOOL.effect=read where there are several servers
  --pass ID    let a finding pass that you looked at
  --owner WHO  who answers for it, and reviewed it (default: you)
  --config F   settings to write (default gatewrit.yaml); what is there stays, comments included
  --home D     state folder (default .gatewrit)
  --json       machine-readable answer

exit: 0 good, 1 a server was not accepted or cannot be taken over, 2 wrong use, 3 could not run

example
  gatewrit init --from ~/.cursor/mcp.json
`;

/** From a client's settings file to the same servers behind the gateway. */
export const initCommand: Command = {
  name: 'init',
  summary: 'write settings, and take over the servers of an MCP client',
  usage,
  async run(argv: string[], io: Io): Promise<number> {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: { ...ADD_OPTIONS, from: { type: 'string' }, only: { type: 'string', multiple: true, default: [] } },
    });
    if (values.help) {
      io.stdout(usage);
      return 0;
    }
    if (positionals.length > 0) return wrongUse(io, 'init', `"${inert(positionals[0]!)}" is one word too many`);
    const home = resolve(values.home);
    if (values.from === undefined) return await begin({ ...values, home, at: values.home }, io);
    const taken = takenOver(values.from, home, values.only);
    for (const { was, why } of taken.refused) io.stderr(`${inert(was)} is not taken over: ${inert(why, 300)}\n`);
    if (taken.servers.length === 0) throw new SettingsError(`${values.from} has no server that can be taken over`);
    keepSecrets(home, taken.servers);
    const person = values.accept ? { ask: null, close() {} } : personAtTerminal();
    const added: Added[] = [];
    let failed = taken.refused.length;
    try {
      for (const server of taken.servers) {
        const one = await takeOver(server, { ...values, home, only: taken.servers.length === 1, ask: person.ask }, io);
        if (one === null) failed++;
        else added.push(one);
      }
    } finally {
      person.close();
    }
    const development = isDevelopment(openConfiguration(values.config).read());
    const code = report(added, { home, file: values.config, json: values.json, development }, io);
    return failed > 0 ? 1 : code;
  },
};

/** Settings and policy alone, for servers to come. */
async function begin(
  { config, home, at, json }: { config: string; home: string; at: string; json: boolean },
  io: Io,
): Promise<number> {
  const configuration = openConfiguration(config);
  const written = (await writeDefaultPolicy(join(home, 'policy'), { quickstart: false })).map((file) =>
    join(home, 'policy', file),
  );
  if (configuration.isNew) {
    saveConfiguration(configuration);
    written.push(config);
  }
  if (json) io.stdout(`${JSON.stringify({ written })}\n`);
  else {
    io.stdout(
      written.length === 0
        ? 'Everything is there already.\n'
        : `Written:\n${written.map((file) => `  ${file}`).join('\n')}\n`,
    );
    const where = [
      ...(config === 'gatewrit.yaml' ? [] : ['--config', config]),
      ...(at === '.gatewrit' ? [] : ['--home', at]),
    ];
    const more = where.map((word) => ` ${word}`).join('');
    io.stdout(
      `\nNext: gatewrit registry add NAME --command "…"${more}, or gatewrit init --from YOUR-CLIENTS-FILE${more}\n`,
    );
  }
  return 0;
}

function takenOver(from: string, home: string, only: readonly string[]): ClientFile {
  if (!existsSync(from)) throw new SettingsError(`${from} does not exist`);
  const read = readNamed(from, home);
  if (only.length === 0) return read;
  const wanted = (one: { was: string }) => only.includes(one.was);
  const strange = only.find((name) => ![...read.servers, ...read.refused].some(({ was }) => was === name));
  if (strange !== undefined) throw new SettingsError(`${from} has no server "${inert(strange)}"`);
  return { servers: read.servers.filter(wanted), refused: read.refused.filter(wanted) };
}

function readNamed(from: string, home: string): ClientFile {
  const text = readFileSync(from, 'utf8');
  try {
    return readClientFile(text, (file) => join(home, 'secrets', file));
  } catch (cause) {
    throw cause instanceof SettingsError ? new SettingsError(`${from}: ${cause.message}`, cause) : cause;
  }
}

/** What stood in clear in a client's file, readable by nobody else. */
function keepSecrets(home: string, servers: readonly ClientServer[]): void {
  for (const [file, value] of servers.flatMap(({ secrets }) => [...secrets])) {
    const folder = join(home, 'secrets');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, file), value, { mode: 0o600 });
    chmodSync(join(folder, file), 0o600);
  }
}

interface TakeOver {
  readonly home: string;
  readonly config: string;
  readonly only: boolean;
  readonly accept: boolean;
  readonly json: boolean;
  readonly owner?: string | undefined;
  readonly set: readonly string[];
  readonly pass: readonly string[];
  readonly ask: Parameters<typeof addServer>[0]['ask'];
}

/** One server; null when it cannot be had, which takes nothing from the others. */
async function takeOver(server: ClientServer, options: TakeOver, io: Io): Promise<Added | null> {
  const { name, upstream, was, notes } = server;
  const mine = `${name}/`;
  // With one server its name need not be said; with several a change without one could mean any of them.
  const set = options.set.flatMap((text) =>
    text.startsWith(mine) ? [text.slice(mine.length)] : options.only ? [text] : [],
  );
  for (const note of notes) io.stderr(`${inert(was)}: ${note}\n`);
  try {
    const { home, accept, json, owner, pass, ask } = options;
    const passed = pass.filter((id) => id.startsWith(mine) || options.only).map((id) => id.replace(mine, ''));
    return await addServer(
      {
        ...{ home, accept, json, owner, ask, upstream, set, pass: passed },
        ...{ configuration: openConfiguration(options.config), server: name, prefix: undefined, replace: false },
      },
      io,
    );
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    io.stderr(`gatewrit init: ${inert(was)} is not taken over: ${error.message}\n`);
    return null;
  }
}
