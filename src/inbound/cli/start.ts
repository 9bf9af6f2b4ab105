import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Configuration, readConfiguration } from '../../configuration.ts';
import { ensureDevelopmentCertificates, startDevelopmentIssuer } from '../../controls/authentication/index.ts';
import { readCatalogue, readPolicyFolder, writeDefaultPolicy } from '../../controls/authorization/index.ts';
import { signBundled } from '../../controls/registry/index.ts';
import { closeInReverse, type End } from '../../core/closing.ts';
import { InternalError, SettingsError } from '../../core/internal-error.ts';
import { LOG_LEVELS, openLog } from '../../core/log.ts';
import { type Gatewrit, openGatewrit } from '../../gatewrit.ts';
import { openFronts } from '../fronts.ts';
import { type KeptPort, keepPort } from '../http/listener.ts';
import { banner } from './banner.ts';
import type { Command, Io } from './command.ts';
import { type Ready, readReady, removeReady, writeReady } from './ready.ts';

const usage = `usage: gatewrit start [--config FILE] [--home D] [--json] [--log LEVEL]

Runs the gateway. Without a configuration it runs the quickstart: a development gateway on loopback before three
bundled servers, with certificates, keys, policy and manifests made in the home at the first start.

  --config FILE  gatewrit.yaml (default ./gatewrit.yaml when it exists, else the quickstart)
  --home D       state folder (default .gatewrit)
  --json         one line of JSON on stdout when ready
  --log LEVEL    debug, info, warn, error or silent; JSON lines on stderr (default: telemetry.level, warn at a terminal)

Example: gatewrit start --home .gatewrit
`;

const QUICKSTART = fileURLToPath(new URL('../../../examples/quickstart/gatewrit.yaml', import.meta.url));
const MANIFESTS = join(dirname(QUICKSTART), 'manifests');
const STOP_MS = 5_000;
const SAME_CTRL_C_MS = 1_000;

export const startCommand: Command = {
  name: 'start',
  summary: 'run the gateway',
  usage,
  async run(argv, io) {
    const { values } = parseArgs({
      args: argv,
      options: {
        config: { type: 'string' },
        home: { type: 'string', default: '.gatewrit' },
        json: { type: 'boolean', default: false },
        log: { type: 'string' },
      },
    });
    const { log } = values;
    if (log !== undefined && !(LOG_LEVELS as readonly string[]).includes(log)) {
      io.stderr(`gatewrit start: --log is one of ${LOG_LEVELS.join(', ')}. Add --help to see what it takes.\n`);
      return 2;
    }
    const home = resolve(values.home);
    const file = values.config ?? (existsSync('gatewrit.yaml') ? 'gatewrit.yaml' : quickstart());
    const stopped = await start({ file, home, log, json: values.json, io });
    return stopped;
  },
};

/** Its servers are TypeScript and its issuer a development dependency: both are there in a checkout only. */
export function quickstart(): string {
  if (import.meta.url.endsWith('.ts')) return QUICKSTART;
  throw new SettingsError(
    'there is no gatewrit.yaml here; name one with --config. The quickstart runs in a checkout: npm start',
  );
}

interface StartOptions {
  readonly file: string;
  readonly home: string;
  readonly log: string | undefined;
  readonly json: boolean;
  readonly io: Io;
}

async function start({ file, home, log: level, json, io }: StartOptions): Promise<number> {
  const step = progress(io, json);
  refuseSecondStart(home);
  const configuration = readConfiguration(file);
  const development = isDevelopment(configuration);
  const log = openLog({ level: level ?? (process.stderr.isTTY && !json ? 'warn' : configuration.telemetry.level) });
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const closing: End[] = [];

  try {
    const kept = await choosePorts(configuration, development);
    closing.push(() => freed(kept));
    const ports = { public: kept.public.port, admin: kept.admin.port };
    for (const name of ['public', 'admin'] as const) {
      const { port } = configuration.listen[name];
      if (port !== 0 && ports[name] !== port) io.stderr(`gatewrit: port ${port} is taken, using ${ports[name]}\n`);
    }
    const urls = {
      public: configuration.listen.url ?? `https://localhost:${ports.public}`,
      admin: `https://localhost:${ports.admin}`,
    };

    const made = development ? await prepareDevelopment({ home, urls, configuration, step, io }) : null;
    if (made) closing.push(made.issuer.close);

    step('audit log, policy, registry');
    const gatewrit = await openGatewrit({
      configuration,
      home,
      urls,
      development: made ? { issuer: made.issuer.url } : null,
      clock,
      log,
      onFatal: (error) => {
        log.error('the audit log cannot be written; stopping', {}, error);
        process.exit(3);
      },
    });
    closing.push(() => gatewrit.close());

    step('tool servers');
    for (const weak of gatewrit.weak) log.warn(`weak: ${weak}`);
    await gatewrit.lookAtServers();
    await freed(kept);
    const fronts = await openFronts({
      gatewrit,
      listen: configuration.listen,
      ports,
      certificates: made?.certificates ?? null,
      clock,
      log,
    });
    closing.push(() => fronts.close(STOP_MS));

    const ready = readyOf(gatewrit, {
      urls,
      issuer: made?.issuer.url ?? '',
      ca: made?.certificates.ca ?? '',
      scopes: made?.scopes ?? [],
    });
    writeReady(home, ready);
    closing.push(() => removeReady(home));
    io.stdout(json ? `${JSON.stringify(ready)}\n` : banner(ready, { home, withheld: gatewrit.quarantined() }));
    await stopSignal(log);
    step('stopping');
    return 0;
  } finally {
    await closeInReverse(closing);
  }
}

/** What development needs and production brings along: authority and certificate, policy, signed pins, an issuer. */
async function prepareDevelopment(of: {
  home: string;
  urls: { public: string; admin: string };
  configuration: Configuration;
  step: (step: string) => void;
  io: Io;
}) {
  const { home, urls, step } = of;
  step('certificates of the development authority');
  const certificates = await ensureDevelopmentCertificates(home);
  step('policy and signed manifests');
  await writeDefaultPolicy(join(home, 'policy'), { quickstart: true });
  const keys = { folder: join(home, 'keys'), generate: true };
  const configured = Object.keys(of.configuration.upstreams);
  const { changed } = await signBundled({ folder: MANIFESTS, home, keys, servers: configured });
  for (const server of changed) {
    of.io.stderr(
      `gatewrit: the bundled manifest of ${server} changed since it was signed; review and sign it: gatewrit manifest sign\n`,
    );
  }
  step('development issuer');
  const scopes = await catalogued(join(home, 'policy'));
  const servers = Object.keys(of.configuration.upstreams).map((name) => `${urls.public}/mcp/${name}`);
  const resources = [`${urls.public}/mcp`, ...servers, `${urls.admin}/api`];
  const issuer = await startDevelopmentIssuer({ home, port: 0, resources, scopes });
  return { certificates, scopes, issuer };
}

/** Scopes the development issuer may give; read before the gateway opens, which judges the whole folder. */
async function catalogued(folder: string): Promise<string[]> {
  const { scopes } = await readPolicyFolder(folder);
  return scopes === null ? [] : [...readCatalogue(scopes).scopes.keys()];
}

/** Before anything is written: the lock of the audit log would stop it too, but only after the issuer's files changed. */
function refuseSecondStart(home: string): void {
  const running = readReady(home);
  if (running === null || !isRunning(running.pid)) return;
  throw new InternalError(
    'start.home_in_use',
    `a gateway already runs with home ${home}: process ${running.pid}, ${running.mcp}. Stop it, or start this one with another --home`,
    { kind: 'outage' },
  );
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // alive, but somebody else's
  }
}

export function isDevelopment(configuration: Configuration): boolean {
  return (configuration.section('authentication') as { development?: unknown } | undefined)?.development === true;
}

interface Ports {
  readonly public: KeptPort;
  readonly admin: KeptPort;
}

async function choosePorts({ listen }: Configuration, development: boolean): Promise<Ports> {
  const choose = ({ host, port }: { host: string; port: number }) =>
    development ? keepPort(host, port) : { port, free: async () => {} };
  return { public: await choose(listen.public), admin: await choose(listen.admin) };
}

async function freed(ports: Ports): Promise<void> {
  await Promise.all([ports.public.free(), ports.admin.free()]);
}

function readyOf(
  gatewrit: Gatewrit,
  of: { urls: { admin: string }; issuer: string; ca: string; scopes: readonly string[] },
): Ready {
  const { mcp, servers, admin } = gatewrit.resources;
  return {
    ready: true,
    mcp,
    admin: of.urls.admin,
    issuer: of.issuer,
    ca: of.ca,
    pid: process.pid,
    resources: [mcp, ...servers.values(), admin],
    scopes: of.scopes,
  };
}

const clock = () => ({ utc: Date.now(), mono: performance.now() });

/** Steps on stderr for a person; nothing with --json. */
function progress(io: Io, json: boolean): (step: string) => void {
  if (json) return () => {};
  return (step) => io.stderr(`gatewrit: ${step} …\n`);
}

/**
 * SIGINT and SIGTERM end the process in order; asked again later, at once. One Ctrl-C arrives several times: from the
 * terminal, from npm and from the bootstrap.
 */
function stopSignal(log: ReturnType<typeof openLog>): Promise<void> {
  return new Promise((done) => {
    let asked: number | null = null;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        const now = performance.now();
        if (asked !== null && now - asked > SAME_CTRL_C_MS) process.exit(130);
        if (asked !== null) return;
        asked = now;
        log.info('stopping', { reason: signal });
        done();
      });
    }
  });
}
