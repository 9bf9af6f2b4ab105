import { InternalError, SettingsError } from '../../core/internal-error.ts';
import { ITSELF } from '../../core/itself.ts';
import { nearest } from '../../core/settings.ts';
import { type Command, type Io, optionTrouble, systemTrouble } from './command.ts';

/** Loaded when asked for, so that `gatewrit audit verify` does not pay for a gateway. */
const COMMANDS: Readonly<Record<string, { summary: string; load(): Promise<Command> }>> = {
  init: {
    summary: 'write settings, and take over the servers of an MCP client',
    load: async () => (await import('./init.ts')).initCommand,
  },
  start: { summary: 'run the gateway', load: async () => (await import('./start.ts')).startCommand },
  stdio: {
    summary: 'speak MCP over stdio to a running gateway, with a token of its own',
    load: async () => (await import('./stdio.ts')).stdioCommand,
  },
  check: {
    summary: 'explain the configuration, control by control, and name what is weak',
    load: async () => (await import('./check.ts')).checkCommand,
  },
  keys: {
    summary: 'make, list and exchange the keys of a home',
    load: async () => (await import('./keys.ts')).keysCommand,
  },
  token: { summary: 'print a development token', load: async () => (await import('./token.ts')).tokenCommand },
  approvals: {
    summary: 'list, show, approve and deny calls that wait for a person',
    load: async () => (await import('./sign-in.ts')).signedInApprovals,
  },
  registry: {
    summary: 'add servers; see and draft capability manifests',
    load: async () => (await import('./registry.ts')).registryCommand,
  },
  upstream: {
    summary: 'sign this gateway in at an upstream',
    load: async () => (await import('./upstream.ts')).upstreamCommand,
  },
  manifest: {
    summary: 'make keys, sign and verify manifests',
    load: async () => (await import('./manifest.ts')).manifestCommand,
  },
  policy: { summary: 'lint, test and explain policy', load: async () => (await import('./policy.ts')).policyCommand },
  audit: {
    summary: 'verify, read, prove and export the audit log',
    load: async () => (await import('./audit/main.ts')).auditCommand,
  },
  redact: {
    summary: 'show what redaction would find in a file',
    load: async () => (await import('./redact.ts')).redactCommand,
  },
};

const io: Io = { stdout: (text) => process.stdout.write(text), stderr: (text) => process.stderr.write(text) };

/** Runs one command; resolves with its exit code. */
export async function main(argv: string[]): Promise<number> {
  // Whoever read our output has gone (`… | head`): there is nobody to tell, and it is no fault of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(3);
  });
  const [name, ...rest] = argv;
  if (!name || name === '--help' || name === '-h' || name === 'help') {
    io.stdout(overview());
    return name ? 0 : 2;
  }
  if (name === '--version' || name === 'version') {
    io.stdout(version(rest.includes('--json')));
    return 0;
  }
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!entry) {
    const near = nearest(name, Object.keys(COMMANDS));
    io.stderr(
      `gatewrit: there is no command "${name}"${near ? `; did you mean "${near}"?` : '.'} Run: gatewrit --help\n`,
    );
    return 2;
  }
  try {
    const command = await entry.load();
    // Acts of a command explain themselves.
    if (rest.includes('--help') && !(command.acts && rest[0] !== '--help')) {
      io.stdout(command.usage.endsWith('\n') ? command.usage : `${command.usage}\n`);
      return 0;
    }
    return await command.run(rest, io);
  } catch (error) {
    return explain(error);
  }
}

function version(json: boolean): string {
  const node = process.versions.node;
  return json ? `${JSON.stringify({ ...ITSELF, node })}\n` : `${ITSELF.name} ${ITSELF.version} on Node ${node}\n`;
}

function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `gatewrit: the hardened front door for MCP servers\n\nusage: gatewrit COMMAND [options]\n\n${lines.join('\n')}\n\nEvery command takes --help; --version says which gatewrit this is. Example: gatewrit start --home .gatewrit\n`;
}

/** One sentence for a person; the stack only where it is our own bug. */
function explain(error: unknown): number {
  if (error instanceof SettingsError) {
    io.stderr(`gatewrit: ${error.message}\n`);
    return 2;
  }
  if (error instanceof InternalError && error.kind !== 'bug') {
    io.stderr(`gatewrit: ${error.message} (${error.code})\n`);
    return 3;
  }
  const wrong = optionTrouble(error);
  if (wrong !== null) {
    io.stderr(`gatewrit: ${wrong}. Add --help to see what it takes.\n`);
    return 2;
  }
  const trouble = systemTrouble(error);
  if (trouble !== null) {
    io.stderr(`gatewrit: ${trouble}\n`);
    return 3;
  }
  io.stderr(`gatewrit: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 3;
}
