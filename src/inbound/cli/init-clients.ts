import { SettingsError } from '../../core/internal-error.ts';

/** A server as a client's settings file describes it, in the form `upstreams` takes. */
export interface ClientServer {
  /** As `upstreams` names it. */
  readonly name: string;
  /** As the client named it. */
  readonly was: string;
  readonly upstream: object;
  /** Values that were written there in clear and do not belong into settings: file name under the home → value. */
  readonly secrets: ReadonlyMap<string, string>;
  readonly notes: readonly string[];
}

export interface ClientFile {
  readonly servers: readonly ClientServer[];
  /** Servers that cannot be taken over, and why. */
  readonly refused: readonly { readonly was: string; readonly why: string }[];
}

/** A name of `upstreams`, as near as can be. */
export function serverNameOf(name: string): string {
  const plain = name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 32)
    .replace(/-+$/, '');
  return plain === 'gatewrit' || plain === '' ? 'server' : plain;
}

/**
 * Reads the settings of Claude Desktop, Claude Code, Cursor, VS Code or a plain mcp.json: a mapping under `mcpServers`
 * or `servers`, at the top or under `mcp`. Comments are allowed, as VS Code writes them.
 * @param secretPath where a secret of this file name will lie
 * @throws SettingsError when it is none of them
 */
export function readClientFile(text: string, secretPath: (file: string) => string): ClientFile {
  let root: unknown;
  try {
    root = JSON.parse(withoutComments(text));
  } catch (cause) {
    // What the engine says of it quotes the file, which holds secrets: only where is told.
    const where = /\(line \d+ column \d+\)/.exec((cause as Error).message);
    throw new SettingsError(`it is not JSON${where ? ` ${where[0]}` : ''}`, cause);
  }
  const of = (root ?? {}) as Record<string, unknown>;
  const inner = (of['mcp'] ?? {}) as Record<string, unknown>;
  const found = of['mcpServers'] ?? of['servers'] ?? inner['servers'] ?? inner['mcpServers'];
  if (typeof found !== 'object' || found === null || Array.isArray(found))
    throw new SettingsError('it has neither "mcpServers" nor "servers"; is it the settings file of an MCP client?');
  const servers: ClientServer[] = [];
  const refused: { was: string; why: string }[] = [];
  for (const [was, entry] of Object.entries(found)) {
    const name = serverNameOf(was);
    const twin = servers.find((one) => one.name === name);
    const read = twin
      ? `it would have the same name here as "${twin.was}": ${name}`
      : readEntry(name, entry, secretPath);
    if (typeof read === 'string') refused.push({ was, why: read });
    else servers.push({ name, was, ...read });
  }
  return { servers, refused };
}

type Read = Pick<ClientServer, 'upstream' | 'secrets' | 'notes'>;

function readEntry(name: string, entry: unknown, secretPath: (file: string) => string): Read | string {
  if (typeof entry !== 'object' || entry === null) return 'its entry is no mapping';
  const of = entry as Record<string, unknown>;
  if (of['disabled'] === true) return 'it is disabled in the file';
  const secrets = new Map<string, string>();
  const notes: string[] = [];
  const keep = (key: string, value: string) => {
    const file = `${name}-${key.replace(/[^A-Za-z0-9_-]/g, '_')}`;
    secrets.set(file, value);
    notes.push(`${key} was in clear in the file; it lies in ${secretPath(file)} now, and only you can read it`);
    return `file:${secretPath(file)}`;
  };
  const url = of['url'] ?? of['serverUrl'] ?? of['httpUrl'];
  const upstream = typeof url === 'string' ? remote(url, of, keep, notes) : local(of, keep, notes);
  return typeof upstream === 'string' ? upstream : { upstream, secrets, notes };
}

type Keep = (key: string, value: string) => string;

function remote(url: string, of: Record<string, unknown>, keep: Keep, notes: string[]): object | string {
  if (!URL.canParse(url) || !/^https?:/.test(url)) return 'its URL is not an http or https URL';
  const headers = Object.entries((of['headers'] ?? {}) as Record<string, unknown>);
  const other = headers.map(([header]) => header).filter((header) => header.toLowerCase() !== 'authorization');
  if (other.length > 0) return `it wants the header ${other.join(', ')}; only Authorization is sent for you`;
  const [authorization] = headers.map(([, value]) => String(value));
  const sse = of['type'] === 'sse' ? { transport: 'sse' } : {};
  if (authorization === undefined) return { http: { url, ...sse } };
  const named = reference(authorization, notes);
  if (named === null && /\$\{/.test(authorization))
    return 'its Authorization is put together from a variable; write the whole header value into one variable';
  return { http: { url, authorization: named ?? keep('authorization', authorization), ...sse } };
}

/** Names under which people keep what others must not read. */
const SECRET = /key|token|secret|passw|credential|auth|dsn|connection|_url$|^database/i;

function local(of: Record<string, unknown>, keep: Keep, notes: string[]): object | string {
  const { command, args = [], env = {}, cwd } = of;
  if (typeof command !== 'string' || command === '') return 'it has neither a command nor a URL';
  if (!Array.isArray(args) || args.some((arg) => typeof arg !== 'string')) return 'its args are no list of words';
  const words = [command, ...(args as string[])];
  const variable = words.find((word) => /\$\{[^}]*\}/.test(word));
  if (variable !== undefined)
    return `its command line holds a variable of the client (${/\$\{[^}]*\}/.exec(variable)?.[0]}); write the value in its place`;
  if (/(?:^|[/\\])(?:npx|bunx|uvx)$/.test(command) && !words.some((word) => /.@\d/.test(word) || /==\d/.test(word)))
    notes.push(
      'it takes whatever version is newest; name one (package@1.2.3), or each new one is withheld until reviewed',
    );
  const environment = Object.entries(env as Record<string, unknown>).map(([key, value]) => {
    const text = String(value);
    const literal = SECRET.test(key) ? keep : (_: string, plain: string) => plain;
    return [key, reference(text, notes) ?? (text === '' ? text : literal(key, text))] as const;
  });
  return {
    stdio: {
      ...{ command, args },
      ...(typeof cwd === 'string' && !cwd.includes('${') ? { cwd } : {}),
      ...(environment.length === 0 ? {} : { env: Object.fromEntries(environment) }),
    },
  };
}

/** `${env:NAME}`, `${NAME}` and `${input:name}` become a variable of the gateway's own environment. */
function reference(text: string, notes: string[]): string | null {
  const parts = /^\$\{(?:(env|input):)?([A-Za-z_][A-Za-z0-9_.-]*)\}$/.exec(text);
  if (!parts) return null;
  const name = parts[1] === 'input' ? parts[2]!.toUpperCase().replace(/[^A-Z0-9_]/g, '_') : parts[2]!;
  notes.push(`set ${name} in the environment of the gateway`);
  return `env:${name}`;
}

/** JSON with comments and trailing commas, as editors write it; strings are left alone. */
function withoutComments(text: string): string {
  const tokens = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  const bare = text.replace(/^\uFEFF/, '').replace(tokens, (token) => (token.startsWith('"') ? token : ' '));
  return bare.replace(/"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])/g, (token) => (token === ',' ? '' : token));
}
