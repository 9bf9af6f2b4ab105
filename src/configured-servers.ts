import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Configuration, UpstreamSettings } from './configuration.ts';
import { endpointOf } from './controls/registry/index.ts';
import { credentialIn } from './core/crypto/sample-secrets.ts';
import { SettingsError } from './core/internal-error.ts';
import { openSecret } from './core/settings.ts';
import type { Credential } from './upstream/credential.ts';
import type { ServerSettings } from './upstream/servers.ts';

/**
 * Section `upstreams` as upstream/ takes it: paths resolved, references opened.
 * @param credential what `oauth` of the section asks for
 */
export function serverSettings(
  settings: UpstreamSettings,
  configuration: Configuration,
  home: string,
  credential: Credential | null = null,
): ServerSettings {
  if ('stdio' in settings) {
    const { command, args, cwd, env, extensions, answerWithinSeconds } = settings.stdio;
    const opened = Object.entries(env).flatMap(([name, value]) => {
      const known = referenced(value, home);
      return known === null ? [] : [[name, known]];
    });
    const stdio = { command, args, cwd: configuration.path(cwd ?? '.'), env: Object.fromEntries(opened) };
    return { stdio, extensions, answerMs: answerWithinSeconds * 1000 };
  }
  const { url, ca, authorization, maxConnections, transport, extensions, answerWithinSeconds } = settings.http;
  return {
    extensions,
    answerMs: answerWithinSeconds * 1000,
    http: {
      transport,
      url,
      ca: ca === undefined ? undefined : authorityAt(configuration.path(ca)),
      authorization: authorization ? credentialIn(authorization) : undefined,
      maxConnections,
      ...(credential ? { credential } : {}),
    },
  };
}

/**
 * The file of the authority a server's certificate is held to. It is read again at each connection; here it must be one.
 * @throws SettingsError
 */
export function authorityAt(file: string): string {
  if (!existsSync(file)) throw new SettingsError(`http.ca: ${file} does not exist`);
  try {
    new X509Certificate(readFileSync(file));
  } catch (cause) {
    throw new SettingsError(`http.ca: ${file} is no certificate in PEM`, cause);
  }
  return file;
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

/**
 * A value of a server's environment: as it stands, or what a reference names. `env:NAME?` is left out where NAME is not
 * set; every other reference that names nothing stops the start.
 */
export function referenced(value: string, home: string): string | null {
  if (value.startsWith('home:')) return join(home, value.slice('home:'.length));
  const optional = /^env:([A-Za-z_][A-Za-z0-9_]*)\?$/.exec(value);
  if (optional) return process.env[optional[1]!] ?? null;
  // Files end in a line break that is no part of the secret.
  return /^(env|file):/.test(value)
    ? openSecret(value)
        .toString()
        .replace(/\r?\n$/, '')
    : value;
}
