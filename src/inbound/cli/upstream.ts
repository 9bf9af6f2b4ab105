import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Configuration, readConfiguration } from '../../configuration.ts';
import { type OpenedCredential, openUpstreamCredential } from '../../configured-oauth.ts';
import { serverSettings } from '../../configured-servers.ts';
import { SettingsError } from '../../core/internal-error.ts';
import { silentLog } from '../../core/log.ts';
import { nearest } from '../../core/settings.ts';
import { openSqliteStore } from '../../core/store/sqlite.ts';
import { clientMetadata } from '../../upstream/oauth/index.ts';
import { openServer } from '../../upstream/servers.ts';
import { WireFault } from '../../upstream/wire.ts';
import { type Command, type Io, wrongUse } from './command.ts';
import { LoopbackRedirect } from './loopback-redirect.ts';

const usage = `usage: gatewrit upstream sign-in NAME [--config FILE] [--home D] [--port P] [--json]
       gatewrit upstream sign-out NAME [--config FILE] [--home D] [--json]
       gatewrit upstream client-metadata --url U [--port P]

sign-in          gets this gateway its own OAuth credential at an upstream; a person opens the page that is printed
sign-out         takes the kept credential away
client-metadata  prints the client metadata document to publish at U, for oauth.clientMetadataUrl

options
  --config FILE  gatewrit.yaml (default ./gatewrit.yaml)
  --home D       state folder (default .gatewrit)
  --port P       port of 127.0.0.1 the browser comes back to (default: a free one)
  --json         machine-readable answer

example
  gatewrit upstream sign-in crm --home .gatewrit
`;

const clock = () => ({ utc: Date.now(), mono: performance.now() });

/** This gateway's own credentials at upstreams: what a person has to do once. */
export const upstreamCommand: Command = {
  name: 'upstream',
  summary: 'sign this gateway in at an upstream',
  usage,
  async run(argv, io) {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        config: { type: 'string', default: 'gatewrit.yaml' },
        home: { type: 'string', default: '.gatewrit' },
        port: { type: 'string', default: '0' },
        url: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    const [verb, name, ...more] = positionals;
    if (values.help) {
      io.stdout(usage);
      return 0;
    }
    const port = /^\d{1,5}$/.test(values.port) && Number(values.port) <= 65_535 ? Number(values.port) : null;
    if (port === null) return wrongUse(io, 'upstream', '--port takes a number up to 65535');
    const metadata = verb === 'client-metadata' && name === undefined && values.url !== undefined;
    const signing = (verb === 'sign-in' || verb === 'sign-out') && name !== undefined;
    if (more.length > 0 || !(metadata || signing))
      return wrongUse(io, 'upstream', 'say sign-in NAME, sign-out NAME or client-metadata --url U');
    if (metadata) return printMetadata(values.url!, port, io);
    const configuration = readConfiguration(values.config);
    const options = { configuration, home: resolve(values.home), name: name!, json: values.json, io };
    return verb === 'sign-in' ? signIn({ ...options, port }) : signOut(options);
  },
};

/** RFC 8252 7.3: an authorization server lets the port of a loopback redirect vary. */
function printMetadata(url: string, port: number, io: Io): number {
  const redirect = `http://127.0.0.1${port === 0 ? '' : `:${port}`}/callback`;
  const document = { client_id: url, client_uri: new URL(url).origin, ...clientMetadata(redirect, 'Gatewrit', 'none') };
  io.stdout(`${JSON.stringify(document, null, 2)}\n`);
  return 0;
}

interface Options {
  readonly configuration: Configuration;
  readonly home: string;
  readonly name: string;
  readonly json: boolean;
  readonly io: Io;
}

async function signIn({ port, ...options }: Options & { readonly port: number }): Promise<number> {
  const { io, name, json, configuration, home } = options;
  const redirect = await LoopbackRedirect.listen(port, (url) =>
    io.stderr(`Open this page in a browser on this machine:\n\n  ${url}\n\n`),
  );
  try {
    return await withCredential(options, redirect, async ({ credential }) => {
      const fault = await credential.signIn();
      if (fault) {
        io.stderr(`gatewrit upstream: no credential for ${name}: ${fault.evidence} (${fault.code})\n`);
        if (json) io.stdout(`${JSON.stringify({ server: name, signedIn: false, code: fault.code })}\n`);
        return 1;
      }
      const settings = serverSettings(configuration.upstreams[name]!, configuration, home, credential);
      const server = openServer(name, settings, { clock, log: silentLog, onChanged: () => {}, onEnded: () => {} });
      const live = await server.introspect().finally(() => server.close());
      const works = !(live instanceof WireFault);
      const said = works ? `${live.tools.length} tools are there` : `but it still refuses: ${live.evidence}`;
      io.stdout(
        json ? `${JSON.stringify({ server: name, signedIn: true, works })}\n` : `signed in at ${name}; ${said}\n`,
      );
      return works ? 0 : 1;
    });
  } finally {
    await redirect.close();
  }
}

function signOut(options: Options): Promise<number> {
  const { io, name, json } = options;
  return withCredential(options, null, async ({ credential }) => {
    await credential.signOut();
    io.stdout(json ? `${JSON.stringify({ server: name, signedIn: false })}\n` : `the credential for ${name} is gone\n`);
    return 0;
  });
}

/** The credential of one upstream, over the store of the home; a running gateway may hold the same file. */
async function withCredential(
  { configuration, home, name }: Options,
  person: LoopbackRedirect | null,
  use: (opened: OpenedCredential) => Promise<number>,
): Promise<number> {
  const settings = Object.hasOwn(configuration.upstreams, name) ? configuration.upstreams[name] : undefined;
  if (!settings) {
    const near = nearest(name, Object.keys(configuration.upstreams));
    throw new SettingsError(`there is no upstream "${name}"${near ? `; did you mean "${near}"?` : ''}`);
  }
  if (configuration.store.driver !== 'sqlite' || (!existsSync(home) && person === null))
    throw new SettingsError('credentials are kept in the store of the home: it must be there, with driver sqlite');
  const authentication = configuration.section('authentication') as { development?: unknown } | undefined;
  const store = openSqliteStore({ path: join(home, 'store', 'gatewrit.db') });
  try {
    const keys = { folder: join(home, 'keys'), generate: authentication?.development === true };
    const opened = openUpstreamCredential(name, settings, {
      store,
      keys,
      clock,
      log: silentLog,
      person,
      path: configuration.path,
    });
    if (!opened) throw new SettingsError(`upstreams.${name}.http.oauth is not set: there is nothing to sign in to`);
    try {
      return await use(opened);
    } finally {
      await opened.close();
    }
  } finally {
    await store.close();
  }
}
