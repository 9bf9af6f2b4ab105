import { configurationOf, InternalError, openFronts, openGatewrit, openLog, readConfiguration } from 'gatewrit';

/** The gateway inside a program of yours: what `gatewrit start` does in production, without the command line. */
export async function serve(file: string, home: string): Promise<() => Promise<void>> {
  // #region readConfiguration
  const configuration = readConfiguration(file);
  // #endregion readConfiguration

  // #region openLog
  const log = openLog({ level: 'info' });
  log.info('starting', { path: file });
  // #endregion openLog

  const clock = () => ({ utc: Date.now(), mono: performance.now() });
  const ports = { public: configuration.listen.public.port, admin: configuration.listen.admin.port };
  const urls = { public: 'https://mcp.example.com', admin: `https://localhost:${ports.admin}` };

  // #region openGatewrit
  const onFatal = () => process.exit(3); // the audit log cannot go on: nothing may be served without it
  const gatewrit = await openGatewrit({ configuration, home, urls, development: null, clock, log, onFatal });
  await gatewrit.lookAtServers(); // until then nothing is served
  // #endregion openGatewrit

  // #region openFronts
  const { listen } = configuration;
  const fronts = await openFronts({ gatewrit, listen, ports, certificates: null, clock });
  const close = async () => {
    await fronts.close(5_000);
    await gatewrit.close();
  };
  // #endregion openFronts
  return close;
}

/** Settings from a program instead of a file. */
export function settingsOf(command: string) {
  // #region configurationOf
  const configuration = configurationOf({ upstreams: { tools: { stdio: { command } } } }, import.meta.dirname);
  // #endregion configurationOf
  return configuration;
}

/** What an operator should read, and what is our bug. */
export async function orExplain(start: () => Promise<void>): Promise<void> {
  // #region InternalError
  try {
    await start();
  } catch (error) {
    if (!(error instanceof InternalError) || error.kind === 'bug') throw error;
    process.stderr.write(`${error.message} (${error.code})\n`);
  }
  // #endregion InternalError
}
