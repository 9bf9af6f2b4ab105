import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyFolder } from '../../core/crypto/keys.ts';
import { InternalError } from '../../core/internal-error.ts';
import { MAX_MANIFEST_BYTES, SERVER_NAME } from './manifest.ts';
import { collisions } from './names.ts';
import { type Pin, type PinPorts, type Problem, pinManifest, type ServerPins } from './pins.ts';
import { inert } from './scan.ts';
import type { RegistrySettings } from './settings.ts';
import { type TrustStore, verifyManifest } from './signature.ts';
import { openTrust } from './trust.ts';

export interface LoadOptions extends PinPorts {
  readonly settings: Pick<RegistrySettings, 'trust'>;
  /** State folder; manifests lie in `<home>/registry/<server>.jws`. */
  readonly home: string;
  readonly keys: KeyFolder;
  /** Where operator settings reach each server, as `endpointOf` says it; a manifest that names another is refused. */
  readonly endpoints?: ReadonlyMap<string, string>;
}

export interface Loaded {
  readonly servers: readonly ServerPins[];
  readonly problems: readonly Problem[];
  /** `kind key` of pins with a problem. */
  readonly blocked: ReadonlySet<string>;
  /** The same, of pins whose URI another server has as well: `/mcp` cannot tell them apart, `/mcp/{server}` can. */
  readonly shared: ReadonlySet<string>;
}

/** Reads all manifests under the home. What is wrong with one takes nothing from the others, except by collision. */
export async function loadManifests(options: LoadOptions, now: number): Promise<Loaded> {
  const trust = openTrust(options.keys, options.settings.trust);
  const folder = join(options.home, 'registry');
  const read = await Promise.all(
    manifestFiles(folder).map((file) =>
      loadFile(join(folder, file), file.slice(0, -'.jws'.length), { ...options, trust, now }),
    ),
  );
  const servers = read.flatMap((one) => ('pins' in one ? [one] : []));
  const refused = read.flatMap((one) => ('pins' in one ? [] : [one]));
  const blocking = [...refused, ...servers.flatMap((one) => one.problems), ...collisionProblems(servers)];
  const sharing = sharedUris(servers);
  const ids = (problems: readonly Problem[]) =>
    new Set(
      problems.flatMap(({ kind, server, name }) => (kind && name !== null ? [pinId({ kind, server, name })] : [])),
    );
  const blocked = ids(blocking);
  const apart = sharing.filter(({ kind, server, name }) => !blocked.has(pinId({ kind: kind!, server, name: name! })));
  return { servers, problems: [...blocking, ...apart], blocked, shared: ids(apart) };
}

function manifestFiles(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((file) => file.endsWith('.jws'))
      .sort();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new InternalError('registry.unreadable', `${folder} cannot be read; check its owner and mode`, {
      kind: 'settings',
      cause,
    });
  }
}

async function loadFile(
  path: string,
  server: string,
  context: LoadOptions & { trust: TrustStore; now: number },
): Promise<ServerPins | Problem> {
  const refuse = (text: string): Problem => ({
    code: 'manifest',
    server: inert(server, 40),
    kind: null,
    name: null,
    text,
  });
  if (!SERVER_NAME.test(server)) return refuse('the file name is not the name of a server');
  let token: string;
  try {
    const bytes = readFileSync(path);
    if (bytes.length > MAX_MANIFEST_BYTES * 1.4) return refuse('larger than 4 MiB');
    token = bytes.toString('latin1');
  } catch (cause) {
    return refuse(`cannot be read (${(cause as NodeJS.ErrnoException).code})`);
  }
  const verified = await verifyManifest(token, { trust: context.trust, server, now: context.now });
  if ('faults' in verified) return refuse(verified.faults.map((fault) => `${fault.code}: ${fault.text}`).join('; '));
  const { endpoint } = verified.manifest;
  if (endpoint !== undefined && context.endpoints !== undefined && context.endpoints.get(server) !== endpoint) {
    return refuse('other_endpoint: operator settings reach this server elsewhere than was reviewed');
  }
  return pinManifest(verified, context);
}

/** Names that could be taken for each other across all servers and, prefix by prefix, whole namespaces. */
function collisionProblems(servers: readonly ServerPins[]): Problem[] {
  const prefixes = servers.map((entry) => ({ name: entry.manifest.prefix, entry }));
  const namespaces = [...collisions(prefixes)].flatMap(([mine, other]) =>
    mine.entry.pins
      .filter((pin) => pin.kind === 'tool' || pin.kind === 'prompt')
      .map((pin) =>
        problem(pin, `the prefix "${mine.name}" can be taken for "${other.name}" of ${other.entry.server}`),
      ),
  );
  const named = servers.flatMap((entry) => entry.pins.filter((pin) => !hasUri(pin)));
  const ofOneServer = servers.flatMap((entry) => confused(entry.pins.filter(hasUri)));
  return [...namespaces, ...confused(named), ...ofOneServer];
}

/** URIs are the servers' own, without a prefix: two may well have the same one, and it is no fault of either. */
function sharedUris(servers: readonly ServerPins[]): Problem[] {
  const pins = servers.flatMap((entry) => entry.pins.filter(hasUri));
  return confused(pins).map((one) => ({
    ...one,
    text: `${one.text}; it is served on /mcp/${one.server}, and not on /mcp`,
  }));
}

function hasUri({ kind }: Pin): boolean {
  return kind === 'resource' || kind === 'template';
}

function confused(pins: readonly Pin[]): Problem[] {
  const kinds = Map.groupBy(
    pins.map((pin) => ({ name: pin.exposed, pin })),
    ({ pin }) => pin.kind,
  );
  return [...kinds.values()].flatMap((entries) =>
    [...collisions(entries)].map(([mine, other]) =>
      problem(mine.pin, `"${inert(mine.name)}" can be taken for "${inert(other.name)}" of ${other.pin.server}`),
    ),
  );
}

function problem(pin: Pin, text: string): Problem {
  return { code: 'collision', server: pin.server, kind: pin.kind, name: pin.name, text };
}

/** Kind, server and name in one string, to look pins up by. */
export function pinId(pin: Pick<Pin, 'kind' | 'server' | 'name'>): string {
  return `${pin.kind} ${pin.server}/${pin.name}`;
}
