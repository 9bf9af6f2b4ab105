import type { Configuration } from './configuration.ts';
import { openUpstreamCredential } from './configured-oauth.ts';
import { serverSettings } from './configured-servers.ts';
import type { ChangingList, Registry } from './controls/registry/index.ts';
import type { Now } from './core/call.ts';
import type { End } from './core/closing.ts';
import type { KeyFolder } from './core/crypto/keys.ts';
import { SettingsError } from './core/internal-error.ts';
import type { Log } from './core/log.ts';
import type { Store } from './core/store/store.ts';
import type { UpstreamServer } from './upstream/server.ts';
import { openServer } from './upstream/servers.ts';
import type { ListChanges } from './workflows/list-changes.ts';
import { ServerWatch } from './workflows/watch.ts';

export interface ServersParts {
  readonly configuration: Configuration;
  readonly home: string;
  readonly store: Store;
  readonly keys: KeyFolder;
  readonly registry: Registry;
  readonly changes: ListChanges;
  readonly clock: () => Now;
  readonly log: Log;
}

export interface RunningServers {
  readonly servers: ReadonlyMap<string, UpstreamServer>;
  readonly watch: ServerWatch;
}

/**
 * Every server of section `upstreams`, watched: one that says it changed or went away serves nothing until it has been
 * compared with its pins again. Nothing is started before the first need.
 * @param closing gets what ends them, as they are opened
 * @throws SettingsError when a secret or a key of one is missing
 */
export function openServers(parts: ServersParts, closing: End[]): RunningServers {
  const { configuration, home, store, keys, registry, changes, clock, log } = parts;
  const servers = new Map<string, UpstreamServer>();
  const watch = new ServerWatch({ servers, registry, clock, log, onLooked: (server) => changes.looked(server) });
  closing.push(async () => {
    watch.stop();
    await Promise.all([...servers.values()].map((server) => server.close()));
  });
  const path = configuration.path;
  for (const [name, upstream] of Object.entries(configuration.upstreams)) {
    const signIn = openUpstreamCredential(name, upstream, { store, keys, clock, log, person: null, path });
    if (signIn) closing.push(() => signIn.close());
    const onEnded = () => watch.lost(name);
    const onChanged = (list?: ChangingList) => {
      changes.noticed(name, list);
      onEnded();
    };
    const settings = settingsOf(name, () => serverSettings(upstream, configuration, home, signIn?.credential));
    servers.set(name, openServer(name, settings, { clock, log, onChanged, onEnded, store }));
  }
  return { servers, watch };
}

/** What a section refers to may be missing; whoever reads of it must know which section that is. */
function settingsOf<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw cause instanceof SettingsError ? new SettingsError(`upstreams.${name}: ${cause.message}`, cause) : cause;
  }
}
