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
  /** The signed manifests behind them, by server. */
  readonly tokens: ReadonlyMap<string, string>;
}

/** What became of one file: what is served of its server, and what is wrong with the file. */
interface LoadedFile {
  readonly token: string;
  readonly pins: ServerPins | null;
  readonly refused: Problem | null;
}

/**
 * Reads all manifests under the home. What is wrong with one takes nothing from the others, except by collision.
 * @param before what was loaded last: a file that was changed into something wrong leaves what it was, as long as that
 *   still holds by today's trust store and date. What is gone, or holds no longer, is withdrawn.
 */
export async function loadManifests(options: LoadOptions, now: number, before?: Loaded): Promise<Loaded> {
  const trust = openTrust(options.keys, options.settings.trust, { mayBeEmpty: before !== undefined });
  const folder = join(options.home, 'registry');
  const context = { ...options, trust, now };
  const read = await Promise.all(
    manifestFiles(folder).map((file) => {
      const server = file.slice(0, -'.jws'.length);
      return loadFile(join(folder, file), server, context, before?.tokens.get(server));
    }),
  );
  const servers = read.flatMap(({ pins }) => pins ?? []);
  const refused = read.flatMap(({ refused }) => refused ?? []);
  const blocking = [...refused, ...servers.flatMap((one) => one.problems), ...collisionProblems(servers)];
  const sharing = sharedUris(servers);
  const ids = (problems: readonly Problem[]) =>
    new Set(
      problems.flatMap(({ kind, server, name }) => (kind && name !== null ? [pinId({ kind, server, name })] : [])),
    );
  const blocked = ids(blocking);
  const apart = sharing.filter(({ kind, server, name }) => !blocked.has(pinId({ kind: kind!, server, name: name! })));
  const tokens = new Map(read.flatMap(({ pins, token }) => (pins ? [[pins.server, token] as const] : [])));
  return { servers, problems: [...blocking, ...apart], blocked, shared: ids(apart), tokens };
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

type LoadContext = LoadOptions & { readonly trust: TrustStore; readonly now: number };

async function loadFile(
  path: string,
  server: string,
  context: LoadContext,
  before: string | undefined,
): Promise<LoadedFile> {
  const found = readToken(path);
  const judged = 'token' in found ? await judge(found.token, server, context) : found.fault;
  if (typeof judged !== 'string' && 'token' in found) return { token: found.token, pins: judged, refused: null };
  const refused: Problem = {
    code: 'manifest',
    server: inert(server, 40),
    kind: null,
    name: null,
    text: String(judged),
  };
  const kept = before === undefined ? null : await judge(before, server, context);
  const pins = kept === null || typeof kept === 'string' ? null : kept;
  return { token: before ?? '', pins, refused };
}

function readToken(path: string): { readonly token: string } | { readonly fault: string } {
  try {
    const bytes = readFileSync(path);
    return bytes.length > MAX_MANIFEST_BYTES * 1.4
      ? { fault: 'larger than 4 MiB' }
      : { token: bytes.toString('latin1') };
  } catch (cause) {
    return { fault: `cannot be read (${(cause as NodeJS.ErrnoException).code})` };
  }
}

/** Its pins, or why it is refused. */
async function judge(token: string, server: string, context: LoadContext): Promise<ServerPins | string> {
  if (!SERVER_NAME.test(server)) return 'the file name is not the name of a server';
  const verified = await verifyManifest(token, { trust: context.trust, server, now: context.now });
  if ('faults' in verified) return verified.faults.map((fault) => `${fault.code}: ${fault.text}`).join('; ');
  const { endpoint } = verified.manifest;
  if (endpoint !== undefined && context.endpoints !== undefined && context.endpoints.get(server) !== endpoint) {
    return 'other_endpoint: operator settings reach this server elsewhere than was reviewed';
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
