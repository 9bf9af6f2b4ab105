/** The public surface, name by name. What does not stand here may change at any time. */

/**
 * `readConfiguration` reads `gatewrit.yaml`. Throws `SettingsError` with every fault of the file in one go.
 *
 * @example
 * ```ts
 * const configuration = readConfiguration(file);
 * ```
 *
 * `configurationOf` reads the same from an object, for programs that make their settings. Paths in it start at the folder given.
 *
 * @example
 * ```ts
 * const configuration = configurationOf({ upstreams: { tools: { stdio: { command } } } }, import.meta.dirname);
 * ```
 */
export { type Configuration, configurationOf, readConfiguration } from './configuration.ts';

/** What a call carries, and the two clocks it is judged by. */
export type { Call, Now, Principal, Target } from './core/call.ts';

/**
 * What is thrown: our bug, a dependency that failed, or settings nobody could run with (`kind`); `code` is a stable word.
 *
 * @example
 * ```ts
 * try {
 *   await start();
 * } catch (error) {
 *   if (!(error instanceof InternalError) || error.kind === 'bug') throw error;
 *   process.stderr.write(`${error.message} (${error.code})\n`);
 * }
 * ```
 */
export { InternalError, SettingsError } from './core/internal-error.ts';

/**
 * JSON lines on stderr, from an allow-list of fields: values of calls never get there.
 *
 * @example
 * ```ts
 * const log = openLog({ level: 'info' });
 * log.info('starting', { path: file });
 * ```
 */
export { type Log, openLog } from './core/log.ts';

/**
 * The composition root: builds and checks the ten controls and takes calls through them. Opens no port.
 *
 * @example
 * ```ts
 * const onFatal = () => process.exit(3); // the audit log cannot go on: nothing may be served without it
 * const gatewrit = await openGatewrit({ configuration, home, urls, development: null, clock, log, onFatal });
 * await gatewrit.lookAtServers(); // until then nothing is served
 * ```
 */
export { type Gatewrit, type GatewritOptions, openGatewrit } from './gatewrit.ts';

/**
 * The two listeners, TLS 1.3 only: public for agents, admin for people. There is no other way in.
 *
 * @example
 * ```ts
 * const { listen } = configuration;
 * const fronts = await openFronts({ gatewrit, listen, ports, certificates: null, clock });
 * const close = async () => {
 *   await fronts.close(5_000);
 *   await gatewrit.close();
 * };
 * ```
 */
export { type Fronts, type FrontsOptions, openFronts } from './inbound/fronts.ts';
