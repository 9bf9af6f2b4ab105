import { join } from 'node:path';
import type { Configuration, UpstreamSettings } from './configuration.ts';
import { endpointOf } from './controls/registry/index.ts';
import { openSecret } from './core/settings.ts';
import type { ServerSettings } from './upstream/servers.ts';

/** Section `upstreams` as upstream/ takes it: paths resolved, references opened. */
export function serverSettings(settings: UpstreamSettings, configuration: Configuration, home: string): ServerSettings {
  if ('stdio' in settings) {
    const { command, args, cwd, env } = settings.stdio;
    const open = (value: string) =>
      value.startsWith('home:')
        ? join(home, value.slice(5))
        : /^(env|file):/.test(value)
          ? openSecret(value).toString()
          : value;
    const opened = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, open(value)]));
    return { stdio: { command, args, cwd: configuration.path(cwd ?? '.'), env: opened } };
  }
  const { url, ca, authorization, maxConnections } = settings.http;
  return {
    http: {
      url,
      ca: ca ? configuration.path(ca) : undefined,
      authorization: authorization ? openSecret(authorization).toString().trim() : undefined,
      maxConnections,
    },
  };
}

/** Where each server is reached, in the form a manifest may bind itself to. */
export function endpointsOf(configuration: Configuration): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(configuration.upstreams).map(([name, settings]) => [
      name,
      endpointOf('stdio' in settings ? settings.stdio : settings.http),
    ]),
  );
}
