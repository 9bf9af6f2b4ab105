import { stdioEntry } from './banner.ts';

/** What a client's own settings must say to reach one server through the gateway. */
export interface Snippet {
  readonly client: string;
  /** Where it belongs: a file, or a terminal. */
  readonly place: string;
  readonly text: string;
}

export interface SnippetOptions {
  readonly servers: readonly string[];
  /** Absolute. */
  readonly home: string;
  /** MCP endpoint of a gateway whose clients sign in by themselves; null: a development gateway on this machine. */
  readonly url: string | null;
}

/**
 * Entries for the usual clients, one per server and under the server's own name: each replaces the entry the client
 * had, and the names of the tools stay what they were.
 */
export function snippets(options: SnippetOptions): readonly Snippet[] {
  const entries = options.servers.map((server) => [server, entryOf(server, options)] as const);
  const plain = object('mcpServers', entries);
  const typed = object(
    'servers',
    entries.map(([server, entry]) => [server, { type: 'url' in entry ? 'http' : 'stdio', ...entry }] as const),
  );
  return [
    { client: 'Claude Desktop', place: 'claude_desktop_config.json', text: plainFor(options, plain) },
    { client: 'Claude Code', place: 'in a terminal', text: entries.map(claudeCode).join('\n') },
    { client: 'VS Code', place: '.vscode/mcp.json', text: typed },
    { client: 'Cursor', place: '.cursor/mcp.json', text: plain },
    { client: 'others', place: 'mcp.json', text: plain },
  ];
}

/** For people: what is the same is printed once. */
export function printed(all: readonly Snippet[]): string {
  const texts = Map.groupBy(all, ({ text }) => text);
  const parts = [...texts].map(([text, same]) => {
    const places = same.map(({ client, place }) => `${client} (${place})`).join(', ');
    return `${places}:\n\n${text.replace(/^/gm, '  ')}`;
  });
  return `${parts.join('\n\n')}\n`;
}

type Entry = { command: string; args: readonly string[] } | { url: string };

function entryOf(server: string, { home, url }: SnippetOptions): Entry {
  if (url !== null) return { url: `${url}/${server}` };
  const { command, args } = stdioEntry(home);
  return { command, args: [...args, '--server', server] };
}

/** Its settings file starts programs only. */
function plainFor(options: SnippetOptions, plain: string): string {
  if (options.url === null) return plain;
  const entries = options.servers.map((server) => {
    const { command, args } = stdioEntry('');
    const [bin] = args;
    return [server, { command, args: [bin!, 'stdio', '--url', `${options.url}/${server}`] }] as const;
  });
  return object('mcpServers', entries);
}

function claudeCode([server, entry]: readonly [string, Entry]): string {
  if ('url' in entry) return `claude mcp add --transport http ${server} ${inShell(entry.url)}`;
  return `claude mcp add ${server} -- ${[entry.command, ...entry.args].map(inShell).join(' ')}`;
}

function object(member: string, entries: readonly (readonly [string, object])[]): string {
  return JSON.stringify({ [member]: Object.fromEntries(entries) }, null, 2);
}

const inShell = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
